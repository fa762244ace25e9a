import { HoldfastError } from '../../domain/errors.ts';
import { formatLsn, segmentNumber, segmentStart, type Lsn } from '../../domain/wal.ts';
import { Unfinished, type Handed } from './lanes.ts';

export interface AssemblerOptions {
  readonly segmentBytes: number;
  readonly timeline: number;
  /** A segment's begin. */
  readonly start: Lsn;
  /** Where the timeline was left; null where it goes on. The segment around it is a partial one. */
  readonly until: Lsn | null;
  /** Takes one segment; resolves once there is room for the next. */
  readonly hand: (handed: Handed) => Promise<void>;
}

/** Larger segments aren't kept in memory: they are handed over at their begin, and their bytes follow. */
export const largestInMemory = 16 * 1024 * 1024;

/** Makes segments of the log as it comes. */
export class Assembler {
  readonly #options: AssemblerOptions;
  /** Memory of segments that are stored. */
  readonly #free: Buffer[] = [];
  #buffer: Buffer | undefined;
  #queue: ByteQueue | undefined;
  /** Where the next byte belongs. */
  #next: Lsn;
  #sentAt: Date | null = null;

  constructor(options: AssemblerOptions) {
    this.#options = options;
    this.#next = options.start;
  }

  /** The log up to here has been taken. */
  get position(): Lsn {
    return this.#next;
  }

  /** undefined where it was taken at once: the bytes are the caller's again then, or once the promise has resolved. */
  push(start: Lsn, data: Uint8Array, sentAt: Date): Promise<void> | undefined {
    if (start !== this.#next) throw misplaced(start, this.#next);
    this.#sentAt = sentAt;
    const { segmentBytes } = this.#options;
    const offset = Number(this.#next % BigInt(segmentBytes));
    if (segmentBytes <= largestInMemory && offset + data.length < segmentBytes) {
      this.#memory().set(data, offset);
      this.#next += BigInt(data.length);
      return undefined;
    }
    return this.#pushAll(data);
  }

  /** The timeline has ended. What is begun is stored as a partial segment if that is where it was left. */
  async end(): Promise<void> {
    const { segmentBytes, until } = this.#options;
    const offset = Number(this.#next % BigInt(segmentBytes));
    if (offset === 0) return;
    if (until !== this.#next) {
      this.drop();
      return;
    }
    if (segmentBytes <= largestInMemory) {
      const memory = this.#memory().fill(0, offset);
      this.#buffer = undefined;
      await this.#hand(memory, () => this.#free.push(memory));
      return;
    }
    const zeros = Buffer.alloc(1024 * 1024);
    for (let at = offset; at < segmentBytes; at += zeros.length)
      await this.#queue?.push(zeros.subarray(0, segmentBytes - at));
    this.#queue?.end(this.#sentAt);
    this.#queue = undefined;
  }

  /** Gives up what is begun. */
  drop(): void {
    this.#queue?.fail(new Unfinished());
    this.#queue = undefined;
  }

  async #pushAll(data: Uint8Array): Promise<void> {
    const { segmentBytes } = this.#options;
    let rest = data;
    while (rest.length > 0) {
      const offset = Number(this.#next % BigInt(segmentBytes));
      const piece = rest.subarray(0, segmentBytes - offset);
      rest = rest.subarray(piece.length);
      if (segmentBytes <= largestInMemory) await this.#keep(piece, offset);
      else await this.#stream(piece, offset);
    }
  }

  async #keep(piece: Uint8Array, offset: number): Promise<void> {
    const memory = this.#memory();
    memory.set(piece, offset);
    this.#next += BigInt(piece.length);
    if (offset + piece.length < memory.length) return;
    this.#buffer = undefined;
    await this.#hand(memory, () => this.#free.push(memory));
  }

  async #stream(piece: Uint8Array, offset: number): Promise<void> {
    if (this.#queue === undefined) {
      const queue = new ByteQueue();
      this.#queue = queue;
      await this.#hand(queue, () => {
        queue.fail(new Unfinished());
      });
    }
    const queue = this.#queue;
    await queue.push(Buffer.from(piece));
    this.#next += BigInt(piece.length);
    if (offset + piece.length < this.#options.segmentBytes) return;
    queue.end(this.#sentAt);
    this.#queue = undefined;
  }

  /** The segment that `#next` lies in, or that it is the end of. */
  async #hand(body: Uint8Array | ByteQueue, release: () => void): Promise<void> {
    const { segmentBytes, timeline, until, hand } = this.#options;
    const whole = body instanceof Uint8Array && this.#next % BigInt(segmentBytes) === 0n;
    const number = segmentNumber(this.#next, segmentBytes) - (whole ? 1n : 0n);
    const end = segmentStart(number + 1n, segmentBytes);
    const isPartial = until !== null && until < end;
    const sentAt = this.#sentAt;
    const endedAt = body instanceof Uint8Array ? () => sentAt : () => body.endedAt;
    await hand({
      segment: { timeline, number, body, endedAt, ...(isPartial ? { partial: { endLsn: until } } : {}) },
      end: isPartial ? until : end,
      release,
    });
  }

  #memory(): Buffer {
    this.#buffer ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#options.segmentBytes);
    return this.#buffer;
  }
}

/** Bytes that somebody pushes and somebody else reads, one chunk at a time. */
class ByteQueue implements AsyncIterable<Uint8Array> {
  endedAt: Date | null = null;
  #chunk: Uint8Array | undefined;
  #taken: (() => void) | undefined;
  #there: (() => void) | undefined;
  #ended = false;
  #failure: Error | undefined;

  /** Resolves once the chunk was taken, or nobody takes any more. */
  async push(chunk: Uint8Array): Promise<void> {
    if (this.#failure !== undefined || chunk.length === 0) return;
    this.#chunk = chunk;
    this.#there?.();
    await new Promise<void>((resolve) => {
      this.#taken = resolve;
    });
  }

  end(at: Date | null): void {
    this.endedAt = at;
    this.#ended = true;
    this.#there?.();
  }

  /** Whoever pushes or reads stops; a queue that has ended stays ended. */
  fail(error: Error): void {
    if (!this.#ended) this.#failure ??= error;
    this.#taken?.();
    this.#there?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#chunk;
      if (chunk !== undefined) {
        this.#chunk = undefined;
        // Taken only once the next is asked for: its bytes are somebody else's again then.
        yield chunk;
        this.#taken?.();
        continue;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#there = resolve;
      });
    }
  }
}

const misplaced = (start: Lsn, expected: Lsn) =>
  new HoldfastError(
    'PostgresUnavailable',
    `the server sent its log from ${formatLsn(start)} on where ${formatLsn(expected)} was to follow`,
    'nothing wrong was stored; the next attempt goes on where the archive ends',
  );
