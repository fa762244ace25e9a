import { HoldfastError } from '../../domain/errors.ts';
import type { BaseManifest } from '../../domain/base-manifest.ts';
import { connect, withSession, type Session } from '../connection.ts';
import { endLeftovers } from '../dump/leftovers.ts';
import { connectForReplication, type ReplicationSession } from '../replication/connection.ts';
import { describeServer, type Server } from '../server.ts';
import { BackupStream, compressionOf, type Packing, type ReceivedBackup } from './backup-stream.ts';
import { assertLabel, attemptsFor, baseBackupCommand, type CommandWishes, type CompressionWish } from './command.ts';
import { packConfiguration, readConfiguration } from './configuration.ts';
import {
  assertSameServer,
  checkpointTimeoutMs,
  readFacts,
  readIdentity,
  readTablespaces,
  type ServerFacts,
} from './facts.ts';
import { backupFailure, refusesCompression, stalledBackup, warningsOf } from './failures.ts';
import { holdWal } from './hold-wal.ts';
import { assertIncrementable, incrementalFailure, type ParentBackup } from './incremental.ts';
import { StallWatch } from './stall.ts';
import type { BackupSink, StoredBytes } from './targets.ts';

export type { CompressionWish } from './command.ts';
export { IncrementalImpossible, type ParentBackup } from './incremental.ts';
export type { BackupSink, StoredBytes } from './targets.ts';

export interface BaseBackupRequest<Stored extends StoredBytes> extends CommandWishes {
  /** The primary, or a standby. */
  readonly server: Server;
  /**
   * Names this attempt in pg_stat_activity: ASCII, at most 63 characters, begins with 'holdfast '. Backends of that
   * name, and of the earlier attempts', are ended before; of that name also after a failure.
   */
  readonly applicationName: string;
  readonly earlierNames?: readonly string[];
  readonly signal: AbortSignal;
  readonly compression: CompressionWish;
  /** Only what has changed since that backup (PostgreSQL 17 and newer). */
  readonly parent?: ParentBackup;
  /** Refused where the server is another system. */
  readonly expectedSystemIdentifier?: string;
  /**
   * Opens the object of that name in the backup's own directory: conf.tar, `<oid>.tar`, base.tar with the ending of their
   * compression, backup_manifest; in that order. Two are open at most: one is made durable while the next one comes.
   */
  readonly open: (name: string, about: ObjectHint) => Promise<BackupSink<Stored>>;
  /** Longest silence of server or sink, in milliseconds; default 30 minutes. A spread checkpoint may take its time besides. */
  readonly stallMs?: number;
  /** Called often. */
  readonly onProgress?: (progress: BaseBackupProgress) => void;
}

export interface ObjectHint {
  readonly systemIdentifier: string;
  /** A guess, before compression. */
  readonly expectedBytes: number;
}

export interface BaseBackupProgress {
  /** checkpoint: nothing has been sent yet. */
  readonly phase: 'preparing' | 'checkpoint' | 'copying' | 'finishing';
  /** Of the cluster's files, before compression, … */
  readonly bytes: number;
  /** … of so many; the server's estimate, 0 until it has made one; an incremental backup sends less. */
  readonly total: number;
  readonly storedBytes: number;
}

/** What a manifest says about a base backup; ids and keys are the caller's. */
export interface BaseBackupTaken<Stored extends StoredBytes> extends Pick<
  BaseManifest,
  | 'type'
  | 'server'
  | 'startLsn'
  | 'startTimeline'
  | 'stopLsn'
  | 'stopTimeline'
  | 'serverStartedAt'
  | 'serverFinishedAt'
  | 'nextXid'
  | 'settings'
  | 'databases'
  | 'extensions'
  | 'tablespaces'
  | 'tools'
  | 'warnings'
> {
  /** Tablespaces in the server's order, the data directory last. */
  readonly archives: readonly (Pick<BaseManifest['archives'][number], 'tablespace' | 'compression' | 'plainBytes'> & {
    readonly name: string;
    readonly stored: Stored;
  })[];
  readonly backupManifest: { readonly name: string; readonly compression: 'none'; readonly stored: Stored };
  /** null where the main file couldn't be read: then a warning says why. */
  readonly configuration: {
    readonly name: string;
    readonly compression: 'none';
    readonly files: string[];
    readonly stored: Stored;
  } | null;
  /** It restores alone. */
  readonly walIncluded: boolean;
}

const defaultStallMs = 30 * 60_000;
const cleanUpPatienceMs = 10_000;

/**
 * Takes a base backup with BASE_BACKUP and writes it, as it comes, into objects; nothing touches a disk of the worker's.
 * Memory is bounded whatever the cluster's size: two buffers of half a megabyte and what the sinks hold.
 *
 * Rejects with PostgresUnavailable (ended, stopped, promoted meanwhile, silent for too long: take it again),
 * PostgresRefused (rights, pg_hba.conf, too old, damaged pages), as IncrementalImpossible where only a full backup helps,
 * with ConfigurationChanged for another system than expected, InvalidArgument, DumpFailed where the server breaks the protocol,
 * StoreUnavailable where the sink takes nothing, with what `open` or a sink threw, or with the signal's reason. The
 * server's process is ended then, and every object that isn't finished is aborted; what was finished is the caller's to
 * throw away.
 */
