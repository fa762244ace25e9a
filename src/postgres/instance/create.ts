import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { capture } from '../../process/chain.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { commandAs, whomToBecome, type RunAs } from './run-as.ts';

export interface NewInstance {
  readonly programs: ServerPrograms;
  /** Made here, or empty. */
  readonly dataDirectory: string;
  readonly runAs?: RunAs | undefined;
  /** Name of the bootstrap superuser; default postgres. */
  readonly superuser?: string;
  /** Default UTF8. */
  readonly encoding?: string;
  /** Default C.UTF-8; C where the system has none. */
  readonly locale?: string;
  /** Default false: a scratch instance has no need of them. */
  readonly checksums?: boolean;
  /** Default true. */
  readonly fsync?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Makes an empty instance by initdb, for startInstance. Fails with TargetNotEmpty before anything is touched, and with
 * ToolFailed, which leaves the directory as initdb leaves it: emptied.
 */
export async function createInstance(input: NewInstance): Promise<void> {
  const { programs, dataDirectory, superuser = 'postgres', encoding = 'UTF8', locale = 'C.UTF-8', signal } = input;
  const owner = whomToBecome(input.runAs);
  await makeEmptyDirectory(dataDirectory, owner);
  const args = [
    ...['-D', dataDirectory, '-U', superuser, `--encoding=${encoding}`, `--locale=${locale}`],
    // Its own pg_hba.conf is never read: the instance gets one outside its data directory.
    ...['--auth-local=reject', '--auth-host=reject', '--no-instructions'],
    ...(input.checksums === true ? ['--data-checksums'] : programs.major >= 18 ? ['--no-data-checksums'] : []),
    ...(input.fsync === false ? ['--no-sync'] : []),
  ];
  await capture(commandAs({ file: programs.initdb, args }, input.runAs), { signal });
}

/** The directory, 0700 and the user's own. Fails with TargetNotEmpty where something lies in it. */
async function makeEmptyDirectory(directory: string, owner: RunAs | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = (await readdir(directory)).filter((name) => name !== 'lost+found');
  if (found.length > 0)
    throw new HoldfastError(
      'TargetNotEmpty',
      `${directory} is not empty: ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''} lies in it`,
      'choose an empty or a new directory',
    );
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
  await chmod(directory, 0o700);
}
