import { HoldfastError } from '../../domain/errors.ts';
import type { Part } from '../../domain/manifest.ts';
import { member, type Compressor } from '../../streams/compress.ts';
import { Meter } from '../../streams/meter.ts';
import { pour } from '../../streams/pour.ts';

/** Where a dump is written: an object that nobody sees yet, written from its beginning to its end. */
export interface DumpSink {
  /** Bytes written so far. */
  readonly offset: number;
  /** Resolves once the chunk may be reused; applies back-pressure. */
  write(chunk: Uint8Array): Promise<void>;
  /** Remembers this offset, forgets the one before. */
  mark(): void;
  /** Takes back everything written since the last mark. */
  rollback(): Promise<void>;
}

/** A part of the file; its object's key is the caller's to add. */
export type DumpPart = Omit<Part, 'object'>;

export interface MembersOptions {
  readonly sink: DumpSink;
  readonly compressor: Compressor;
  readonly signal: AbortSignal;
  readonly stallMs: number;
  /** Where what is poured is an archive of pg_dump's, which compresses itself. */
  readonly archive?: 'custom' | 'directory-tar';
}

type Kind = Pick<DumpPart, 'compression' | 'format'>;

/** Writes members one after the other and keeps the list of them. */
export class Members {
  readonly #options: MembersOptions;
  readonly #sink: DumpSink;
  #parts: DumpPart[] = [];
  #marked = 0;
  #broken: { readonly error: unknown } | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#sink = options.sink;
  }

  get parts(): readonly DumpPart[] {
    return this.#parts;
  }

  /** Set once the sink has failed: nothing more can be written then, and it wasn't the database's fault. */
  get broken(): { readonly error: unknown } | undefined {
    return this.#broken;
  }

  /** What comes now can be taken back. */
  mark(): void {
    this.#sink.mark();
    this.#marked = this.#parts.length;
  }

  /** Takes back every member since the mark, and the half of one. */
  async rollback(): Promise<void> {
    await this.#guard(() => this.#sink.rollback());
    this.#parts = this.#parts.slice(0, this.#marked);
  }

  /** A whole member from a small text. */
  async write(name: Part['name'], database: string | undefined, text: string | Uint8Array): Promise<void> {
    const { compressor, signal } = this.#options;
    const bytes = await member(compressor, text, signal);
    const meter = new Meter();
    meter.update(bytes);
    const { offset } = this.#sink;
    await this.#guard(() => this.#sink.write(bytes));
    this.#add(name, database, offset, meter, { compression: compressor.compression });
  }

  /** A member from a stream of stored bytes: whole once the stream has ended without an error. */
  async pour(
    name: Part['name'],
    database: string,
    stored: AsyncIterable<Uint8Array>,
    from: string,
    onChunk: (bytes: number) => void,
  ): Promise<void> {
    const meter = new Meter();
    const { offset } = this.#sink;
    const sink = { write: (chunk: Uint8Array) => this.#guard(() => this.#sink.write(chunk)) };
    const { signal, stallMs } = this.#options;
    try {
      await pour(stored, sink, { signal, from, to: 'the repository', stallMs, meter, onProgress: onChunk });
    } catch (error) {
      // The sink's own stall, which it can't tell itself.
      if (error instanceof HoldfastError && error.type === 'StoreUnavailable') this.#broken ??= { error };
      throw error;
    }
    const { archive, compressor } = this.#options;
    const kind: Kind =
      archive === undefined ? { compression: compressor.compression } : { compression: 'none', format: archive };
    this.#add(name, database, offset, meter, kind);
  }

  #add(name: Part['name'], database: string | undefined, offset: number, meter: Meter, kind: Kind): void {
    this.#parts.push({
      name,
      ...(database === undefined ? {} : { database }),
      offset,
      length: meter.bytes,
      sha256: meter.digest(),
      plain: null,
      ...kind,
      encryption: null,
    });
  }

  async #guard<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      this.#broken ??= { error };
      throw error;
    }
  }
}
