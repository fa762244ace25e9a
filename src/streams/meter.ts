import { createHash, type Hash } from 'node:crypto';

/** Counts and digests bytes as they pass. */
export class Meter {
  #hash: Hash = createHash('sha256');
  #bytes = 0;
  readonly #onProgress: ((bytes: number) => void) | undefined;

  /** @param onProgress is called after every chunk with the bytes so far */
  constructor(onProgress?: (bytes: number) => void) {
    this.#onProgress = onProgress;
  }

  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
    this.#onProgress?.(this.#bytes);
  }

  /** SHA-256 of what has passed so far, 64 hex digits; more may follow. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** The state at this moment, for restore(). */
  save(): MeterState {
    return { hash: this.#hash.copy(), bytes: this.#bytes };
  }

  /** Goes back to a saved state, as if what came since had never passed. A state may be restored more than once. */
  restore(state: MeterState): void {
    this.#hash = state.hash.copy();
    this.#bytes = state.bytes;
  }
}

export interface MeterState {
  readonly hash: Hash;
  readonly bytes: number;
}

/** Passes a stream on, measured. */
export async function* metered(body: AsyncIterable<Uint8Array>, meter: Meter): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    meter.update(chunk);
    yield chunk;
  }
}
