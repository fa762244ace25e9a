import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { startChain, type Chain } from '../../process/chain.ts';
import type { Compressor } from '../../streams/compress.ts';
import { pour, sinkOf } from '../../streams/pour.ts';
import { DoubleBuffer } from './double-buffer.ts';
import type { StallWatch } from './stall.ts';

/** What is known of an object that is whole: a repository's Staged is one. */
export interface StoredBytes {
  readonly bytes: number;
  readonly sha256: string;
}

/** Where one object is written; a repository's StageWriter is one. */
export interface BackupSink<Stored extends StoredBytes> {
  /** Resolves once the chunk may be reused; applies back-pressure. */
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<Stored>;
  /** Throws away what was written; never fails. Bears one write that is still under way. */
  abort(): Promise<void>;
}

/** One object under way, fed with small pieces. */
export interface Target<Stored extends StoredBytes> {
  /** As DoubleBuffer.add. */
  add(piece: Uint8Array): Promise<void> | undefined;
  end(): Promise<Stored>;
  /** Never fails. */
  abort(): Promise<void>;
}

/** Large enough that a write is worth its system calls, small beside everything else a worker holds. */
const bufferBytes = 512 * 1024;

/** Bytes that are stored as they come. */
export class PlainTarget<Stored extends StoredBytes> implements Target<Stored> {
  readonly #sink: BackupSink<Stored>;
  readonly #buffer: DoubleBuffer;
  readonly #watch: StallWatch;

  constructor(sink: BackupSink<Stored>, watch: StallWatch, onStored: (bytes: number) => void) {
    this.#sink = sink;
    this.#watch = watch;
    this.#buffer = new DoubleBuffer(
      {
        write: async (chunk) => {
          await watch.taking(sink.write(chunk));
          onStored(chunk.length);
        },
      },
      bufferBytes,
    );
  }

  add(piece: Uint8Array): Promise<void> | undefined {
    return this.#buffer.add(piece);
  }

  async end(): Promise<Stored> {
    await this.#buffer.flush();
    return this.#watch.taking(this.#sink.finish());
  }

  abort(): Promise<void> {
    return this.#sink.abort();
  }
}

/** Bytes that are compressed on their way, by a process of the worker's. */
export class CompressingTarget<Stored extends StoredBytes> implements Target<Stored> {
  readonly #stored: PlainTarget<Stored>;
  readonly #chain: Chain;
  readonly #input: ReturnType<typeof sinkOf>;
  readonly #buffer: DoubleBuffer;
  readonly #pumped: Promise<unknown>;

  constructor(
    sink: BackupSink<Stored>,
    compressor: Compressor,
    options: { readonly watch: StallWatch; readonly onStored: (bytes: number) => void; readonly signal: AbortSignal },
  ) {
    const { watch, signal } = options;
    this.#stored = new PlainTarget(sink, watch, options.onStored);
    this.#chain = startChain([compressor.compress], { stdin: 'pipe', stdout: 'pipe', signal });
    const { stdin } = this.#chain;
    if (!stdin)
      throw new HoldfastError('Unexpected', `${compressor.name} was started without an input`, 'report this as a bug');
    this.#input = sinkOf(stdin);
    this.#buffer = new DoubleBuffer(this.#input, bufferBytes);
    const taking = { write: async (chunk: Uint8Array) => this.#stored.add(chunk) };
    this.#pumped = pour(this.#chain.stdout as AsyncIterable<Uint8Array>, taking, {
      ...{ signal, from: compressor.name, to: 'the repository' },
    }).catch((error: unknown) => {
      // Whoever still writes into it learns why nobody reads.
      stdin.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      throw error;
    });
    this.#pumped.catch(() => undefined);
  }

  add(piece: Uint8Array): Promise<void> | undefined {
    return this.#buffer.add(piece);
  }

  async end(): Promise<Stored> {
    await this.#buffer.flush();
    await this.#input.end();
    await this.#pumped;
    await this.#chain.finished;
    return this.#stored.end();
  }

  async abort(): Promise<void> {
    await this.#chain.kill();
    await this.#stored.abort();
  }
}
