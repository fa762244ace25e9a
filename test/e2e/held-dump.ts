/** Dumps that a test stops in the middle: bytes of some databases are written, and the next one waits for a lock. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import { untilSql } from './ledger.ts';

/** Until the answer is called, every dump of this ledger hangs before its rows. */
export async function holdDumps(server: PostgresServer, database: string): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: server.url(database), application_name: 'holder' });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE ledger.entries IN ACCESS EXCLUSIVE MODE');
  return () => holder.end();
}

/** Waits until so many dumps hang, each with its temporary file. */
export async function untilDumping(world: World, server: PostgresServer, dumps = 1): Promise<void> {
  await untilSql(
    server,
    `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' AND mode = 'AccessShareLock'`,
    String(dumps),
  );
  while ((await hiddenFiles(world)).length < dumps) await sleep(50);
}

export const hiddenFiles = async (world: World): Promise<string[]> =>
  (await readdir(world.repository, { recursive: true })).filter((path) => /(^|\/)\.[^/]+$/.test(path));

/** Ids of the backups that a policy's directory holds, oldest first; each has its manifest and its file. */
export async function backupsIn(world: World, directory: string): Promise<string[]> {
  const names = await readdir(join(world.repository, directory)).catch(() => []);
  const ids = (suffix: string) =>
    names.flatMap((name) => (name.endsWith(suffix) ? [name.slice(0, -suffix.length)] : [])).sort();
  const manifests = ids('.manifest.json');
  const files = ids('.sql.gz');
  if (manifests.join() !== files.join())
    throw new Error(`manifests and files differ: ${manifests.join(', ')}; ${files.join(', ')}`);
  return manifests;
}
