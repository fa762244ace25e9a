import { windowMs } from './physical-retention.ts';

/** A volume snapshot that CloudNativePG has taken, as retention sees it. */
export interface Snapshot {
  readonly name: string;
  /** ISO. */
  readonly stoppedAt: string;
  /** Its deletion had begun already. */
  readonly going: boolean;
}

export interface SnapshotVerdict {
  readonly snapshot: Snapshot;
  /** Why it stays; empty: it may go. */
  readonly keep: readonly string[];
}

/**
 * Volume snapshots know no retention in CloudNativePG. Every moment of the window stays recoverable: what was taken in
 * it stays, and the newest from before it, from which its first moments are recovered; and always the newest of all.
 * One whose deletion has begun is none any more, and goes. Without a window nothing else does.
 * @returns newest first
 */
export function judgeSnapshots(snapshots: readonly Snapshot[], window: string | null, now: Date): SnapshotVerdict[] {
  const begin = window === null ? -Infinity : now.getTime() - windowMs(window);
  const newestFirst = snapshots.toSorted((a, b) => Date.parse(b.stoppedAt) - Date.parse(a.stoppedAt));
  const usable = newestFirst.filter(({ going }) => !going);
  const newest = usable[0];
  const before = usable.find(({ stoppedAt }) => Date.parse(stoppedAt) < begin);
  return newestFirst.map((snapshot) => ({
    snapshot,
    keep: snapshot.going
      ? []
      : [
          ...(snapshot === newest ? ['the newest'] : []),
          ...(window === null ? ['the policy keeps all'] : []),
          ...(window !== null && Date.parse(snapshot.stoppedAt) >= begin ? [`in the window of ${window}`] : []),
          ...(window !== null && snapshot === before ? [`the window of ${window} begins with it`] : []),
        ],
  }));
}
