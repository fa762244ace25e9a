import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere } from '../instance/mark.ts';
import { instanceState } from '../instance/state.ts';

/**
 * In a container that is as old as this worker: removes the postmaster.pid of a server that ran in an earlier one, on the
 * same volume. PostgreSQL would take any process that has its number here for that server, and not start.
 */
export async function forgetDeadPostmaster(dataDirectory: string, containerSince: Date): Promise<void> {
  const path = join(dataDirectory, 'postmaster.pid');
  const [, , startedAt] = (await readIfThere(path))?.split('\n') ?? [];
  const seconds = Number(startedAt);
  if (!Number.isInteger(seconds) || seconds === 0 || (seconds + 1) * 1000 > containerSince.getTime()) return;
  if ((await instanceState(dataDirectory)).pid === undefined) await rm(path, { force: true });
}
