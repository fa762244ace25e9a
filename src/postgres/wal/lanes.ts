import type { Lsn } from '../../domain/wal.ts';
import type { SinkSegment, SinkWritten, WalSink } from './sink.ts';

/** A segment on its way into the archive. */
export interface Handed {
  readonly segment: SinkSegment;
  /** Up to where the log is archived once it is stored. */
  readonly end: Lsn;
  /** The body's memory may be used again. Called whatever comes of it. */
  readonly release: () => void;
}

/** Thrown by the body of a segment that will not be whole: it was begun, and the stream has ended. */
export class Unfinished extends Error {
  constructor() {
    super('the stream of the log has ended inside this segment');
    this.name = 'Unfinished';
  }
}

/**
 * Stores some segments at a time, and tells of them strictly in their order: what is told of has everything before it
 * stored. After a failure nothing more is taken.
 */
export class Lanes {
  /** Rejects with the first failure; never resolves. */
  readonly failed: Promise<never>;
  readonly #sink: WalSink;
  /** One for each segment under way: all that listens to one signal together is taken for a leak. */
  readonly #aborts = new Set<AbortController>();
  readonly #most: number;
  readonly #onStored: (handed: Handed, written: SinkWritten | undefined) => void;
  readonly #running = new Set<Promise<void>>();
  #turn: Promise<void> = Promise.resolve();
  #fail!: (error: unknown) => void;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    sink: WalSink,
    options: {
      /** How many at a time. */
      readonly most: number;
      readonly onStored: (handed: Handed, written: SinkWritten | undefined) => void;
    },
  ) {
    this.#sink = sink;
    this.#most = options.most;
    this.#onStored = options.onStored;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  /** Resolves once it is under way, which takes as long as others are. Throws the first failure. */
  async hand(handed: Handed): Promise<void> {
    while (this.#running.size >= this.#most && this.#failure === undefined) await Promise.race(this.#running);
    if (this.#failure !== undefined) {
      handed.release();
      throw this.#failure.error;
    }
    const turn = this.#turn;
    const abort = new AbortController();
    this.#aborts.add(abort);
    const written = this.#write(handed.segment, turn, abort.signal);
    const told = this.#tell(handed, turn, written).finally(() => {
      handed.release();
      this.#aborts.delete(abort);
      this.#running.delete(told);
    });
    this.#running.add(told);
    this.#turn = told;
  }

  /** Resolves once nothing is under way; throws the first failure. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#throwFailure();
  }

  /** Ends what is under way, tells of nothing any more, and resolves once nothing is left. Never fails. */
  async abandon(): Promise<void> {
    this.#failure ??= { error: new Unfinished() };
    for (const abort of this.#aborts) abort.abort(new Unfinished());
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #write(segment: SinkSegment, turn: Promise<void>, signal: AbortSignal): Promise<SinkWritten | undefined> {
    const options = {
      signal,
      turn: turn.then(() => {
        this.#throwFailure();
      }),
    };
    options.turn.catch(() => undefined);
    const { partial } = segment;
    if (partial === undefined) return this.#sink.write(segment, options);
    await this.#sink.writePartial({ ...segment, partial }, options);
    return undefined;
  }

  /** Never rejects. */
  async #tell(handed: Handed, turn: Promise<void>, writing: Promise<SinkWritten | undefined>): Promise<void> {
    try {
      const written = await writing;
      await turn;
      if (this.#failure === undefined) this.#onStored(handed, written);
    } catch (error) {
      if (error instanceof Unfinished || this.#failure !== undefined) return;
      this.#failure = { error };
      this.#fail(error);
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
