import type { TimelineHistory } from '../../domain/timeline.ts';
import type { SegmentRun } from '../../domain/wal-archive.ts';
import { segmentNumber, segmentStart, type Lsn } from '../../domain/wal.ts';

/** What is known before streaming begins. */
export interface ResumeFacts {
  readonly segmentBytes: number;
  /** The server's own timeline, and where it comes from. */
  readonly timeline: number;
  readonly history: TimelineHistory;
  /** What lies in the archive, by timeline; only those of the server's past matter. */
  readonly archived: ReadonlyMap<
    number,
    { readonly runs: readonly SegmentRun[]; readonly partials: readonly bigint[] }
  >;
  /** From where on the slot keeps the log; null: not yet known. */
  readonly restartLsn: Lsn | null;
}

export interface ResumePoint {
  readonly timeline: number;
  /** A segment's begin. */
  readonly start: Lsn;
  /** Where this timeline was left for the next one; null: it is the server's own. */
  readonly until: Lsn | null;
  /** Nothing of the server's past was archived: what lies before was never promised. */
  readonly fresh: boolean;
}

interface Stretch {
  readonly timeline: number;
  readonly begin: Lsn;
  readonly end: Lsn | null;
}

/**
 * Where archiving goes on: behind the newest archived segment of the server's own past, also one on a timeline that
 * was left since. A hole behind the place up to which the slot keeps the log (a process died between two
 * publications, somebody removed an object) is filled first. Without anything archived: where the slot begins.
 */
export function resumePoint(facts: ResumeFacts): ResumePoint {
  const stretches = stretchesOf(facts);
  for (const [index, stretch] of [...stretches.entries()].reverse()) {
    const archived = facts.archived.get(stretch.timeline);
    const next = archived && nextNumber(stretch, archived.runs, facts);
    if (next === undefined) continue;
    const start = segmentStart(next, facts.segmentBytes);
    const { end } = stretch;
    const isOver =
      end !== null &&
      (start >= end || (segmentNumber(end, facts.segmentBytes) === next && archived?.partials.includes(next) === true));
    // One that was left in the same segment has nothing that the next one's file doesn't begin with.
    const successor = stretches
      .slice(index + 1)
      .find((later) => end === null || later.end === null || segmentBegin(later.end, facts) > segmentBegin(end, facts));
    if (isOver && successor !== undefined) return pointAt(successor, segmentBegin(end, facts), false);
    return pointAt(stretch, start, false);
  }
  const start = segmentBegin(facts.restartLsn ?? 0n, facts);
  return pointAt(ownerOf(stretches, facts.restartLsn ?? 0n), start, true);
}

/** The timeline that a place in the server's log belongs to, from its segment's begin on. */
export function pointOf(lsn: Lsn, facts: Pick<ResumeFacts, 'segmentBytes' | 'timeline' | 'history'>): ResumePoint {
  return pointAt(ownerOf(stretchesOf(facts), lsn), segmentBegin(lsn, facts), false);
}

function stretchesOf({ timeline, history }: Pick<ResumeFacts, 'timeline' | 'history'>): readonly Stretch[] {
  const left = history.map(({ timeline: of, switchLsn }, index) => ({
    timeline: of,
    begin: history[index - 1]?.switchLsn ?? 0n,
    end: switchLsn,
  }));
  return [...left, { timeline, begin: history.at(-1)?.switchLsn ?? 0n, end: null }];
}

function ownerOf(stretches: readonly Stretch[], lsn: Lsn): Stretch {
  const owner = stretches.find(({ end }) => end === null || lsn < end) ?? stretches.at(-1);
  if (owner === undefined) throw new Error('a server has a timeline');
  return owner;
}

const pointAt = ({ timeline, end }: Stretch, start: Lsn, fresh: boolean): ResumePoint => ({
  timeline,
  start,
  until: end,
  fresh,
});

const segmentBegin = (lsn: Lsn, { segmentBytes }: Pick<ResumeFacts, 'segmentBytes'>) =>
  segmentStart(segmentNumber(lsn, segmentBytes), segmentBytes);

/** The first segment that is missing on this stretch; undefined where nothing of it is archived. */
function nextNumber(
  stretch: Stretch,
  runs: readonly SegmentRun[],
  { segmentBytes, restartLsn }: ResumeFacts,
): bigint | undefined {
  // What the old primary still wrote behind the place where it was left isn't of this server's past.
  const limit = stretch.end === null ? undefined : segmentNumber(stretch.end, segmentBytes);
  const within = runs
    .filter(({ first }) => limit === undefined || first < limit)
    .map(({ first, last }) => ({ first, last: limit !== undefined && last >= limit ? limit - 1n : last }));
  const last = within.at(-1)?.last;
  if (last === undefined) return undefined;
  if (restartLsn === null) return last + 1n;
  const begin = stretch.begin > restartLsn ? stretch.begin : restartLsn;
  const kept = segmentNumber(begin, segmentBytes);
  if (kept > last) return last + 1n;
  const run = within.find((each) => each.first <= kept && kept <= each.last);
  return run === undefined ? kept : run.last + 1n;
}
