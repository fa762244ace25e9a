/** Contents of databases as a backup holds them, and what a server has of them. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { load, type LoadInput } from '../../../src/postgres/restore/load.ts';
import { compressors, printed, toolsOf } from '../dump/dumping.ts';
import { addressOf } from '../swap/pair.ts';

/** What pg_dump prints for a database: a content member's plain bytes. */
export function plainOf(server: PostgresServer, database: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const env = {
      LC_ALL: 'C.UTF-8',
      ...{ PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: 'postgres', PGDATABASE: database },
    };
    const options = { env, encoding: 'buffer', maxBuffer: 256 * 1024 ** 2 } as const;
    execFile(join(server.binDir, 'pg_dump'), [], options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error('pg_dump failed', { cause: error }));
    });
  });
}

/** In chunks, as a repository hands them out; then fails with the error, if there is one. */
export async function* stored(bytes: Uint8Array, error?: Error, chunk = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) {
    await Promise.resolve();
    yield bytes.subarray(at, at + chunk);
  }
  if (error !== undefined) throw error;
}

/** Stored as plain text, into a database of the server, unless wished otherwise. */
export async function loadInto(
  server: PostgresServer,
  wishes: Partial<LoadInput> & Pick<LoadInput, 'database' | 'stored'>,
) {
  const tools = await toolsOf(server);
  return load({
    ...{ server: addressOf(server), tools, compressor: undefined, dumpVersion: tools.version },
    signal: new AbortController().signal,
    ...wishes,
  });
}

export const gzip = async () => (await compressors()).gzip;

/** What the database holds, in pg_dump's words. */
export const dumpedAgain = (server: PostgresServer, database: string) => printed(server, 'pg_dump', database);

/** Sessions that tools or sessions of ours have in the server. */
export const sessionsLeft = (server: PostgresServer) =>
  server.psql('postgres', `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`);

export const inSession = <T>(
  server: PostgresServer,
  use: Parameters<typeof withSession<T>>[2],
  database = 'postgres',
) => withSession<T>(addressOf(server), { database }, use);
