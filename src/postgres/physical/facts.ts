import { HoldfastError } from '../../domain/errors.ts';
import type { BaseManifest } from '../../domain/base-manifest.ts';
import type { Session } from '../connection.ts';
import { describeServer, type Server } from '../server.ts';

/** What an ordinary session tells about a server that a base backup is taken from. */
export interface ServerFacts {
  readonly server: BaseManifest['server'];
  /** By the server's clock, rounded up to a microsecond. */
  readonly now: string;
  readonly settings: BaseManifest['settings'];
  readonly databases: BaseManifest['databases'];
  readonly extensions: BaseManifest['extensions'];
  readonly tablespaces: BaseManifest['tablespaces'];
  /** What a person should know, a sentence each. */
  readonly warnings: readonly string[];
}

/** Enough to tell whether it is still the same server in the same role. */
export interface Identity {
  readonly systemIdentifier: string;
  readonly inRecovery: boolean;
  /** By the server's clock. */
  readonly now: string;
  /** The next transaction's number, with the epoch before it: every later one has a greater. */
  readonly nextXid: string;
}

const settingNames = [
  // A recovery has to have these at least as high.
  ...['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions'],
  'max_locks_per_transaction',
  // What a restored server needs to start at all, or to be found.
  ...['wal_level', 'shared_preload_libraries', 'data_directory', 'config_file', 'hba_file', 'ident_file', 'port'],
  ...['lc_messages', 'timezone', 'block_size', 'wal_segment_size', 'data_checksums', 'track_commit_timestamp'],
  // How its log is archived.
  ...['archive_mode', 'archive_command', 'archive_library', 'archive_timeout', 'wal_keep_size', 'full_page_writes'],
  ...['max_slot_wal_keep_size', 'summarize_wal', 'wal_summary_keep_time', 'checkpoint_timeout', 'server_encoding'],
];

const utcNow = `to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export async function readFacts(session: Session): Promise<ServerFacts> {
  const [row] = await session.query<{
    readonly version: string;
    readonly system_identifier: string;
    readonly in_recovery: boolean;
    readonly segment_bytes: string;
    readonly data_checksums: string;
    readonly now: string;
  }>(`SELECT current_setting('server_version') AS version,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       pg_is_in_recovery() AS in_recovery,
       pg_size_bytes(current_setting('wal_segment_size'))::text AS segment_bytes,
       current_setting('data_checksums') AS data_checksums, ${utcNow} AS now`);
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  const settings = await session.query<{ readonly name: string; readonly value: string }>(
    `SELECT name, coalesce(current_setting(name, true), '') AS value FROM pg_settings WHERE name = ANY ($1::text[])`,
    [settingNames],
  );
  const tablespaces = await readTablespaces(session);
  const extensions = await session.query<BaseManifest['extensions'][number]>(
    `SELECT e.extname::text AS name, e.extversion AS version, n.nspname::text AS schema
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname`,
  );
  const { databases, warnings } = await readDatabases(session);
  return {
    server: {
      version: row.version,
      versionNum: session.versionNum,
      systemIdentifier: row.system_identifier,
      inRecovery: row.in_recovery,
      segmentBytes: Number(row.segment_bytes),
      dataChecksums: row.data_checksums === 'on',
    },
    now: row.now,
    settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    databases,
    extensions: [...extensions],
    tablespaces,
    warnings,
  };
}

export async function readTablespaces(session: Session): Promise<BaseManifest['tablespaces']> {
  const rows = await session.query<BaseManifest['tablespaces'][number]>(
    `SELECT spcname::text AS name, oid, pg_tablespace_location(oid) AS location
       FROM pg_tablespace WHERE spcname !~ '^pg_' ORDER BY oid`,
  );
  return [...rows];
}

const providers: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin' };

async function readDatabases(session: Session): Promise<Pick<ServerFacts, 'databases' | 'warnings'>> {
  const rows = await session.query<{
    readonly name: string;
    readonly oid: number;
    readonly bytes: string | null;
    readonly encoding: string;
    readonly collate: string;
    readonly provider: string;
    readonly version: string | null;
    readonly actual: string | null;
  }>(`SELECT datname::text AS name, oid, pg_encoding_to_char(encoding)::text AS encoding, datcollate::text AS collate,
        datlocprovider::text AS provider, datcollversion AS version, pg_database_collation_actual_version(oid) AS actual,
        CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
          THEN pg_database_size(oid)::text END AS bytes
      FROM pg_database ORDER BY datname`);
  const unknown = rows.filter(({ bytes }) => bytes === null).map(({ name }) => `'${name}'`);
  const moved = rows.filter(({ version, actual }) => version !== null && actual !== null && version !== actual);
  return {
    databases: rows.map((row) => ({
      name: row.name,
      oid: row.oid,
      bytes: Number(row.bytes ?? 0),
      encoding: row.encoding,
      collate: row.collate,
      localeProvider: providers[row.provider] ?? row.provider,
      collationVersion: row.version,
    })),
    warnings: [
      ...(unknown.length === 0
        ? []
        : [`the sizes of databases ${unknown.join(', ')} may not be read: GRANT pg_read_all_stats to the role`]),
      ...moved.map(
        ({ name, version, actual }) =>
          `database '${name}' was made with version ${String(version)} of its collation and the server has ${String(actual)}: its text indexes may be out of order already, REINDEX them and run ALTER DATABASE … REFRESH COLLATION VERSION`,
      ),
    ],
  };
}

export async function readIdentity(session: Session): Promise<Identity> {
  const [row] = await session.query<Identity>(
    `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
       pg_is_in_recovery() AS "inRecovery", ${utcNow} AS now,
       pg_snapshot_xmax(pg_current_snapshot())::text AS "nextXid"`,
  );
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  return row;
}

/**
 * Both connections must be with one server: behind a name that follows the primary, or a proxy, they needn't be.
 * Throws PostgresRefused.
 */
export async function assertSameServer(session: Session, walsenderPid: number, server: Server): Promise<void> {
  const rows = await session.query(
    `SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_type = 'walsender' AND usename = current_user`,
    [walsenderPid],
  );
  if (rows.length > 0) return;
  throw new HoldfastError(
    'PostgresRefused',
    `two connections to ${describeServer(server)} did not reach the same server: a pooler or a balancer is between`,
    'give the host and port of one server itself (CloudNativePG: the service that ends in -rw, or a pod)',
  );
}

/** 5min, 1h, … as pg_settings shows it, in milliseconds. */
export async function checkpointTimeoutMs(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly ms: string }>(
    `SELECT (extract(epoch FROM current_setting('checkpoint_timeout')::interval) * 1000)::bigint::text AS ms`,
  );
  return Number(row?.ms ?? 0);
}
