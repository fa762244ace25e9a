import type { ConnectionOptions } from 'node:tls';
import { clientFailure, isPoolersAnswer, makeClient, openInTurn, poolerRefused, startOptions } from './client.ts';
import { postgresFailure, sqlState } from './failures.ts';
import { quoteLiteral } from './quote.ts';
import { replicationFailure } from './replication/failures.ts';
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
  /**
   * A walsender's session, for what lasts as long as the server: one that is told to stop when its sessions have ended
   * (smart shutdown, SIGTERM) waits for ordinary sessions only. Takes one of max_wal_senders and the right to replicate.
   */
  readonly asWalSender?: boolean;
}

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
  const doing = `connect to ${describeServer(server)}, database '${database}'`;
  return openInTurn(
    server,
    signal,
    (ssl) => open(server, { ...options, database }, ssl),
    (error) =>
      options.asWalSender === true && sqlState(error) !== '28000'
        ? replicationFailure(error, doing, server)
        : postgresFailure(error, doing),
  );
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

/** @throws whatever the library throws; `connect` gives it its name */
async function open(
  server: Server,
  options: ConnectOptions & { readonly database: string },
  ssl: ConnectionOptions | false,
): Promise<Session> {
  const { signal, database, applicationName, asWalSender = false } = options;
  const replication = asWalSender ? 'database' : undefined;
  const client = makeClient(server, { database, applicationName, signal, settings: startOptions, replication }, ssl);
  const { library, close } = client;
  const query = async <Row>(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> => {
    try {
      const [text, parameters] = asWalSender ? [withLiterals(sql, values), []] : [sql, [...values]];
      const result: unknown = await library.query(text, parameters);
      const last = (Array.isArray(result) ? result.at(-1) : result) as { readonly rows: readonly Row[] };
      return last.rows;
    } catch (error) {
      throw clientFailure(error, client, signal, `query ${describeServer(server)}, database '${database}'`);
    }
  };
  try {
    await library.connect();
    const [first] = await query<{ readonly pid: number; readonly version_num: number }>(openingQuery);
    if (first === undefined) throw new Error('the server answered the first query with nothing');
    if (first.pid !== library.processID) throw poolerRefused(server);
    return { query, versionNum: first.version_num, backendPid: first.pid, close };
  } catch (error) {
    await close();
    throw isPoolersAnswer(error) ? poolerRefused(server, error) : error;
  }
}

/** A walsender knows the simple protocol only. */
const withLiterals = (sql: string, values: readonly unknown[]) =>
  sql.replaceAll(/\$(\d+)/g, (_, place: string) => quoteLiteral(String(values[Number(place) - 1])));
