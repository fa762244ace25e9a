import { HoldfastError } from '../../domain/errors.ts';
import type { Command } from '../../process/chain.ts';
import { findTool } from '../../process/environment.ts';

/** The user and group that an instance's files belong to and its processes run as. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom to become for an instance's processes; undefined: nobody, the worker's own user does it. Fails with
 * InvalidArgument where that can't work: PostgreSQL refuses to run as root, and only root can become somebody else.
 */
export function whomToBecome(runAs: RunAs | undefined): RunAs | undefined {
  const own = process.geteuid?.();
  if (own === 0 && (runAs === undefined || runAs.uid === 0))
    throw new HoldfastError(
      'InvalidArgument',
      'the worker runs as root, and PostgreSQL refuses to run as root',
      'name the user that instances shall run as (Debian: postgres), or run the worker as that user',
    );
  if (own === undefined || runAs === undefined || runAs.uid === own) return undefined;
  if (own !== 0)
    throw new HoldfastError(
      'InvalidArgument',
      `the worker runs as user ${String(own)} and can't start an instance as user ${String(runAs.uid)}`,
      'run the worker as that user or as root, or leave the user out: the instance then runs as the worker does',
    );
  return runAs;
}

/** The command, run as that user, without the worker's groups, ended by the kernel when the worker dies. */
export function commandAs(command: Command, runAs: RunAs | undefined): Command {
  const other = whomToBecome(runAs);
  if (other === undefined) return command;
  const setpriv = findTool('setpriv');
  if (setpriv === undefined)
    throw new HoldfastError(
      'ToolMissing',
      `setpriv, which runs ${command.file} as user ${String(other.uid)}, is not installed on the worker`,
      'install util-linux on the worker, or run the worker as that user instead of root',
    );
  const identity = [`--reuid=${String(other.uid)}`, `--regid=${String(other.gid)}`, '--clear-groups'];
  return {
    ...command,
    file: setpriv,
    args: [...identity, '--pdeathsig', 'KILL', '--', command.file, ...command.args],
    name: command.name ?? command.file.slice(command.file.lastIndexOf('/') + 1),
  };
}