export async function takeBaseBackup<Stored extends StoredBytes>(
  request: BaseBackupRequest<Stored>,
): Promise<BaseBackupTaken<Stored>> {
  assertLabel(request.label);
  const run = new Run(request);
  try {
    return await run.take();
  } catch (error) {
    throw await run.giveUp(error);
  } finally {
    await run.close();
  }
}

/** One attempt, and what it holds open. */
class Run<Stored extends StoredBytes> {
  readonly #request: BaseBackupRequest<Stored>;
  /** Aborted when it has stalled. */
  readonly #stalled = new AbortController();
  readonly #signal: AbortSignal;
  readonly #stallMs: number;
  readonly #watch: StallWatch;
  #session: Session | undefined;
  #replication: ReplicationSession | undefined;
  #facts: ServerFacts | undefined;
  /** What is to be aborted after a failure. */
  #open: { abort(): Promise<void> } | undefined;
  #progress: BaseBackupProgress = { phase: 'preparing', bytes: 0, total: 0, storedBytes: 0 };

  constructor(request: BaseBackupRequest<Stored>) {
    this.#request = request;
    this.#signal = AbortSignal.any([request.signal, this.#stalled.signal]);
    this.#stallMs = request.stallMs ?? defaultStallMs;
    this.#watch = new StallWatch(this.#stallMs, (waitingFor, limitMs) => {
      this.#stalled.abort(stalledBackup(request.server, waitingFor, limitMs, this.#replication?.notices ?? []));
    });
  }

  async take(): Promise<BaseBackupTaken<Stored>> {
    const { server, parent } = this.#request;
    this.#report({});
    const session = await this.#connect();
    const replication = await this.#connectForReplication(session);
    const facts = await readFacts(session);
    this.#facts = facts;
    await this.#assertExpected(facts, replication);
    if (parent !== undefined) await assertIncrementable(session, facts, parent);
    const configuration = await this.#storeConfiguration(session, facts);
    const spread = this.#request.checkpoint === 'spread' ? await checkpointTimeoutMs(session) : 0;
    this.#report({ phase: 'checkpoint' });
    this.#watch.setLimit(this.#stallMs + spread);
    const { received, packing, warnings } = await this.#copy(replication, facts).catch((error: unknown) => {
      throw parent !== undefined && this.#progress.phase === 'checkpoint' ? incrementalFailure(error, parent) : error;
    });
    const end = await this.#asAtTheEnd();
    if (end.identity.systemIdentifier !== facts.server.systemIdentifier)
      throw new HoldfastError(
        'PostgresUnavailable',
        `${describeServer(server)} became another system while its base backup was taken`,
        'take it again',
      );
    return {
      type: parent === undefined ? 'full' : 'incremental',
      server: facts.server,
      startLsn: received.start.lsn,
      startTimeline: received.start.timeline,
      stopLsn: received.stop.lsn,
      stopTimeline: received.stop.timeline,
      serverStartedAt: facts.now,
      serverFinishedAt: end.identity.now,
      nextXid: end.identity.nextXid,
      archives: received.archives.map(({ name, tablespace, plainBytes, stored }) => ({
        ...{ name, tablespace, plainBytes, stored },
        compression: compressionOf(packing),
      })),
      backupManifest: { name: 'backup_manifest', compression: 'none', stored: received.manifest },
      configuration: configuration.stored,
      settings: facts.settings,
      databases: facts.databases,
      extensions: facts.extensions,
      tablespaces: namedTablespaces(received, [...end.tablespaces, ...facts.tablespaces]),
      tools: {
        PostgreSQL: facts.server.version,
        ...(packing.by === 'worker' ? { [packing.compressor.name]: packing.compressor.version } : {}),
      },
      warnings: [
        ...facts.warnings,
        ...configuration.warnings,
        ...warnings,
        ...warningsOf(replication.notices),
        ...switchedTimelines(received),
      ],
      walIncluded: this.#request.wal === true,
    };
  }

  /** What the failure is to be called. Ends and aborts what is open; never fails. */
  async giveUp(error: unknown): Promise<unknown> {
    this.#watch.stop();
    const notices = this.#replication?.notices ?? [];
    await this.#replication?.close();
    await this.#open?.abort();
    const { server, applicationName } = this.#request;
    if (this.#signal.aborted) {
      await this.#endBackends();
      return this.#signal.reason as unknown;
    }
    const about = { server, wasInRecovery: this.#facts?.server.inRecovery === true, notices };
    const named = await backupFailure(error, about, () => connect(server, { applicationName, signal: this.#signal }));
    await this.#endBackends();
    return named;
  }

  async close(): Promise<void> {
    this.#watch.stop();
    await this.#replication?.close();
    await this.#session?.close();
  }

  async #connect(): Promise<Session> {
    const { server, applicationName, earlierNames = [] } = this.#request;
    const session = await connect(server, { applicationName, signal: this.#signal });
    this.#session = session;
    await endLeftovers(session, [...earlierNames, applicationName]);
    return session;
  }

  async #connectForReplication(session: Session): Promise<ReplicationSession> {
    const { server, applicationName } = this.#request;
    const replication = await connectForReplication(server, { applicationName, signal: this.#signal });
    this.#replication = replication;
    await assertSameServer(session, replication.backendPid, server);
    return replication;
  }

  async #assertExpected(facts: ServerFacts, replication: ReplicationSession): Promise<void> {
    const { server, expectedSystemIdentifier } = this.#request;
    const { systemIdentifier } = await replication.identify();
    const expected = expectedSystemIdentifier ?? facts.server.systemIdentifier;
    if (systemIdentifier === expected && facts.server.systemIdentifier === expected) return;
    throw new HoldfastError(
      'ConfigurationChanged',
      `${describeServer(server)} is system ${systemIdentifier}, not ${expected}`,
      'it was made anew, upgraded, or is another one: check where the configuration points',
    );
  }

  async #storeConfiguration(session: Session, facts: ServerFacts) {
    const read = await readConfiguration(session);
    if (read.files.length === 0) return { stored: null, warnings: read.warnings };
    const tar = await packConfiguration(read);
    const { systemIdentifier } = facts.server;
    const name = 'conf.tar';
    const sink = await this.#watch.taking(this.#request.open(name, { systemIdentifier, expectedBytes: tar.length }));
    this.#open = sink;
    await this.#watch.taking(sink.write(tar));
    const stored = await this.#watch.taking(sink.finish());
    this.#open = undefined;
    const files = read.files.map((file) => file.name);
    return { stored: { name, compression: 'none' as const, files, stored }, warnings: read.warnings };
  }

  async #copy(
    replication: ReplicationSession,
    facts: ServerFacts,
  ): Promise<{
    readonly received: ReceivedBackup<Stored>;
    readonly packing: Packing;
    readonly warnings: readonly string[];
  }> {
    const { parent, compression, open } = this.#request;
    const { systemIdentifier } = facts.server;
    if (parent !== undefined) await replication.copyIn('UPLOAD_MANIFEST', this.#watched(parent.readManifest()));
    let refusal: unknown;
    let warning: string | undefined;
    for (const [number, attempt] of attemptsFor(compression).entries()) {
      if (this.#request.wal === true) warning = await holdWal(replication, number);
      const stream = new BackupStream<Stored>({
        packing: attempt.packing,
        watch: this.#watch,
        signal: this.#signal,
        open: (name, expectedBytes) => open(name, { systemIdentifier, expectedBytes }),
        onBegun: () => {
          this.#report({ phase: 'copying' });
          this.#watch.setLimit(this.#stallMs);
        },
        onProgress: ({ bytes, total, stored }) => {
          this.#report({ bytes, total, storedBytes: stored });
        },
      });
      this.#open = stream;
      try {
        await replication.copyOut(baseBackupCommand(this.#request, parent !== undefined, attempt), stream);
        this.#report({ phase: 'finishing' });
        const received = await stream.end();
        return { received, packing: attempt.packing, warnings: warning === undefined ? [] : [warning] };
      } catch (error) {
        if (stream.begun || !refusesCompression(error)) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  async *#watched(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      this.#watch.moved();
      yield chunk;
    }
  }

  /** By the session of the beginning, or another one where that was lost in the meantime. */
  async #asAtTheEnd() {
    const read = async (session: Session) => {
      const identity = await readIdentity(session);
      const tablespaces = await readTablespaces(session);
      return { identity, tablespaces };
    };
    const { server, applicationName } = this.#request;
    const first = this.#session;
    if (first === undefined) throw new TypeError('there is no session');
    return read(first).catch(() => withSession(server, { applicationName, signal: this.#signal }, read));
  }

  /** A walsender that waits for a checkpoint hasn't noticed that nobody listens any more. */
  async #endBackends(): Promise<void> {
    const { server, applicationName } = this.#request;
    const signal = AbortSignal.timeout(cleanUpPatienceMs);
    await withSession(server, { signal }, (session) => endLeftovers(session, [applicationName])).catch(() => undefined);
  }

  #report(change: Partial<BaseBackupProgress>): void {
    this.#progress = { ...this.#progress, ...change };
    this.#request.onProgress?.(this.#progress);
  }
}

/** The archives say which tablespaces there are; sessions, what they are called. */
function namedTablespaces(
  { announced }: ReceivedBackup<unknown>,
  known: BaseManifest['tablespaces'],
): BaseManifest['tablespaces'] {
  return announced.flatMap(({ tablespace: oid, location }) => {
    if (oid === null) return [];
    const name = known.find((each) => each.oid === oid)?.name ?? String(oid);
    return [{ name, oid, location: location ?? '' }];
  });
}

const switchedTimelines = ({ start, stop }: ReceivedBackup<unknown>) =>
  start.timeline === stop.timeline
    ? []
    : [
        `the server went over from timeline ${String(start.timeline)} to ${String(stop.timeline)} while the backup was taken: a restore needs the WAL of both`,
      ];
