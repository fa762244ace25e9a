import type { FileHandle } from 'node:fs/promises';

/**
 * Makes files last while others are still being written: the disk is busy from the beginning, and the end has little
 * left to do. Few at a time: each takes one of Node's four threads for file work.
 */
export class SyncQueue {
  readonly #abreast: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(abreast = 2) {
    this.#abreast = abreast;
  }

  /**
   * Takes over a file: syncs and closes it. Resolves once there is room for it, not once it is done; rejects with what
   * an earlier one failed with.
   */
  async add(handle: FileHandle): Promise<void> {
    if (this.#running >= this.#abreast * 2) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure !== undefined) {
      await handle.close();
      throw this.#failure.error;
    }
    this.#running += 1;
    void this.#sync(handle);
  }

  /** Resolves when nothing is under way; rejects with the first failure. */
  async drained(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #sync(handle: FileHandle): Promise<void> {
    try {
      await handle.datasync();
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      await handle.close().catch((error: unknown) => {
        this.#failure ??= { error };
      });
      this.#running -= 1;
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }
}
