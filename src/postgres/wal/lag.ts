import type { Lsn } from '../../domain/wal.ts';

/** More than this aren't needed to tell an age to some seconds; every second one goes then. */
const maxObservations = 2_048;
/** While much is written the server says it with every message. */
const closestMs = 100;

/**
 * How old the oldest log is that isn't archived, by the server's clock alone. The server doesn't say when a byte was
 * written; but it says, again and again, where its log ends at what time. What lies behind the place where the log
 * ended at the last such time isn't older than that.
 */
export class LagKeeper {
  #observations: { readonly lsn: Lsn; readonly atMs: number }[] = [];
  #archived: Lsn;

  /** @param endedAt when the log up to `archived` was sent, if that is known */
  constructor(archived: Lsn, endedAt: Date | null) {
    this.#archived = archived;
    if (endedAt !== null) this.#observations.push({ lsn: archived, atMs: endedAt.getTime() });
  }

  /** The server's log ends there, at this time of its clock. */
  observe(lsn: Lsn, at: Date): void {
    const last = this.#observations.at(-1);
    if (last !== undefined && (lsn < last.lsn || at.getTime() < last.atMs + closestMs)) return;
    // Nothing was written since: the newer time says more. But the first of its kind stays, to tell from when on.
    const before = this.#observations.at(-2);
    if (last?.lsn === lsn && before?.lsn === lsn) this.#observations.pop();
    this.#observations.push({ lsn, atMs: at.getTime() });
    if (this.#observations.length > maxObservations)
      this.#observations = this.#observations.filter((_, index) => index % 2 === 1);
    this.#forget();
  }

  archive(lsn: Lsn): void {
    if (lsn > this.#archived) this.#archived = lsn;
    this.#forget();
  }

  /** In seconds, at least what is known from the first observation on; 0 where everything is archived. */
  secondsAt(now: Date, serverLsn: Lsn): number {
    if (serverLsn <= this.#archived) return 0;
    const known = this.#observations[0];
    return known === undefined ? 0 : Math.max(0, (now.getTime() - known.atMs) / 1_000);
  }

  /** Only the newest observation of what is archived matters, and those behind it. */
  #forget(): void {
    const keep = this.#observations.findLastIndex(({ lsn }) => lsn <= this.#archived);
    if (keep > 0) this.#observations.splice(0, keep);
  }
}
