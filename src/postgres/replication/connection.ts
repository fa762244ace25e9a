import { once } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import { parseLsn, type Lsn } from '../../domain/wal.ts';
import {
  clientFailure,
  isPoolersAnswer,
  makeClient,
  openInTurn,
  poolerRefused,
  startOptions,
  type Client,
} from '../client.ts';
import { describeServer, type Server } from '../server.ts';
import { Exchange, type ExchangeHandlers, type Row } from './exchange.ts';
import { replicationFailure, tooOld } from './failures.ts';

export type { Row } from './exchange.ts';

/**
 * A connection in the streaming replication protocol (physical: only its own commands, no SQL). One command at a time.
 * Every method fails with PostgresUnavailable (may pass: ended, stopping, no place), PostgresRefused (somebody must
 * change something: the hint holds the line for pg_hba.conf or the ALTER ROLE) or what else postgresFailure makes of
 * the server's error, whose SQLSTATE `sqlState` finds; with the signal's own reason once that is aborted.
 */
export interface ReplicationSession {
  /** IDENTIFY_SYSTEM. On a standby xlogpos is what has been flushed there. */
  identify(): Promise<{ readonly systemIdentifier: string; readonly timeline: number; readonly xlogpos: Lsn }>;

  /**
   * A command that answers with at most one result set: SHOW, CREATE_REPLICATION_SLOT, READ_REPLICATION_SLOT,
   * DROP_REPLICATION_SLOT, TIMELINE_HISTORY. Rows as the server sent them, without decoding: name to text.
   */
  command(sql: string): Promise<readonly Row[]>;

  /**
   * A command that answers with result sets and one copy between them: BASE_BACKUP. Rejects with what a handler threw,
   * as it was thrown; the connection is ended then, as nothing else stops the server from sending.
   */
  copyOut(sql: string, handlers: CopyOutHandlers): Promise<void>;

  /**
   * A command that takes bytes: UPLOAD_MANIFEST. Where the body fails, the server forgets what it has got, and this
   * rejects with the body's error, as it was thrown.
   */
  copyIn(sql: string, body: AsyncIterable<Uint8Array>): Promise<void>;

  /**
   * START_REPLICATION: both sides send until both have ended. Resolves once the server has begun to stream; at once
   * `started: false` where there is nothing to stream on that timeline (then `finished` has the row of the next one).
   */
  copyBoth(sql: string, handlers: { onData(message: Uint8Array): Promise<void> | undefined }): Promise<CopyBoth>;

  /** 150018 is 15.18; never less than 150000. */
  readonly versionNum: number;
  /** The walsender's process id, as in pg_stat_activity and pg_stat_replication. */
  readonly backendPid: number;
  /** What the server said beside its answers so far, the last hundred: damaged pages, what it waits for. */
  readonly notices: readonly Notice[];
  /** Never fails; ends whatever runs. */
  close(): Promise<void>;
}

export interface Notice {
  /** 01… is a warning, 00000 a notice. */
  readonly sqlState: string;
  readonly text: string;
}

export interface CopyOutHandlers {
  /** A whole result set, in the order in which it came among the messages. */
  onRows(rows: readonly Row[]): void;
  /**
   * One CopyData message. The bytes are valid until this returns, or until its promise resolves: nothing more is read
   * from the server until then. Returning undefined is the fast way where nothing has to be waited for.
   */
  onData(message: Uint8Array): Promise<void> | undefined;
}

export interface CopyBoth {
  readonly started: boolean;
  /** One CopyData message to the server; resolves once the socket takes more. */
  send(message: Uint8Array): Promise<void>;
  /** Ends our side. The server sends what is under way and ends its own; see `finished`. May be called twice. */
  done(): void;
  /**
   * Resolves once both sides have ended, with the rows that the server sent then: empty, or next_tli and
   * next_tli_startpos where the timeline has ended. A server that ends first is answered by itself, after its last
   * message has been handled. Rejects as every method does, and with what onData threw.
   */
  readonly finished: Promise<readonly Row[]>;
}

