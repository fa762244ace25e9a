/** Grandfather-father-son: of so many days, weeks, months and years the newest backup of each stays. */
export interface Gfs {
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
}

const dayMs = 86_400_000;

/** Weeks begin on Monday; the day 0 of 1970 was a Thursday. */
const buckets: Readonly<Record<keyof Gfs, (at: Date) => string>> = {
  daily: (at) => at.toISOString().slice(0, 10),
  weekly: (at) => {
    const days = Math.floor(at.getTime() / dayMs);
    return new Date((days - ((days + 3) % 7)) * dayMs).toISOString().slice(0, 10);
  },
  monthly: (at) => at.toISOString().slice(0, 7),
  yearly: (at) => at.toISOString().slice(0, 4),
};

const units: Readonly<Record<keyof Gfs, string>> = { daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' };

/**
 * Why each of some backups stays, in their order (newest first); nothing: it may go. Counted in UTC, and only over days
 * (weeks, …) that have a backup at all, so that a pause doesn't cost old ones.
 */
export function gfsReasons(times: readonly Date[], gfs: Gfs): string[][] {
  const reasons = times.map((): string[] => []);
  for (const rule of ['daily', 'weekly', 'monthly', 'yearly'] as const) {
    const most = gfs[rule] ?? 0;
    const seen = new Set<string>();
    for (const [index, time] of times.entries()) {
      const bucket = buckets[rule](time);
      if (seen.has(bucket) || seen.size >= most) continue;
      seen.add(bucket);
      reasons[index]?.push(`the newest of the ${units[rule]} ${rule === 'weekly' ? `from ${bucket}` : bucket}, UTC`);
    }
  }
  return reasons;
}
