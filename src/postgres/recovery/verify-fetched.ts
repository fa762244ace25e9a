import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { capture, ToolFailure } from '../../process/chain.ts';
import { commandAs, type RunAs } from '../instance/run-as.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { recoveredMark } from './owned-directory.ts';

/**
 * Proves a fetched base against PostgreSQL's own backup_manifest, by pg_verifybackup: every file is there, with the
 * recorded size and checksum, and none besides. Before the first start only: that changes files. The WAL lies elsewhere
 * and isn't looked at; tablespace_map is ours, with the new directories.
 *
 * Fails with VerificationFailed, in the program's own words.
 */
export async function verifyFetched(input: {
  readonly programs: ServerPrograms;
  readonly dataDirectory: string;
  readonly runAs?: RunAs | undefined;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { programs, dataDirectory, runAs, signal } = input;
  const spaces = await readdir(join(dataDirectory, 'pg_tblspc')).catch(() => []);
  const marks = [recoveredMark, ...spaces.map((oid) => `pg_tblspc/${oid}/${recoveredMark}`)];
  const ignored = [...marks, 'tablespace_map', 'lost+found'].flatMap((name) => ['--ignore', name]);
  const command = commandAs({ file: programs.pgVerifybackup, args: ['-n', ...ignored, dataDirectory] }, runAs);
  try {
    await capture(command, { signal });
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    const words = error.exits.map(({ stderr }) => stderr).join('\n');
    throw new HoldfastError(
      'VerificationFailed',
      `the base backup in ${dataDirectory} isn't what PostgreSQL recorded: ${words.split('\n').slice(0, 5).join('; ')}`,
      'restore from another backup, and verify this one',
      { cause: error },
    );
  }
}
