import type { RecoveryTarget } from './recovery-target.ts';
import { describeTarget, microsOf } from './recovery-target.ts';
import { timelineAt, type TimelinePath } from './timeline-path.ts';
import { parseLsn } from './wal.ts';

/** Where a recovery ended, as the instance tells. */
export interface Reached {
  /** pg_last_wal_replay_lsn(): the end of the last record that was replayed. */
  readonly lsn: string;
  /** The timeline of that record. */
  readonly timeline: number;
  /** Commit time of the last transaction that was replayed; null: none was. */
  readonly lastTransactionTime: string | null;
  /** target: PostgreSQL says that it stopped where it was told to. archive: it has replayed everything there is. */
  readonly stoppedBy: 'target' | 'archive';
}

/** What was asked for, in the numbers that a plan pins. */
export interface Asked {
  readonly target: RecoveryTarget;
  readonly path: TimelinePath;
  /** Where the base backup is consistent: nothing less will do. */
  readonly consistentLsn: string;
  /** Where the last archived segment begins that the plan counts on; null: not known. */
  readonly lastSegmentLsn: string | null;
}

export type Verdict = 'as asked' | 'end of archive' | 'not reached';

export interface Comparison {
  readonly verdict: Verdict;
  /** What was asked and what was reached, a sentence each. */
  readonly words: readonly string[];
}

/**
 * What was reached next to what was asked. `end of archive`: everything that is archived was replayed, and the target
 * was not among it: for a time that means that nothing later was committed, for a transaction or a name that it isn't
 * there. `not reached`: what runs is not what was asked for, whatever PostgreSQL said of it.
 */
export function compareReached(asked: Asked, reached: Reached): Comparison {
  const { target } = asked;
  const flaw = flawOf(asked, reached);
  const verdict = flaw !== undefined ? 'not reached' : verdictOf(target, reached);
  const last = reached.lastTransactionTime;
  return {
    verdict,
    words: [
      `asked for ${describeTarget(target)}`,
      `reached ${reached.lsn} on timeline ${String(reached.timeline)}; ${last === null ? 'no transaction was replayed after the base backup' : `the last transaction was committed at ${last}`}`,
      ...(flaw === undefined ? [] : [flaw]),
      ...(verdict === 'end of archive' ? [endOfArchive(target)] : []),
    ],
  };
}

function verdictOf({ kind }: RecoveryTarget, { stoppedBy }: Reached): Verdict {
  return kind === 'latest' || stoppedBy === 'target' ? 'as asked' : 'end of archive';
}

/** What contradicts the target, by the numbers. */
function flawOf({ target, path, consistentLsn, lastSegmentLsn }: Asked, reached: Reached): string | undefined {
  const lsn = parseLsn(reached.lsn);
  if (lsn < parseLsn(consistentLsn)) return `that is before ${consistentLsn}, where the base backup is consistent`;
  const timeline = timelineAt(path, lsn > 0n ? lsn - 1n : lsn);
  // the record that ends right where a timeline was left may count as of either
  if (timeline !== reached.timeline && timelineAt(path, lsn) !== reached.timeline)
    return `that is not on the way to timeline ${String(path.at(-1)?.timeline)}`;
  if (lastSegmentLsn !== null && target.kind === 'latest' && lsn < parseLsn(lastSegmentLsn))
    return `the archive goes on: its last segment begins at ${lastSegmentLsn}`;
  if (target.kind === 'time' && reached.lastTransactionTime !== null) {
    const [last, at] = [microsOf(reached.lastTransactionTime), microsOf(target.at)];
    if (last > at || (last === at && !target.inclusive)) return 'that is later than what was asked for';
  }
  if (target.kind === 'lsn' && reached.stoppedBy === 'target' && target.inclusive && lsn < parseLsn(target.lsn))
    return `that is before ${target.lsn}`;
  return undefined;
}

function endOfArchive({ kind }: RecoveryTarget): string {
  switch (kind) {
    case 'time':
      return 'everything that is archived was replayed: nothing was committed after the time, as far as the archive goes';
    case 'lsn':
      return 'everything that is archived was replayed, and ends before the place';
    case 'xid':
      return 'everything that is archived was replayed, and the transaction is not in it: it ended before the base backup, or is not archived, or never was';
    case 'name':
      return 'everything that is archived was replayed, and the restore point is not in it: it was made before the base backup, or is not archived, or is spelled otherwise';
    case 'immediate':
    case 'latest':
      return 'everything that is archived was replayed';
  }
}
