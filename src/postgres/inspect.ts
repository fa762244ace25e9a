import type { DatabaseRecord, Manifest, RoleRecord } from '../domain/manifest.ts';
import type { Session } from './connection.ts';

/** What one cheap look tells about a server; nothing is locked and nothing written. */
export interface ServerLook {
  readonly server: Manifest['server'];
  /** Without it the passwords of roles can't be dumped. */
  readonly canReadPasswords: boolean;
  /** In pg_dumpall's order: template1 first, then by name. */
  readonly databases: readonly DatabaseEntry[];
  /** Those of them that take no connections, and why: by name. */
  readonly closed: ReadonlyMap<string, string>;
  /** Without PostgreSQL's own (pg_*), by name. */
  readonly roles: readonly RoleRecord[];
  /** Without pg_default and pg_global, by name. */
  readonly tablespaces: readonly { readonly name: string; readonly location: string }[];
  /** What a person should know, a sentence each. */
  readonly warnings: readonly string[];
}

/** What pg_database says, and the size. */
export type DatabaseEntry = Omit<
  DatabaseRecord,
  'properties' | 'status' | 'reason' | 'snapshotAt' | 'extensions' | 'tables' | 'roles' | 'tablespaces'
>;

/** @param session on any database of the server */
export async function inspectServer(session: Session): Promise<ServerLook> {
  const server = await readIdentity(session);
  const rows = await session.query<DatabaseRow>(databasesQuery(session.versionNum));
  const databases = rows.map(entryOf);
  const closed = new Map(rows.flatMap((row) => closedBecause(row).map((why) => [row.name, why] as const)));
  const roles = await session.query<RoleRecord>(
    `SELECT rolname::text AS name, rolsuper AS superuser, rolcanlogin AS "canLogin"
       FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname`,
  );
  const tablespaces = await session.query<{ readonly name: string; readonly location: string }>(
    `SELECT spcname::text AS name, pg_tablespace_location(oid) AS location
       FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY spcname`,
  );
  const [rights] = await session.query<{ readonly passwords: boolean }>(
    `SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS passwords`,
  );
  const warnings = await unknownProperties(session, server.version);
  return { server, canReadPasswords: rights?.passwords === true, databases, closed, roles, tablespaces, warnings };
}

/** Which server this is, and in which state; cheap enough to be asked again and compared. */
export async function readIdentity(session: Session): Promise<Manifest['server']> {
  const [row] = await session.query<{
    readonly version: string;
    readonly system_identifier: string;
    readonly timeline: number;
    readonly in_recovery: boolean;
    readonly bootstrap_role: string;
  }>(`SELECT current_setting('server_version') AS version,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       CASE WHEN pg_is_in_recovery()
         THEN (SELECT greatest(timeline_id, min_recovery_end_timeline) FROM pg_control_checkpoint(), pg_control_recovery())
         ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
       END AS timeline,
       pg_is_in_recovery() AS in_recovery,
       pg_get_userbyid(10)::text AS bootstrap_role`);
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  return {
    version: row.version,
    versionNum: session.versionNum,
    systemIdentifier: row.system_identifier,
    timeline: row.timeline,
    inRecovery: row.in_recovery,
    bootstrapRole: row.bootstrap_role,
  };
}

const providers = { c: 'libc', i: 'icu', b: 'builtin', d: 'libc' } as const;

interface DatabaseRow {
  readonly oid: number;
  readonly name: string;
  readonly owner: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly provider: keyof typeof providers;
  readonly locale: string | null;
  readonly icu_rules: string | null;
  readonly collation_version: string | null;
  readonly tablespace: string;
  readonly connection_limit: number;
  readonly is_template: boolean;
  readonly allows_connections: boolean;
  readonly bytes: string;
}

const entryOf = (row: DatabaseRow): DatabaseEntry => ({
  name: row.name,
  oid: row.oid,
  owner: row.owner,
  encoding: row.encoding,
  collate: row.collate,
  ctype: row.ctype,
  localeProvider: providers[row.provider],
  locale: row.locale,
  icuRules: row.icu_rules,
  collationVersion: row.collation_version,
  tablespace: row.tablespace,
  connectionLimit: row.connection_limit,
  isTemplate: row.is_template,
  bytes: Number(row.bytes),
});

function closedBecause({ connection_limit, allows_connections }: DatabaseRow): string[] {
  if (connection_limit === -2) return ['it is invalid: a DROP DATABASE of it was interrupted'];
  return allows_connections ? [] : ["it doesn't allow connections (datallowconn is false)"];
}

/** The catalog grew: providers and collation versions came with 15, ICU rules with 16, one name for locales with 17. */
function databasesQuery(versionNum: number): string {
  const since = (version: number, column: string, before: string) => (versionNum >= version ? column : before);
  return `SELECT d.oid, d.datname::text AS name, pg_get_userbyid(d.datdba)::text AS owner,
      pg_encoding_to_char(d.encoding)::text AS encoding,
      d.datcollate::text AS collate, d.datctype::text AS ctype,
      ${since(150_000, 'd.datlocprovider::text', `'c'`)} AS provider,
      ${since(170_000, 'd.datlocale', since(150_000, 'd.daticulocale', 'NULL'))}::text AS locale,
      ${since(160_000, 'd.daticurules', 'NULL')}::text AS icu_rules,
      ${since(150_000, 'd.datcollversion', 'NULL')}::text AS collation_version,
      t.spcname::text AS tablespace, d.datconnlimit AS connection_limit, d.datistemplate AS is_template,
      d.datallowconn AS allows_connections, pg_database_size(d.oid)::text AS bytes
    FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
    ORDER BY d.datname <> 'template1', d.datname`;
}

/** Columns of pg_database from 13 to 18: each is either part of a backup's properties or not worth keeping. */
const knownColumns = [
  'oid',
  'datname',
  'datdba',
  'encoding',
  'datlocprovider',
  'datistemplate',
  'datallowconn',
  'dathasloginevt',
  'datconnlimit',
  'datlastsysoid',
  'datfrozenxid',
  'datminmxid',
  'dattablespace',
  'datcollate',
  'datctype',
  'daticulocale',
  'datlocale',
  'daticurules',
  'datcollversion',
  'datacl',
];

/** A server newer than this code may keep something more about a database: never lost without a word. */
async function unknownProperties(session: Session, version: string): Promise<string[]> {
  const rows = await session.query<{ readonly name: string }>(
    `SELECT attname::text AS name FROM pg_attribute
      WHERE attrelid = 'pg_catalog.pg_database'::regclass AND attnum > 0 AND NOT attisdropped
        AND attname <> ALL ($1::text[])`,
    [knownColumns],
  );
  if (rows.length === 0) return [];
  const names = rows.map(({ name }) => name).join(', ');
  return [`PostgreSQL ${version} keeps properties of databases that are not known here and not backed up: ${names}`];
}
