/**
 * How many jobs the next database gets, the largest first: its share of what is still to be moved. While others wait
 * one job is left for them: two databases side by side are faster than one after the other by both jobs. Pure.
 * @param remainingBytes its own among them
 */
export function jobsFor(bytes: number, remainingBytes: number, jobs: number, free: number): number {
  const share = remainingBytes === 0 ? 1 : Math.round((jobs * bytes) / remainingBytes);
  const most = remainingBytes > bytes ? jobs - 1 : jobs;
  return Math.max(1, Math.min(share, most, free));
}

/** A number of jobs that are shared out; who comes first gets first. */
export class Slots {
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(jobs: number) {
    this.#free = jobs;
  }

  /** Waits until at least one is free, and takes as many as `wish` says of the free ones. */
  async take(wish: (free: number) => number): Promise<number> {
    while (this.#free < 1) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const taken = wish(this.#free);
    this.#free -= taken;
    return taken;
  }

  give(count: number): void {
    this.#free += count;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
