import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { HoldfastError } from '../domain/errors.ts';
import { postgresFailure, sqlState } from './failures.ts';
import { describeServer, type Server } from './server.ts';

export { quoteIdent, quoteLiteral } from './quote.ts';
export type { Server } from './server.ts';
export { withToolEnvironment } from './tool-environment.ts';

export interface Session {
  /**
   * One query at a time. Without values several statements may be given, and the rows of the last are returned.
   * int8 and numeric come as text, timestamptz as Date. Fails with what postgresFailure makes of the error; with the
   * signal's own reason once that is aborted.
   */
  query<Row>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** 150018 is 15.18. */
  readonly versionNum: number;
  /** The server process's id, as in pg_stat_activity. */
  readonly backendPid: number;
  /** Never fails; ends the session also when it is broken. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  /** Default: the maintenance database. */
  readonly database?: string;
  /** Shows in pg_stat_activity; cut to 63 bytes by the server. */
  readonly applicationName?: string;
  /** Aborting ends the session at once, and what runs in it. */
  readonly signal?: AbortSignal;
}

const connectTimeoutMs = 15_000;
const closeTimeoutMs = 5_000;

/**
 * Settings of roles and databases must not change what a session of ours reads, nor end it. Options of the start
 * packet win over ALTER ROLE and ALTER DATABASE … SET.
 */
const startOptions = [
  'search_path=pg_catalog',
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'default_transaction_isolation=read\\ committed',
  'default_transaction_read_only=off',
  'default_transaction_deferrable=off',
  'row_security=off',
  'standard_conforming_strings=on',
  'bytea_output=hex',
  'DateStyle=ISO',
  'IntervalStyle=postgres',
  'extra_float_digits=3',
];

/** Options that older servers don't know, and `client_connection_check_interval`: a dead worker's query ends by itself. */
const openingQuery = `SELECT pg_catalog.pg_backend_pid() AS pid,
  pg_catalog.current_setting('server_version_num')::int AS version_num,
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000
    THEN pg_catalog.set_config('idle_session_timeout', '0', false) END,
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000 AND pg_catalog.version() ~ 'linux'
    THEN pg_catalog.set_config('client_connection_check_interval', '10s', false) END,
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
    THEN pg_catalog.set_config('transaction_timeout', '0', false) END`;

/**
 * A session whose search_path is pg_catalog, without time-outs, in UTF-8 and ISO dates, directly with the server.
 * Fails with PostgresUnavailable (may pass: not reachable, starting, no free connection) or PostgresRefused (wrong
 * password, no such database, TLS, a pooler in between), or with the signal's reason.
 */
export async function connect(server: Server, options: ConnectOptions = {}): Promise<Session> {
  const database = options.database ?? server.database;
  const { signal } = options;
  signal?.throwIfAborted();
  const doing = `connect to ${describeServer(server)}, database '${database}'`;
  let failure: unknown;
  for (const ssl of await tlsChoices(server)) {
    try {
      return await open(server, { ...options, database }, ssl);
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      failure ??= error;
      if (!worthWithoutTls(error)) throw postgresFailure(error, doing);
    }
  }
  throw postgresFailure(failure, doing);
}

/** Opens a session for as long as `use` takes. */
export async function withSession<T>(
  server: Server,
  options: ConnectOptions,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connect(server, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** What to try, in libpq's order: `prefer` is TLS where the server offers it. Sockets of the same machine have none. */
async function tlsChoices(server: Server): Promise<readonly (ConnectionOptions | false)[]> {
  if (isAbsolute(server.host) || server.sslmode === 'disable') return [false];
  if (server.sslmode === 'prefer') return [{ rejectUnauthorized: false }, false];
  if (server.sslrootcert === undefined) {
    if (server.sslmode === 'require') return [{ rejectUnauthorized: false }];
    throw new HoldfastError(
      'PostgresRefused',
      `sslmode ${server.sslmode} for ${describeServer(server)} needs sslrootcert`,
      "give the file of the certificate authority that signed the server's certificate",
    );
  }
  const ca = await readRootCertificate(server.sslrootcert);
  return server.sslmode === 'verify-full' ? [{ ca }] : [{ ca, checkServerIdentity: () => undefined }];
}

async function readRootCertificate(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new HoldfastError(
      'PostgresRefused',
      `can't read sslrootcert ${file}`,
      'check the path and the modes of the file',
      { cause: error },
    );
  }
}

const worthWithoutTls = (error: unknown) =>
  sqlState(error) === '28000' || (error instanceof Error && error.message.includes('does not support SSL'));

/** @throws whatever the library throws; `connect` gives it its name */
async function open(
  server: Server,
  options: ConnectOptions & { readonly database: string },
  ssl: ConnectionOptions | false,
): Promise<Session> {
  const { signal, database } = options;
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    // A function, or the library looks for a password file of its own.
    password: () => server.password ?? '',
    database,
    ssl,
    sslnegotiation: 'postgres',
    application_name: options.applicationName ?? 'holdfast',
    options: startOptions.map((setting) => `-c ${setting}`).join(' '),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 60_000,
  }) as pg.Client & Inside;
  // What breaks an idle session is told to its next query; without a listener it would end the process.
  let broken: unknown;
  client.on('error', (error) => {
    broken ??= error;
  });
  const destroy = () => {
    client.connection.stream.destroy();
  };
  signal?.addEventListener('abort', destroy, { once: true });
  const close = async () => {
    signal?.removeEventListener('abort', destroy);
    const timer = setTimeout(destroy, closeTimeoutMs);
    await client.end().catch(() => undefined);
    clearTimeout(timer);
  };
  const query = async <Row>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      const result: unknown = values === undefined ? await client.query(sql) : await client.query(sql, [...values]);
      const last = (Array.isArray(result) ? result.at(-1) : result) as { readonly rows: readonly Row[] };
      return last.rows;
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      const first = sqlState(error) === undefined ? (broken ?? error) : error;
      throw postgresFailure(first, `query ${describeServer(server)}, database '${database}'`);
    }
  };
  try {
    await client.connect();
    const [first] = await query<{ readonly pid: number; readonly version_num: number }>(openingQuery);
    if (first === undefined) throw new Error('the server answered the first query with nothing');
    if (first.pid !== client.processID) throw poolerRefused(server);
    return { query, versionNum: first.version_num, backendPid: first.pid, close };
  } catch (error) {
    await close();
    throw isPoolersAnswer(error) ? poolerRefused(server, error) : error;
  }
}

/** What the library has and its types don't tell. */
interface Inside {
  readonly connection: { readonly stream: { destroy(): void } };
  readonly processID: number | null;
}

/** A pooler hands out cancel keys of its own, so its process id isn't the backend's; or it refuses our start options. */
function poolerRefused(server: Server, cause?: unknown): HoldfastError {
  return new HoldfastError(
    'PostgresRefused',
    `${describeServer(server)} is a connection pooler, not PostgreSQL itself: a dump or restore through it is broken`,
    "give the host and port of the server (CloudNativePG: the service that ends in -rw or -r, not the pooler's)",
    cause === undefined ? undefined : { cause },
  );
}

const isPoolersAnswer = (error: unknown) =>
  error instanceof Error && /unsupported startup parameter/i.test(error.message);
