import { type FileHandle, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import { Meter, type MeterState } from '../streams/meter.ts';
import { translated } from './errno.ts';
import { syncDirectory } from './files.ts';
import type { Staged, StageWriter } from './repository.ts';

/** A mount that hangs must not keep the run from reporting its failure; the sweep finds what is left. */
const abortPatienceMs = 10_000;

/**
 * So often what was written is flushed, while writing goes on: the last flush is then short, a network file system tells
 * of its errors early, and unwritten pages don't pile up.
 */
const flushBytes = 32 * 1024 * 1024;

interface Target {
  readonly key: string;
  readonly token: string;
  /** The staged file. */
  readonly path: string;
  /** For messages. */
  readonly directory: string;
}

/** Writes one staged file. Its operations wait for each other, whether or not the caller does. */
export class DirectoryWriter implements StageWriter {
  readonly #handle: FileHandle;
  readonly #target: Target;
  readonly #signal: AbortSignal;
  readonly #meter = new Meter();
  #mark: MeterState = this.#meter.save();
  #queue: Promise<unknown> = Promise.resolve();
  #state: 'open' | 'closed' | 'finished' | 'aborted' = 'open';
  /** Set by a write that failed; only a rollback helps. */
  #failure: { readonly error: unknown } | undefined;
  /** Set by a flush that failed: nothing helps. */
  #lost: { readonly error: unknown } | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #flushed = 0;

  constructor(handle: FileHandle, target: Target, signal: AbortSignal) {
    this.#handle = handle;
    this.#target = target;
    this.#signal = signal;
  }

  get offset(): number {
    return this.#meter.bytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#inTurn('writing', async () => {
      this.#signal.throwIfAborted();
      const failed = this.#lost ?? this.#failure;
      if (failed !== undefined) throw failed.error;
      const at = this.#meter.bytes;
      try {
        const writing = this.#writeAt(chunk, at);
        // Digests while the kernel copies.
        this.#meter.update(chunk);
        await writing;
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
      if (this.#meter.bytes - this.#flushed >= flushBytes) await this.#beginFlush();
    });
  }

  mark(): void {
    this.#mark = this.#meter.save();
  }

  rollback(): Promise<void> {
    return this.#inTurn('truncating', async () => {
      await this.#flushing;
      await this.#handle.truncate(this.#mark.bytes);
      this.#meter.restore(this.#mark);
      this.#flushed = Math.min(this.#flushed, this.#mark.bytes);
      this.#failure = undefined;
    });
  }

  finish(): Promise<Staged> {
    return this.#inTurn('writing', async () => {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      this.#state = 'closed';
      try {
        await this.#flushing;
        if (this.#lost !== undefined) throw this.#lost.error;
        await this.#handle.sync();
      } finally {
        await this.#handle.close();
      }
      await syncDirectory(dirname(this.#target.path));
      this.#state = 'finished';
      const { key, token } = this.#target;
      return { key, token, bytes: this.#meter.bytes, sha256: this.#meter.digest() };
    });
  }

  async abort(): Promise<void> {
    if (this.#state === 'finished' || this.#state === 'aborted') return;
    const remove = async () => {
      const wasOpen = this.#state === 'open';
      if (this.#state === 'finished') return;
      this.#state = 'aborted';
      await this.#flushing;
      if (wasOpen) await this.#handle.close().catch(() => undefined);
      await unlink(this.#target.path).catch(() => undefined);
    };
    const removed = this.#queue.then(remove, remove);
    this.#queue = removed;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, abortPatienceMs);
    });
    await Promise.race([removed, patience]);
    clearTimeout(timer);
  }

  /** Waits for the flush before, not for the one that it begins. */
  async #beginFlush(): Promise<void> {
    await this.#flushing;
    if (this.#lost !== undefined) throw this.#lost.error;
    this.#flushed = this.#meter.bytes;
    // After a failure the kernel forgets what it couldn't write: there is no second try (fsync(2)).
    this.#flushing = this.#handle.datasync().catch((error: unknown) => {
      this.#lost = { error };
    });
  }

  async #writeAt(chunk: Uint8Array, at: number): Promise<void> {
    let done = 0;
    while (done < chunk.length) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, at + done);
      done += bytesWritten;
    }
  }

  #inTurn<T>(verb: string, act: () => Promise<T>): Promise<T> {
    const { key, directory } = this.#target;
    const turn = async () => {
      if (this.#state !== 'open') {
        throw new HoldfastError(
          'Unexpected',
          `${key} is no longer open for writing (${this.#state})`,
          'stage it again',
        );
      }
      return translated(`${verb} ${key} in ${directory}`, act);
    };
    const result = this.#queue.then(turn);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
