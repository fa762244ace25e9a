import type { TemporalConnection } from '../client/connect.ts';
import type { WrittenRecovery } from '../client/runs.ts';
import { HoldfastError } from '../domain/errors.ts';
import { recoverArgument } from '../domain/recover-argument.ts';
import type { RecoverClusterResult } from '../workflows/recover-cluster.ts';
import type { RecoverResult } from '../workflows/recover-run.ts';
import { checkedArgument } from './checked-argument.ts';
import type { Context } from './context.ts';
import { decisionWatcher, endOfDecided } from './decided-runs.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Followed } from './follow.ts';
import type { Output } from './output.ts';
import { targetNames, targetOf } from './recovery-target.ts';
import { startAndFollow } from './starting.ts';
import type { TargetOptions } from './target-options.ts';

/** As they are typed. */
export interface RecoverOptions extends TargetOptions {
  readonly cluster?: string;
  readonly backup?: string;
  readonly directory?: string;
  readonly port?: number;
  readonly inPlace?: true;
  readonly into?: string;
  readonly instances?: number;
  readonly storageSize?: string;
  readonly storageClass?: string;
  readonly tablespace?: readonly string[];
  readonly wait: boolean;
}

/** Throws InvalidArgument that names the option. */
export function recoverArgumentOf(options: RecoverOptions, requestedBy: string | undefined): WrittenRecovery {
  const { cluster, backup, directory, port, inPlace } = options;
  const target = targetOf(options);
  const tablespaces = tablespacesOf(options.tablespace ?? []);
  const beside = directory === undefined && port === undefined ? undefined : { directory, port };
  const into = intoOf(options);
  const given = { cluster, target, backup, beside, inPlace, into, tablespaces, requestedBy };
  const value: unknown = JSON.parse(JSON.stringify(given));
  const checked = checkedArgument(recoverArgument, value, {
    cluster: '--cluster',
    target: 'the target',
    ...Object.fromEntries(Object.entries(targetNames).map(([member, name]) => [`target.${member}`, name])),
    backup: '--backup',
    'beside.directory': '--directory',
    'beside.port': '--port',
    inPlace: '--in-place',
    'into.name': '--into',
    'into.instances': '--instances',
    'into.storage.size': '--storage-size',
    'into.storage.storageClass': '--storage-class',
    ...Object.fromEntries(Object.keys(tablespaces).map((name) => [`tablespaces.${name}`, `--tablespace ${name}`])),
  });
  return { ...checked, target };
}

/** Of a cluster that CloudNativePG runs; undefined: nothing of it is given. */
function intoOf({ into: name, instances, storageSize: size, storageClass }: RecoverOptions) {
  const storage = size === undefined && storageClass === undefined ? undefined : { size, storageClass };
  return name === undefined && instances === undefined && storage === undefined
    ? undefined
    : { name, instances, storage };
}

/** "fast=/mnt/ssd/fast", name to directory. */
function tablespacesOf(given: readonly string[]): Readonly<Record<string, string>> {
  const found = new Map<string, string>();
  for (const text of given) {
    const at = text.indexOf('=');
    const [name, directory] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
    if (name === '' || directory === '')
      throw new HoldfastError(
        'InvalidArgument',
        `--tablespace '${text}' is no name and directory`,
        "give the tablespace's name and its new directory, such as fast=/srv/copy-fast",
      );
    if (found.has(name))
      throw new HoldfastError('InvalidArgument', `--tablespace ${name} is given twice`, 'give each one once');
    found.set(name, directory);
  }
  return Object.fromEntries(found);
}

/**
 * Starts a recovery and follows it to where it waits at its target (the run stays open for promote, go-on and
 * throw-away). Where nobody can wait for a decision it ends with `waits`.
 */
export async function runRecover(
  context: Context,
  output: Output,
  temporal: TemporalConnection,
  argument: WrittenRecovery,
  wait: boolean,
): Promise<ExitCode> {
  const start = { workflow: 'recover', argument } as const;
  const { watch, followed } = await startAndFollow(context, output, temporal, start, wait, ({ run }) => ({
    onProgress: decisionWatcher(output, run),
  }));
  if (!followed) return exitCodes.ok;
  return endOfRecover(output, watch.run, followed, () => watch.outcome());
}

export const endOfRecover = (
  output: Output,
  run: string,
  followed: Followed,
  outcome: () => Promise<unknown>,
): Promise<ExitCode> =>
  endOfDecided(output, run, followed, outcome, {
    standing: ({ followUps }) =>
      followUps.includes('promote') && !followUps.includes('go-on')
        ? {
            outcome: 'recovered',
            words: [': into a new Cluster, which archives nowhere until you promote it; throw-away deletes it'],
          }
        : followUps.includes('promote')
          ? { outcome: 'paused', words: [': open for reading, and nothing is written to it until you promote it'] }
          : { outcome: 'recovered', words: [': it takes writes; what it replaced is kept until you release it'] },
    ended: (result) => {
      const { outcome: how, base, done } = result as RecoverResult | RecoverClusterResult;
      return { outcome: how, words: [` from base backup ${base}`], done };
    },
  });