export interface ReplicationOptions {
  /** Shows in pg_stat_activity; cut to 63 bytes by the server. */
  readonly applicationName?: string;
  /** Aborting ends the connection at once, and the walsender with it. */
  readonly signal?: AbortSignal;
  /**
   * wal_sender_timeout of this connection, in milliseconds. Default 0, never: a store that is slow for an hour doesn't
   * end a backup. A peer that is gone is noticed by TCP keepalives within about two minutes all the same.
   */
  readonly walSenderTimeoutMs?: number;
}

const keptNotices = 100;

/**
 * Connects for physical replication, with the TLS choices and error names of an ordinary session. The server is
 * PostgreSQL 15 or newer, not a pooler that says so by refusing our start packet (one that passes replication on is
 * only found by comparing backendPid with pg_stat_activity in an ordinary session).
 */
export function connectForReplication(server: Server, options: ReplicationOptions = {}): Promise<ReplicationSession> {
  return openInTurn(
    server,
    options.signal,
    (ssl) => open(server, options, ssl),
    (error) => replicationFailure(error, `connect to ${describeServer(server)} for replication`, server),
  );
}

/** Opens a session for as long as `use` takes. */
export async function withReplication<T>(
  server: Server,
  options: ReplicationOptions,
  use: (session: ReplicationSession) => Promise<T>,
): Promise<T> {
  const session = await connectForReplication(server, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

async function open(
  server: Server,
  options: ReplicationOptions,
  ssl: ConnectionOptions | false,
): Promise<ReplicationSession> {
  const { signal, applicationName } = options;
  const settings = [
    ...startOptions,
    'idle_session_timeout=0',
    `wal_sender_timeout=${String(options.walSenderTimeoutMs ?? 0)}`,
    // A reader that takes its time is no dead one; a dead one is noticed by these.
    'tcp_user_timeout=0',
    'tcp_keepalives_idle=60',
    'tcp_keepalives_interval=10',
    'tcp_keepalives_count=6',
  ];
  const { database } = server;
  const client = makeClient(server, { database, applicationName, signal, settings, replication: 'true' }, ssl);
  try {
    await client.library.connect();
    const session = new WireSession(server, client, signal);
    await session.learnVersion();
    return session;
  } catch (error) {
    await client.close();
    throw isPoolersAnswer(error) ? poolerRefused(server, error) : error;
  }
}

class WireSession implements ReplicationSession {
  readonly #server: Server;
  readonly #client: Client;
  readonly #signal: AbortSignal | undefined;
  readonly #notices: Notice[] = [];
  #versionNum = 0;

  constructor(server: Server, client: Client, signal: AbortSignal | undefined) {
    this.#server = server;
    this.#client = client;
    this.#signal = signal;
    client.library.on('notice', ({ code, message }) => {
      this.#notices.push({ sqlState: code ?? '', text: message ?? '' });
      if (this.#notices.length > keptNotices) this.#notices.shift();
    });
  }

  get versionNum(): number {
    return this.#versionNum;
  }

  get backendPid(): number {
    return this.#client.library.processID ?? 0;
  }

  get notices(): readonly Notice[] {
    return this.#notices;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async learnVersion(): Promise<void> {
    const [row] = await this.command('SHOW server_version_num');
    this.#versionNum = Number(row?.['server_version_num']);
    if (!(this.#versionNum >= 150_000)) throw tooOld(this.#server, this.#versionNum);
  }

  async identify() {
    const [row] = await this.command('IDENTIFY_SYSTEM');
    return {
      systemIdentifier: row?.['systemid'] ?? '',
      timeline: Number(row?.['timeline']),
      xlogpos: parseLsn(row?.['xlogpos'] ?? ''),
    };
  }

  async command(sql: string): Promise<readonly Row[]> {
    let last: readonly Row[] = [];
    const exchange = this.#exchange(sql, {
      onRows: (rows) => {
        last = rows;
      },
    });
    await this.#named(sql, exchange.finished);
    return last;
  }

  async copyOut(sql: string, handlers: CopyOutHandlers): Promise<void> {
    const thrown = new Thrown();
    const exchange = this.#exchange(sql, {
      onRows: (rows) => {
        void thrown.by(() => {
          handlers.onRows(rows);
          return undefined;
        });
      },
      onData: (message) => thrown.by(() => handlers.onData(message)),
    });
    await this.#named(sql, exchange.finished, thrown);
  }

  async copyIn(sql: string, body: AsyncIterable<Uint8Array>): Promise<void> {
    const thrown = new Thrown();
    const exchange: Exchange = this.#exchange(sql, {
      onCopyIn: () => {
        void this.#sendAll(exchange, body, thrown);
      },
    });
    await this.#named(sql, exchange.finished, thrown);
  }

  async copyBoth(sql: string, handlers: { onData(message: Uint8Array): Promise<void> | undefined }): Promise<CopyBoth> {
    const thrown = new Thrown();
    let last: readonly Row[] = [];
    let ended = false;
    const { connection } = this.#client.library;
    const done = () => {
      if (ended || exchange.isOver) return;
      ended = true;
      connection.endCopyFrom();
    };
    let exchange!: Exchange;
    const started = new Promise<boolean>((resolve) => {
      exchange = this.#exchange(sql, {
        onRows: (rows) => {
          last = rows;
        },
        onData: (message) => thrown.by(() => handlers.onData(message)),
        onCopyIn: () => {
          resolve(true);
        },
        onCopyDone: done,
      });
      const over = () => {
        resolve(false);
      };
      exchange.finished.catch(() => undefined).finally(over);
    });
    const finished = this.#named(sql, exchange.finished, thrown).then(() => last);
    finished.catch(() => undefined);
    const isStarted = await started;
    if (!isStarted) await finished;
    return { started: isStarted, finished, done, send: (message) => this.#send(exchange, message) };
  }

  #exchange(sql: string, handlers: Partial<ExchangeHandlers>): Exchange {
    const exchange = new Exchange(this.#client, sql, {
      onRows: () => undefined,
      onData: () => undefined,
      onCopyIn: () => undefined,
      onCopyDone: () => undefined,
      ...handlers,
    });
    exchange.start();
    return exchange;
  }

  async #sendAll(exchange: Exchange, body: AsyncIterable<Uint8Array>, thrown: Thrown): Promise<void> {
    const { connection } = this.#client.library;
    try {
      for await (const chunk of body) {
        if (exchange.isOver) return;
        await this.#send(exchange, chunk);
      }
      connection.endCopyFrom();
    } catch (error) {
      if (exchange.isOver) return;
      thrown.set(error);
      connection.sendCopyFail('the client could not read what it was to send');
    }
  }

  async #send(exchange: Exchange, message: Uint8Array): Promise<void> {
    const { connection } = this.#client.library;
    const { stream } = connection;
    if (exchange.isOver || stream.destroyed) {
      // What ended it is what is to be said.
      await exchange.finished;
      throw new Error('the copy has ended');
    }
    connection.sendCopyFromChunk(message);
    if (!stream.writableNeedDrain) return;
    const heard = new AbortController();
    const drained = once(stream, 'drain', { signal: heard.signal });
    const closed = once(stream, 'close', { signal: heard.signal });
    await Promise.race([drained, closed, exchange.finished].map((each) => each.catch(() => undefined)));
    heard.abort();
    await Promise.allSettled([drained, closed]);
  }

  async #named(sql: string, running: Promise<void>, thrown?: Thrown): Promise<void> {
    try {
      await running;
    } catch (error) {
      if (this.#signal?.aborted === true) throw this.#signal.reason;
      if (thrown?.isSet === true) throw thrown.error;
      const verb = /^[A-Z_]*/.exec(sql)?.[0] ?? '';
      throw clientFailure(error, this.#client, this.#signal, `run ${verb} on ${describeServer(this.#server)}`, (e, d) =>
        replicationFailure(e, d, this.#server),
      );
    }
  }
}

/** The first error of the caller's own code: it is thrown on as it is. */
class Thrown {
  isSet = false;
  error: unknown;

  set(error: unknown): void {
    if (this.isSet) return;
    this.isSet = true;
    this.error = error;
  }

  by(act: () => Promise<void> | undefined): Promise<void> | undefined {
    try {
      return act()?.catch((error: unknown) => {
        this.set(error);
        throw error;
      });
    } catch (error) {
      this.set(error);
      throw error;
    }
  }
}
