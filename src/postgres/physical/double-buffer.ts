import type { Sink } from '../../streams/pour.ts';

/**
 * Gathers small pieces into large ones for a sink, and goes on gathering while the sink is at work: two buffers,
 * allocated once.
 */
export class DoubleBuffer {
  readonly #sink: Sink;
  readonly #bytes: number;
  #filling: Buffer;
  #resting: Buffer;
  #length = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** @param bytes of each of the two */
  constructor(sink: Sink, bytes: number) {
    this.#sink = sink;
    this.#bytes = bytes;
    this.#filling = Buffer.allocUnsafeSlow(bytes);
    this.#resting = Buffer.allocUnsafeSlow(bytes);
  }

  /**
   * Copies the piece. undefined where there was room, so that nothing has to be waited for; else resolves once there
   * is, and until then the piece must not change. Rejects, or throws, with what the sink failed with.
   */
  add(piece: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure.error;
    let taken = 0;
    for (;;) {
      taken += this.#copy(piece.subarray(taken));
      if (this.#length < this.#bytes) return undefined;
      if (this.#writing !== undefined) return this.#addLater(piece.subarray(taken));
      this.#send();
    }
  }

  /** Resolves once the sink has taken everything. */
  async flush(): Promise<void> {
    await this.#settled();
    if (this.#length > 0) this.#send();
    await this.#settled();
  }

  async #addLater(piece: Uint8Array): Promise<void> {
    await this.#settled();
    this.#send();
    await this.add(piece);
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #copy(piece: Uint8Array): number {
    const room = Math.min(piece.length, this.#bytes - this.#length);
    this.#filling.set(piece.subarray(0, room), this.#length);
    this.#length += room;
    return room;
  }

  #send(): void {
    const chunk = this.#filling.subarray(0, this.#length);
    [this.#filling, this.#resting] = [this.#resting, this.#filling];
    this.#length = 0;
    this.#writing = this.#sink.write(chunk).then(
      () => {
        this.#writing = undefined;
      },
      (error: unknown) => {
        this.#writing = undefined;
        this.#failure = { error };
      },
    );
  }
}
