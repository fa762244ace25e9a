import type { DatabaseRecord, Extension } from '../domain/manifest.ts';
import type { Session } from './connection.ts';

export type DatabaseContents = Pick<DatabaseRecord, 'extensions' | 'roles' | 'tablespaces'> & {
  readonly tables: readonly TableEntry[];
};

/**
 * A table as a dump has it: ordinary, partitioned, foreign, or a materialized view. Temporary ones, PostgreSQL's own
 * and members of extensions are not listed: a dump leaves them out or has CREATE EXTENSION make them.
 */
export interface TableEntry {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /**
   * The dump holds rows for it: an ordinary table. A partitioned one has its rows in its partitions, a materialized
   * view is filled anew at a restore, a foreign table's rows lie elsewhere, and a standby can't read unlogged ones.
   */
  readonly holdsRows: boolean;
  /** The file its rows are in; another one means that it was truncated or rewritten. */
  readonly filenode: string;
  /** 8 kB pages, as the planner last knew them. */
  readonly pages: number;
}

/** What a restore of the session's database needs, and what it is compared with. In name order. */
export async function inspectDatabase(session: Session): Promise<DatabaseContents> {
  const extensions = await session.query<Extension>(
    `SELECT e.extname::text AS name, e.extversion AS version, n.nspname::text AS schema
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname`,
  );
  const tables = await listTables(session);
  const roles = await session.query<{ readonly name: string }>(rolesQuery);
  const tablespaces = await session.query<{ readonly name: string }>(
    `SELECT DISTINCT t.spcname::text AS name
       FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace
      WHERE t.spcname !~ '^pg_' ORDER BY 1`,
  );
  return {
    extensions: [...extensions],
    tables,
    roles: roles.map(({ name }) => name),
    tablespaces: tablespaces.map(({ name }) => name),
  };
}

/** The tables of the session's database, by schema and name. */
export async function listTables(session: Session): Promise<readonly TableEntry[]> {
  return session.query<TableEntry>(
    `SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
        c.relkind = 'r' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery()) AS "holdsRows",
        c.relfilenode::text AS filenode, c.relpages AS pages
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't'
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (
         SELECT FROM pg_depend x
          WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.objsubid = 0 AND x.deptype = 'e')
     ORDER BY n.nspname, c.relname`,
  );
}

/**
 * Owners, grantees and those with a policy or a setting. What an extension made belongs to whoever creates the
 * extension at a restore. The bootstrap role is pinned, so pg_shdepend doesn't know it: it counts where it owns
 * something that a user made.
 */
const rolesQuery = `
  WITH own AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
  named AS (
    SELECT s.refobjid AS oid
      FROM pg_shdepend s, own
     WHERE s.refclassid = 'pg_authid'::regclass
       AND (s.dbid = own.oid OR (s.dbid = 0 AND s.classid = 'pg_database'::regclass AND s.objid = own.oid))
       AND NOT (s.deptype = 'o' AND (s.classid = 'pg_extension'::regclass OR EXISTS (
         SELECT FROM pg_depend x
          WHERE x.classid = s.classid AND x.objid = s.objid AND x.objsubid = 0 AND x.deptype = 'e')))
    UNION
    SELECT datdba FROM own
    UNION
    SELECT setrole FROM pg_db_role_setting, own WHERE setdatabase = own.oid AND setrole <> 0
    UNION
    SELECT 10::oid WHERE EXISTS (
      SELECT FROM (
        SELECT 'pg_class'::regclass AS classid, oid FROM pg_class
         WHERE relowner = 10 AND oid >= 16384 AND relkind NOT IN ('i', 'I', 't') AND relpersistence <> 't'
        UNION ALL
        SELECT 'pg_namespace'::regclass, oid FROM pg_namespace
         WHERE nspowner = 10 AND oid >= 16384 AND nspname !~ '^pg_'
        UNION ALL
        SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE proowner = 10 AND oid >= 16384
        UNION ALL
        SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typowner = 10 AND oid >= 16384 AND typtype IN ('d', 'e', 'r')
      ) o WHERE NOT EXISTS (
        SELECT FROM pg_depend x
         WHERE x.classid = o.classid AND x.objid = o.oid AND x.objsubid = 0 AND x.deptype = 'e'))
  )
  SELECT r.rolname::text AS name FROM named JOIN pg_roles r ON r.oid = named.oid ORDER BY r.rolname`;
