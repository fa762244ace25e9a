/**
 * Watches a transfer that has several ends: whoever moves something says so, and after a time without a move the
 * transfer is given up, with the end that was waited for named. A sink that is at work is to blame before a source.
 */
export class StallWatch {
  readonly #onStall: (waitingFor: 'source' | 'sink', limitMs: number) => void;
  #limitMs: number;
  #moves = 0;
  #atWork = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onStall called once at most, after one to two times the limit */
  constructor(limitMs: number, onStall: (waitingFor: 'source' | 'sink', limitMs: number) => void) {
    this.#limitMs = limitMs;
    this.#onStall = onStall;
    this.#watch();
  }

  moved(): void {
    this.#moves += 1;
  }

  /** From now on another patience. */
  setLimit(limitMs: number): void {
    this.#limitMs = limitMs;
    this.#moves += 1;
    this.stop();
    this.#watch();
  }

  /** What the sink does; passes its outcome on. */
  async taking<T>(work: Promise<T>): Promise<T> {
    this.#atWork += 1;
    this.#moves += 1;
    try {
      return await work;
    } finally {
      this.#atWork -= 1;
      this.#moves += 1;
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #watch(): void {
    const seen = this.#moves;
    const timer = setTimeout(() => {
      // A worker that was stopped finds its timer due before it has looked at what arrived meanwhile: one more turn.
      setImmediate(() => {
        if (this.#timer !== timer) return;
        if (this.#moves === seen) this.#onStall(this.#atWork > 0 ? 'sink' : 'source', this.#limitMs);
        else this.#watch();
      });
    }, this.#limitMs);
    this.#timer = timer;
  }
}
