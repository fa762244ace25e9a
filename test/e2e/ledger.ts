/** A small database with everything that hangs on a database, and how a test tells that it is what it was. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';

export interface LedgerWishes {
  readonly rows?: number;
}

/** While somebody holds this advisory lock, no copy of a ledger takes a row: see `holdLoads`. */
const tollLock = 4711;

/** Makes role and database of that name: owner, comment, settings, privileges, and some rows. */
export async function createLedger(server: PostgresServer, name: string, wishes: LedgerWishes = {}): Promise<void> {
  const { rows = 1000 } = wishes;
  await server.psql('postgres', `CREATE ROLE ${name} LOGIN PASSWORD 'only-for-tests'`);
  await server.psql('postgres', `CREATE DATABASE ${name} OWNER ${name}`);
  await server.psql(
    'postgres',
    `COMMENT ON DATABASE ${name} IS 'ledger of ${name}';
     ALTER DATABASE ${name} SET work_mem = '8MB';
     ALTER DATABASE ${name} CONNECTION LIMIT 90;
     ALTER ROLE ${name} IN DATABASE ${name} SET search_path = ledger, public;
     REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`,
  );
  await server.psql(
    name,
    `CREATE SCHEMA ledger AUTHORIZATION ${name};
     CREATE FUNCTION ledger.toll() RETURNS boolean LANGUAGE plpgsql AS $$
     BEGIN
       WHILE current_database() ~ '_new_' AND EXISTS (
         SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = ${String(tollLock)}
       ) LOOP PERFORM pg_catalog.pg_sleep(0.05); END LOOP;
       RETURN true;
     END $$;
     CREATE TABLE ledger.entries (id bigserial PRIMARY KEY, note text NOT NULL, CHECK (ledger.toll()));
     INSERT INTO ledger.entries (note) SELECT md5(i::text) FROM generate_series(1, ${String(rows)}) i;
     ALTER TABLE ledger.entries OWNER TO ${name}`,
  );
}

/** Until the answer is called, loads of ledgers hang in the middle of their rows. */
export async function holdLoads(server: PostgresServer): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: server.url('postgres'), application_name: 'toll' });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [tollLock]);
  return () => holder.end();
}

/** Waits until SQL answers what is wanted; for states that no run tells of. */
export async function untilSql(server: PostgresServer, sql: string, wanted: string): Promise<void> {
  while ((await server.psql('postgres', sql)).trim() !== wanted) await sleep(50);
}

/** Waits until so many loads are in the middle of their rows. */
export const untilLoading = (server: PostgresServer, loads = 1): Promise<void> =>
  untilSql(
    server,
    `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast load%' AND wait_event = 'PgSleep'`,
    String(loads),
  );

export const rowsOf = async (server: PostgresServer, database: string): Promise<number> =>
  Number(await server.psql(database, 'SELECT count(*) FROM ledger.entries'));

/** Loses all but a third of the rows, so that the live database is told from a restored one. */
export const damageLedger = (server: PostgresServer, database: string): Promise<string> =>
  server.psql(database, 'DELETE FROM ledger.entries WHERE id % 3 <> 0');

/**
 * What PostgreSQL's catalogs say of a database, its OID and its rows among it: the same before and after means that
 * nobody touched it.
 */
export async function traces(server: PostgresServer, database: string): Promise<string> {
  const catalogs = await server.psql(
    'postgres',
    `SELECT oid, datname, datdba, encoding, datcollate, datctype, datistemplate, datallowconn, datconnlimit, dattablespace, datacl
       FROM pg_database WHERE datname = '${database}';
     SELECT setrole, setconfig FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = '${database}') ORDER BY 1;
     SELECT description FROM pg_shdescription WHERE objoid = (SELECT oid FROM pg_database WHERE datname = '${database}');
     SELECT dbid = 0, classid, objid, deptype, refobjid FROM pg_shdepend
       WHERE objid = (SELECT oid FROM pg_database WHERE datname = '${database}') AND classid = 'pg_database'::regclass ORDER BY 1, 2, 3, 4, 5`,
  );
  return `${catalogs}${await contents(server, database)}`;
}

/** Of the rows alone: the same in a database and in its restored copy. */
export const contents = (server: PostgresServer, database: string): Promise<string> =>
  server.psql(
    database,
    `SELECT count(*), md5(string_agg(e::text, ',' ORDER BY id)) FROM ledger.entries e;
     SELECT last_value, is_called FROM ledger.entries_id_seq`,
  );

export const oidOf = async (server: PostgresServer, database: string): Promise<number> =>
  Number(await server.psql('postgres', `SELECT oid FROM pg_database WHERE datname = '${database}'`));

/** Policy `daily` of every cluster that is named, each into its own directory. */
export const policiesFor = (...clusters: readonly string[]) =>
  Object.fromEntries(
    clusters.map((cluster) => [
      cluster === clusters[0] ? 'daily' : `${cluster}-daily`,
      { cluster, method: 'pg_dumpall', repository: 'nas', keep: { last: 5 } },
    ]),
  );

/** The same server under another name, with workers of its own: so that a test can say who does what. */
export const clusterAt = ({ host, port, user }: PostgresServer, site: string, password = 'MAIN_PASSWORD') => ({
  site,
  server: { host, port, user, password: { env: password }, sslmode: 'disable' },
});

/** What a step of the world's own command of Temporal answered, read as JSON; fails with what it said instead. */
export async function temporalJson<T>(world: World, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await world.temporalCommand(...args, '--output', 'json');
  if (code !== 0) throw new Error(`temporal ${args.join(' ')} exited with ${String(code)}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}
