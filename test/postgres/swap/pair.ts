/** Two databases of a real server, as a restore leaves them before the swap: the live one and its copy. */
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import type { SwapInput } from '../../../src/domain/swap-report.ts';
import { quoteIdent, quoteLiteral } from '../../../src/postgres/quote.ts';
import type { Server } from '../../../src/postgres/server.ts';
import { swapFailpoints, type SwapFailpoint, type SwapOptions } from '../../../src/postgres/swap/swap.ts';

export const addressOf = ({ host, port, user, password }: PostgresServer, database = 'postgres'): Server => ({
  ...{ host, port, user, password, database },
  sslmode: 'disable',
});

export const never = (): SwapOptions => ({ signal: new AbortController().signal });

/** Fails between two steps as a program would that is told to. */
export const failingAt = (where: SwapFailpoint): SwapOptions => ({
  ...never(),
  failpoint: (name) => (name === where ? Promise.reject(new Error(`interrupted at ${name}`)) : Promise.resolve()),
});

export const beforeTheNames = swapFailpoints.slice(0, swapFailpoints.indexOf('renamed'));
export const afterTheNames = swapFailpoints.slice(swapFailpoints.indexOf('renamed'));

/** In the live one the table `which` says old, in the copy new; the copy is marked and nobody may connect to it. */
export async function makePair(
  server: PostgresServer,
  name: string,
  more: Partial<SwapInput> = {},
): Promise<SwapInput> {
  const live = name;
  const copy = cut(name, '_new_1a2b3c4d');
  const old = cut(name, '_old_1a2b3c4d');
  for (const [database, content] of [
    [live, 'old'],
    [copy, 'new'],
  ] as const) {
    await server.psql('postgres', `CREATE DATABASE ${quoteIdent(database)} TEMPLATE template0`);
    await server.psql(database, `CREATE TABLE which AS SELECT '${content}' AS content`);
  }
  await server.psql(
    'postgres',
    `COMMENT ON DATABASE ${quoteIdent(copy)} IS 'holdfast: restore 1a2b3c4d';
     REVOKE CONNECT ON DATABASE ${quoteIdent(copy)} FROM PUBLIC`,
  );
  return {
    liveName: live,
    liveOid: await oidOf(server, live),
    copyName: copy,
    copyOid: await oidOf(server, copy),
    oldName: old,
    properties: 'live',
    ...more,
  };
}

function cut(name: string, suffix: string): string {
  const characters = Array.from(name);
  while (Buffer.byteLength(characters.join('') + suffix) > 63) characters.pop();
  return characters.join('') + suffix;
}

export async function oidOf(server: PostgresServer, database: string): Promise<number> {
  return Number(await server.psql('postgres', `SELECT oid FROM pg_database WHERE datname = ${quoteLiteral(database)}`));
}

export const contentOf = (server: PostgresServer, database: string) =>
  server.psql(database, 'SELECT content FROM which');

/** Everything that the shared catalogs hold about the two, by OID, but what PostgreSQL itself moves (frozen ids). */
export function catalogOf(server: PostgresServer, { liveOid, copyOid }: SwapInput): Promise<string> {
  const oids = `(${String(liveOid)}, ${String(copyOid)})`;
  return server.psql(
    'postgres',
    `SELECT d.oid, d.datname, d.datdba, d.datistemplate, d.datallowconn, d.datconnlimit, d.dattablespace, d.datacl
       FROM pg_database d WHERE d.oid IN ${oids} ORDER BY d.oid;
     SELECT * FROM pg_db_role_setting WHERE setdatabase IN ${oids} ORDER BY 1, 2;
     SELECT * FROM pg_shdescription WHERE classoid = 'pg_database'::regclass AND objoid IN ${oids} ORDER BY 1;
     SELECT * FROM pg_shseclabel WHERE classoid = 'pg_database'::regclass AND objoid IN ${oids} ORDER BY 1`,
  );
}

/** Nothing of a swap is left behind on the server: no session, no lock. */
export const leftovers = (server: PostgresServer) =>
  server.psql(
    'postgres',
    `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast%';
     SELECT 'lock' FROM pg_locks WHERE locktype = 'advisory'`,
  );
