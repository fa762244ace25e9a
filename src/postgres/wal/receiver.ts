import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { formatLsn, segmentNumber, type Lsn } from '../../domain/wal.ts';
import { connect, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { connectForReplication, type ReplicationSession } from '../replication/connection.ts';
import { describeServer } from '../server.ts';
import { Monitor } from './monitor.ts';
import { archivedOf, storePast, type Past } from './past.ts';
import type { ReceiveInput, ReceiveResult, WalGap } from './receiving.ts';
import { pointOf, resumePoint, type ResumePoint } from './resume.ts';
import type { WalSink } from './sink.ts';
import { dropSlot, ensureSlot, readSlot, slotBusy } from './slot.ts';
import { streamTimeline } from './stream.ts';

const usual = { reportMs: 5_000, inFlight: 3, statusMs: 10_000, stopGraceMs: 20_000, walSenderTimeoutMs: 60_000 };

/** One receiveWal: what it knows from its first question to its last segment. */
export class Receiver {
  readonly #input: ReceiveInput;
  readonly #session: Session;
  readonly #hard: AbortSignal;
  readonly #gaps: WalGap[] = [];
  #replication: ReplicationSession | undefined;
  #systemIdentifier = '';
  #segmentBytes = 0;
  #sink!: WalSink;
  #monitor!: Monitor;
  /** From where on the slot keeps the log, as far as we know. */
  #restartLsn: Lsn = 0n;
  /** Everything before it is archived, so that the server may forget it; null: nothing that we know of. */
  #archived: Lsn | null = null;
  /** Queries of one session wait for each other. */
  #asked: Promise<unknown> = Promise.resolve();

  #begin!: () => void;
  readonly #begun = new Promise<void>((resolve) => {
    this.#begin = resolve;
  });

  constructor(
    input: ReceiveInput,
    { replication, session }: { readonly replication: ReplicationSession; readonly session: Session },
    hard: AbortSignal,
  ) {
    this.#input = input;
    this.#replication = replication;
    this.#session = session;
    this.#hard = hard;
  }

  /** @param hard ends every connection at once */
  static async open(input: ReceiveInput, hard: AbortSignal): Promise<Receiver> {
    // This one first: where there is only one place for replication left, it is for the log.
    const replication = await connectToStream(input, hard);
    try {
      return new Receiver(input, { replication, session: await connectToWatch(input, hard) }, hard);
    } catch (error) {
      await replication.close();
      throw error;
    }
  }

  /** Everything that can be refused is refused here. */
  async prepare(): Promise<void> {
    const { slot, server } = this.#input;
    const replication = await this.#connected();
    const { systemIdentifier } = await replication.identify();
    this.#checkIdentity(systemIdentifier);
    this.#systemIdentifier = systemIdentifier;
    const [size] = await this.#session.query<{ readonly bytes: string; readonly same: boolean }>(
      `SELECT setting AS bytes, EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = $1) AS same
       FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'`,
      [replication.backendPid],
    );
    if (size?.same !== true) throw twoServers(describeServer(server));
    this.#segmentBytes = Number(size.bytes);
    this.#monitor = new Monitor(this.#session, slot, this.#segmentBytes);
    this.#sink = this.#input.sink({ systemIdentifier, segmentBytes: this.#segmentBytes });
    const { restartLsn, was } = await ensureSlot(this.#session, slot, server);
    this.#restartLsn = restartLsn;
    if (was === 'lost')
      this.#monitor.warn(
        'slot',
        `replication slot '${slot}' had been invalidated and was made anew: raise max_slot_wal_keep_size, or see why archiving fell behind`,
      );
    await this.#sink.sweep();
  }

  /** Streams one timeline after the other until it is told to stop. */
  async follow(stop: Promise<void>): Promise<void> {
    let forced: ResumePoint | undefined;
    let before: ResumePoint | undefined;
    for (;;) {
      const replication = await this.#connected();
      const identity = await replication.identify();
      this.#checkIdentity(identity.systemIdentifier);
      const past = await storePast(replication, this.#sink, identity, this.#hard);
      const point: ResumePoint = forced ?? (await this.#resume(past));
      if (forced === undefined && before?.start === point.start && before.timeline === point.timeline)
        throw standsStill(point);
      const outcome = await this.#stream(replication, point, stop);
      if (outcome === 'stopped') return;
      before = point;
      forced = outcome === 'missing' ? await this.#jump(point, past) : undefined;
    }
  }

  /** Reports until the other has ended, however it ends. */
  async watch(following: Promise<void>): Promise<void> {
    const over = new AbortController();
    const end = () => {
      over.abort();
    };
    following.then(end, end);
    // Before it is known where the archive ends there is nothing to tell.
    await Promise.race([this.#begun, following.catch(() => undefined)]);
    while (!over.signal.aborted) {
      await this.#report();
      await sleep(this.#input.reportMs ?? usual.reportMs, undefined, { signal: over.signal }).catch(() => undefined);
    }
  }

  result(): ReceiveResult {
    const { timeline, archivedLsn, segments, storedBytes } = this.#monitor;
    const of = { systemIdentifier: this.#systemIdentifier, segmentBytes: this.#segmentBytes };
    return { ...of, timeline, archivedLsn, segments, storedBytes, gaps: this.#gaps };
  }

  /** Never fails. */
  async close(): Promise<void> {
    await Promise.all([
      this.#replication?.close(),
      this.#asked.then(
        () => this.#session.close(),
        () => this.#session.close(),
      ),
    ]);
  }

  async #connected(): Promise<ReplicationSession> {
    this.#replication ??= await connectToStream(this.#input, this.#hard);
    return this.#replication;
  }

  #checkIdentity(found: string): void {
    const expected = this.#systemIdentifier === '' ? this.#input.expectedSystemIdentifier : this.#systemIdentifier;
    if (expected === undefined || found === expected) return;
    throw new HoldfastError(
      'ConfigurationChanged',
      `${describeServer(this.#input.server)} is another cluster than the one that is archived: system identifier ${found} instead of ${expected}`,
      'if the cluster was made anew or upgraded, start archiving again: its log lies under its own identifier; else correct host and port',
    );
  }

  async #resume(past: Past): Promise<ResumePoint> {
    const facts = { ...past, segmentBytes: this.#segmentBytes, restartLsn: this.#restartLsn };
    const archived = await archivedOf(this.#sink, past);
    const point = resumePoint({ ...facts, archived });
    const last = segmentNumber(point.start, this.#segmentBytes) - 1n;
    const owner = [point.timeline, ...past.history.map(({ timeline }) => timeline).reverse()].find((timeline) =>
      archived.get(timeline)?.runs.some((run) => run.first <= last && last <= run.last),
    );
    const endedAt = owner === undefined ? null : await this.#sink.segmentEndedAt(owner, last, this.#hard);
    if (point.until === null && point.start > past.end)
      throw behind(describeServer(this.#input.server), past.end, point);
    this.#monitor.begin(point.timeline, point.start, endedAt, !point.fresh);
    this.#archived = point.fresh ? null : point.start;
    return point;
  }

  async #stream(replication: ReplicationSession, point: ResumePoint, stop: Promise<void>) {
    const { slot, server, inFlight, statusMs, stopGraceMs } = { ...usual, ...this.#input };
    this.#begin();
    const monitor = this.#monitor;
    try {
      return await streamTimeline({
        ...{ replication, slot, point, stop, inFlight, statusMs, stopGraceMs },
        segmentBytes: this.#segmentBytes,
        sink: this.#sink,
        confirmed: this.#archived !== null && this.#archived > this.#restartLsn ? this.#archived : null,
        onHeard: (serverEnd, at) => {
          monitor.observe(serverEnd, at);
        },
        onStored: (end, written) => {
          monitor.stored(end, written?.storedBytes ?? 0, written !== undefined);
          if (end > this.#restartLsn) this.#restartLsn = end;
        },
      });
    } catch (error) {
      if (sqlState(error) !== '55006') throw error;
      throw slotBusy(slot, server, (await this.#ask(() => readSlot(this.#session, slot)))?.activePid ?? null, error);
    }
  }

  /** The server doesn't have what comes next: tells of the gap, and where it ends. */
  async #jump(point: ResumePoint, past: Past): Promise<ResumePoint> {
    const { slot, server, onGap } = this.#input;
    await this.#replication?.close();
    this.#replication = undefined;
    const next = await this.#ask(async () => {
      const found = await readSlot(this.#session, slot);
      const kept = found?.walStatus === 'lost' ? null : (found?.restartLsn ?? null);
      const end = kept === null ? undefined : pointOf(kept, { ...past, segmentBytes: this.#segmentBytes });
      if (end !== undefined && end.start > point.start) return end;
      // A slot that keeps what is gone keeps nothing.
      if (found !== undefined) await dropSlot(this.#session, slot, server);
      const made = await ensureSlot(this.#session, slot, server);
      this.#restartLsn = made.restartLsn;
      return pointOf(made.restartLsn, { ...past, segmentBytes: this.#segmentBytes });
    });
    if (next.start <= point.start) throw standsStill(point);
    const gap: WalGap = { timeline: point.timeline, from: point.start, to: next.start };
    this.#gaps.push(gap);
    onGap?.(gap);
    this.#monitor.warn(
      `gap at ${formatLsn(gap.from)}`,
      `the log from ${formatLsn(gap.from)} to ${formatLsn(gap.to)} of timeline ${String(gap.timeline)} is lost: take a new base backup`,
    );
    this.#monitor.begin(next.timeline, next.start, null, this.#monitor.archivedLsn !== null);
    this.#archived = null;
    return next;
  }

  async #report(): Promise<void> {
    const report = await this.#ask(() => this.#monitor.report(this.#input.maxAgeMs));
    this.#input.onReport?.(report);
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    const answer = this.#asked.then(question, question);
    this.#asked = answer;
    answer.catch(() => undefined);
    return answer;
  }
}

const usualName = 'holdfast archive';

const connectToStream = (
  { server, applicationName = usualName, walSenderTimeoutMs = usual.walSenderTimeoutMs }: ReceiveInput,
  hard: AbortSignal,
) => connectForReplication(server, { applicationName, signal: hard, walSenderTimeoutMs });

/**
 * As a walsender, which no smart shutdown waits for; as an ordinary session where every place for those is taken: an
 * archive is worth more than a shutdown that nobody has to help along.
 */
async function connectToWatch(
  { server, applicationName = usualName }: ReceiveInput,
  hard: AbortSignal,
): Promise<Session> {
  try {
    return await connect(server, { applicationName, signal: hard, asWalSender: true });
  } catch (error) {
    if (sqlState(error) !== '53300') throw error;
    return connect(server, { applicationName, signal: hard });
  }
}

const twoServers = (server: string) =>
  new HoldfastError(
    'PostgresRefused',
    `${server} is more than one server: two connections ended at different ones`,
    'give the address of one instance, or of the primary; a service that spreads connections over replicas, or a pooler, has no one log',
  );

const behind = (server: string, end: Lsn, { start, timeline }: ResumePoint) =>
  new HoldfastError(
    'PostgresUnavailable',
    `the log of ${server} ends at ${formatLsn(end)}, before that of the archive, which has timeline ${String(timeline)} up to ${formatLsn(start)}`,
    'a standby that lags will get there; a server that was set back to an older state has to be promoted to a timeline of its own',
  );

const standsStill = ({ start, timeline }: ResumePoint) =>
  new HoldfastError(
    'PostgresUnavailable',
    `the server doesn't give its log from ${formatLsn(start)} of timeline ${String(timeline)} on, though its slot keeps it`,
    'look at its log; the next attempt tries again',
  );
