import { HoldfastError } from '../../domain/errors.ts';
import { formatLsn, type Lsn } from '../../domain/wal.ts';
import { sqlState } from '../failures.ts';
import { quoteIdent } from '../quote.ts';
import type { CopyBoth, ReplicationSession } from '../replication/connection.ts';
import { Assembler } from './assemble.ts';
import { Lanes, type Handed } from './lanes.ts';
import { parseMessage, statusMessage } from './messages.ts';
import type { ResumePoint } from './resume.ts';
import type { SinkWritten, WalSink } from './sink.ts';

export interface StreamInput {
  readonly replication: ReplicationSession;
  readonly slot: string;
  readonly point: ResumePoint;
  readonly segmentBytes: number;
  readonly sink: WalSink;
  /** Segments that are compressed and stored at the same time. */
  readonly inFlight: number;
  /** Durably archived before this begins, and so confirmed at once; null: nothing that the slot doesn't know. */
  readonly confirmed: Lsn | null;
  /** Resolves when it is time to end well. */
  readonly stop: Promise<void>;
  /** How long what is under way may take then. */
  readonly stopGraceMs: number;
  /** How often the server hears from us. */
  readonly statusMs: number;
  readonly onHeard: (serverEnd: Lsn, at: Date) => void;
  /** In the log's order; undefined for a partial segment. */
  readonly onStored: (end: Lsn, written: SinkWritten | undefined) => void;
}

/** So many statuses without a word from a server that isn't kept waiting by us, and it is taken for dead. */
const silentStatuses = 6;

/**
 * Streams one timeline from a segment's begin. What comes of it: 'stopped' as asked, with everything that was whole
 * stored and confirmed; 'timeline ended'; 'missing': the server doesn't have its log from there on any more.
 */
export async function streamTimeline(input: StreamInput): Promise<'stopped' | 'timeline ended' | 'missing'> {
  const stream = new Stream(input);
  try {
    return await stream.run();
  } catch (error) {
    if (isMissing(error)) return 'missing';
    throw error;
  } finally {
    await stream.close();
  }
}

/** "requested WAL segment … has already been removed": the only file that a walsender opens. */
const isMissing = (error: unknown) => sqlState(error) === '58P01';

class Stream {
  readonly #input: StreamInput;
  readonly #assembler: Assembler;
  readonly #lanes: Lanes;
  #copy: CopyBoth | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  /** A message waits for room in the lanes. */
  #holding = false;
  #silent = 0;
  #confirmed: Lsn;
  #failSilence!: (error: unknown) => void;
  readonly #silence: Promise<never>;

  constructor(input: StreamInput) {
    this.#input = input;
    this.#confirmed = input.confirmed ?? 0n;
    this.#assembler = new Assembler({
      segmentBytes: input.segmentBytes,
      timeline: input.point.timeline,
      start: input.point.start,
      until: input.point.until,
      hand: (handed) => this.#hand(handed),
    });
    this.#lanes = new Lanes(input.sink, {
      most: input.inFlight,
      onStored: ({ end }, written) => {
        input.onStored(end, written);
        this.#stored(end);
      },
    });
    this.#silence = new Promise((_, reject) => {
      this.#failSilence = reject;
    });
    this.#silence.catch(() => undefined);
  }

  async run(): Promise<'stopped' | 'timeline ended'> {
    const { replication, slot, point, stop } = this.#input;
    const where = `${formatLsn(point.start)} TIMELINE ${String(point.timeline)}`;
    const copy = await replication.copyBoth(`START_REPLICATION SLOT ${quoteIdent(slot)} PHYSICAL ${where}`, {
      onData: (message) => this.#take(message),
    });
    this.#copy = copy;
    if (!copy.started) return 'timeline ended';
    if (this.#input.confirmed !== null) await this.#confirm();
    this.#tick();
    const outcome = await Promise.race([
      copy.finished.then((rows) => ({ rows })),
      stop.then(() => undefined),
      this.#lanes.failed,
      this.#silence,
    ]);
    if (outcome === undefined) {
      await this.#stop(copy);
      return 'stopped';
    }
    if (outcome.rows.length === 0) throw serverStopped();
    await this.#assembler.end();
    await this.#lanes.idle();
    return 'timeline ended';
  }

  /** Whatever happened, nothing is under way when this resolves. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#assembler.drop();
    await this.#lanes.abandon();
  }

  #stored(end: Lsn): void {
    if (end <= this.#confirmed) return;
    this.#confirmed = end;
    this.#confirm().catch(() => undefined);
  }

  #take(message: Uint8Array): Promise<void> | undefined {
    this.#silent = 0;
    if (this.#stopping) return undefined;
    const parsed = parseMessage(message);
    this.#input.onHeard(parsed.serverEnd, parsed.sentAt);
    if (parsed.kind === 'keepalive') return parsed.wantsReply ? this.#status(false) : undefined;
    const taken = this.#assembler.push(parsed.start, parsed.data, parsed.sentAt);
    if (taken === undefined) return undefined;
    this.#holding = true;
    return taken.finally(() => {
      this.#holding = false;
    });
  }

  /** While there is no room nothing more is read from the server; a stop doesn't wait for it. */
  async #hand(handed: Handed): Promise<void> {
    await Promise.race([this.#lanes.hand(handed), this.#input.stop]);
  }

  /**
   * The server moves the slot by what is said to be flushed, and waits at its shutdown until all that it sent is said to
   * be; where nothing is said of that, what is written counts. So what is flushed is said once, and then taken back:
   * the slot stays where it is, and a server with a half segment under way can shut down.
   */
  async #confirm(): Promise<void> {
    const flushed = this.#confirmed;
    await this.#copy?.send(statusMessage({ written: flushed, flushed, at: new Date(), wantsReply: false }));
    await this.#status(false);
  }

  async #status(wantsReply: boolean): Promise<void> {
    const written = this.#assembler.position;
    await this.#copy?.send(statusMessage({ written, flushed: 0n, at: new Date(), wantsReply }));
  }

  #tick(): void {
    this.#timer = setTimeout(() => {
      this.#silent = this.#holding ? 0 : this.#silent + 1;
      if (this.#silent > silentStatuses) this.#failSilence(silent(this.#silent * this.#input.statusMs));
      this.#status(this.#silent > 1).catch(() => undefined);
      this.#tick();
    }, this.#input.statusMs);
  }

  async #stop(copy: CopyBoth): Promise<void> {
    this.#stopping = true;
    this.#assembler.drop();
    const { stopGraceMs } = this.#input;
    await within(this.#lanes.idle(), stopGraceMs);
    await within(this.#confirm(), stopGraceMs);
    copy.done();
    await within(copy.finished, stopGraceMs);
  }
}

/** Errors and slowness of a farewell change nothing: what isn't confirmed is sent again. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => undefined), patience]);
  clearTimeout(timer);
}

const serverStopped = () =>
  new HoldfastError(
    'PostgresUnavailable',
    'the server ended the stream of its log: it stops or restarts',
    'the next attempt goes on where the archive ends, once the server is there again',
  );

const silent = (ms: number) =>
  new HoldfastError(
    'PostgresUnavailable',
    `the server has not said a word for ${String(Math.round(ms / 1_000))} s while its log was streamed`,
    'look whether the server and the network to it are alive; the next attempt goes on where the archive ends',
  );
