import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { HoldfastError } from '../domain/errors.ts';
import { postgresFailure, sqlState } from './failures.ts';
import { describeServer, type Server } from './server.ts';

/** What ordinary sessions and those of the replication protocol have in common: how to get to the server. */

const connectTimeoutMs = 15_000;
const closeTimeoutMs = 5_000;

/**
 * Settings of roles and databases must not change what a session of ours reads, nor end it. Options of the start
 * packet win over ALTER ROLE and ALTER DATABASE … SET.
 */
export const startOptions: readonly string[] = [
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

/** What the library has and its types don't tell. */
interface Inside {
  readonly connection: WireConnection;
  /** Of the server's process, as it said at the start. */
  readonly processID: number | null;
}

export interface WireConnection {
  /** Another one once TLS has begun. */
  readonly stream: Duplex;
  on(event: string, listener: (message: never) => void): unknown;
  off(event: string, listener: (message: never) => void): unknown;
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

export interface Client {
  readonly library: pg.Client & Inside;
  /** What broke the connection while nobody asked anything; undefined while it is whole. */
  broken(): unknown;
  /** Ends it at once, and what runs in it. */
  destroy(): void;
  /** Never fails; ends the connection also when it is broken. */
  readonly close: () => Promise<void>;
}

export interface ClientOptions {
  readonly database: string;
  readonly applicationName: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** `name=value`, with a backslash before each space of the value. */
  readonly settings: readonly string[];
  /** `true`: physical replication, and no queries; `database`: a walsender that answers queries, too. */
  readonly replication?: 'true' | 'database' | undefined;
}

/** A client that isn't connected yet. Aborting the signal destroys it. */
export function makeClient(server: Server, options: ClientOptions, ssl: ConnectionOptions | false): Client {
  const { signal } = options;
  const library = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    // A function, or the library looks for a password file of its own.
    password: () => server.password ?? '',
    database: options.database,
    ssl,
    sslnegotiation: 'postgres',
    application_name: options.applicationName ?? 'holdfast',
    options: options.settings.map((setting) => `-c ${setting}`).join(' '),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 60_000,
    ...(options.replication === undefined ? {} : { replication: options.replication }),
  }) as pg.Client & Inside;
  // What breaks an idle session is told to its next query; without a listener it would end the process.
  let broken: unknown;
  library.on('error', (error) => {
    broken ??= error;
  });
  const destroy = () => {
    library.connection.stream.destroy();
  };
  signal?.addEventListener('abort', destroy, { once: true });
  return {
    library,
    broken: () => broken,
    destroy,
    async close() {
      signal?.removeEventListener('abort', destroy);
      const timer = setTimeout(destroy, closeTimeoutMs);
      await library.end().catch(() => undefined);
      clearTimeout(timer);
    },
  };
}

/**
 * Opens a connection in each way that sslmode allows, in libpq's order, until one lets us in. Fails with the signal's
 * reason, or with what `failureOf` makes of the first error.
 */
export async function openInTurn<T>(
  server: Server,
  signal: AbortSignal | undefined,
  open: (ssl: ConnectionOptions | false) => Promise<T>,
  failureOf: (error: unknown) => HoldfastError,
): Promise<T> {
  signal?.throwIfAborted();
  let failure: unknown;
  for (const ssl of await tlsChoices(server)) {
    try {
      return await open(ssl);
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      // A server that has no TLS has not said yet what it makes of us.
      failure = failure === undefined || hasNoTls(failure) ? error : failure;
      if (!worthWithoutTls(error)) throw failureOf(error);
    }
  }
  throw failureOf(failure);
}

/**
 * What a client's error means: the signal's reason once that is aborted, what broke the connection where the error is
 * only that it is broken, otherwise what postgresFailure says.
 */
export function clientFailure(
  error: unknown,
  client: Client,
  signal: AbortSignal | undefined,
  doing: string,
  name: (error: unknown, doing: string) => HoldfastError = postgresFailure,
): unknown {
  if (signal?.aborted === true) return signal.reason;
  return name(sqlState(error) === undefined ? (client.broken() ?? error) : error, doing);
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

const worthWithoutTls = (error: unknown) => sqlState(error) === '28000' || hasNoTls(error);

const hasNoTls = (error: unknown) => error instanceof Error && error.message.includes('does not support SSL');

/** A pooler hands out cancel keys of its own, so its process id isn't the backend's; or it refuses our start options. */
export function poolerRefused(server: Server, cause?: unknown): HoldfastError {
  return new HoldfastError(
    'PostgresRefused',
    `${describeServer(server)} is a connection pooler, not PostgreSQL itself: a backup or restore through it is broken`,
    "give the host and port of the server (CloudNativePG: the service that ends in -rw or -r, not the pooler's)",
    cause === undefined ? undefined : { cause },
  );
}

export const isPoolersAnswer = (error: unknown) =>
  error instanceof Error && /unsupported startup parameter/i.test(error.message);
