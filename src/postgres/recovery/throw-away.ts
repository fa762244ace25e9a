import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { readMark } from '../instance/mark.ts';
import { stopInstance } from '../instance/stop.ts';
import { readJournal } from './fetch-journal.ts';
import { emptyDirectory, readRecoveredMark } from './owned-directory.ts';
import { targetError } from './target-error.ts';

export interface ThrownAway {
  readonly removed: readonly string[];
  /** Directories of the recovery that bear no mark of it (any more): left as they are. */
  readonly left: readonly string[];
}

/**
 * Stops a recovery's instance and removes what it made: data directory, tablespaces, socket directory, its own
 * directory. Each only with the recovery's own mark in it; mount points are emptied. Called again, it goes on; with
 * nothing there it does nothing.
 */
export async function throwAway(input: {
  readonly workDirectory: string;
  readonly signal: AbortSignal;
}): Promise<ThrownAway> {
  const { workDirectory, signal } = input;
  const journal = await readJournal(workDirectory);
  if (journal === undefined) {
    if ((await readdir(workDirectory).catch(() => [])).length === 0) return { removed: [], left: [] };
    throw new HoldfastError(
      'InvalidArgument',
      `${workDirectory} is no directory of a recovery`,
      'give the directory that the recovery was begun with',
    );
  }
  const { dataDirectory, tablespaces, fetch } = journal;
  const removed: string[] = [];
  const left: string[] = [];
  try {
    const isOurs = (await readRecoveredMark(dataDirectory)) === fetch || journal.step === 'combining';
    const mark = isOurs ? await readMark(dataDirectory) : undefined;
    if (isOurs) await stopInstance(dataDirectory, { signal, mode: 'immediate' });
    if (mark !== undefined) await removeSocketDirectory(mark.socketDirectory);
    for (const directory of [...Object.values(tablespaces), dataDirectory]) {
      const found = await readRecoveredMark(directory);
      if (found === fetch || (found === undefined && journal.step === 'combining')) {
        await emptyDirectory(directory);
        // A mount point stays, and so does what isn't ours.
        await rmdir(directory).catch(() => undefined);
        removed.push(directory);
      } else if ((await readdir(directory).catch(() => [])).length > 0) left.push(directory);
    }
    // The journal last: until then a second call knows what to remove.
    for (const name of await readdir(workDirectory))
      if (name !== 'fetch.json') await rm(join(workDirectory, name), { recursive: true, force: true });
    await rm(join(workDirectory, 'fetch.json'), { force: true });
    await rmdir(workDirectory).catch(() => undefined);
  } catch (error) {
    throw targetError(error, workDirectory);
  }
  return { removed: [...removed, workDirectory], left };
}

async function removeSocketDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => []))
    if (/^(postgresql\.conf|pg_hba\.conf|pg_ident\.conf|\.s\.PGSQL\.\d+(\.lock)?)$/.test(name))
      await rm(join(directory, name), { force: true });
  await rmdir(directory).catch(() => undefined);
}
