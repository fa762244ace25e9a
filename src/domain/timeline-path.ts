import type { SegmentRun, WalArchive } from './wal-archive.ts';
import { mergeRuns, missingOf, runWith } from './wal-archive.ts';
import { segmentName, segmentNumber, type Lsn } from './wal.ts';

/**
 * The way through the timelines from the first to one of them, which is what a recovery to that one replays. Each
 * step but the last is left where the next begins.
 */
export type TimelinePath = readonly PathStep[];

export interface PathStep {
  readonly timeline: number;
  /** Where it begins; 0 for the first of the path. */
  readonly from: Lsn;
  /** Where it is left for the next: that place belongs to the next. null: the path ends on it. */
  readonly to: Lsn | null;
}

/**
 * The path to a timeline. undefined where nobody knows it: every timeline but the first needs its history file, and
 * PostgreSQL refuses to recover to one that has none.
 */
export function ancestry(archive: Pick<WalArchive, 'histories'>, timeline: number): TimelinePath | undefined {
  const history = timeline === 1 ? [] : archive.histories.get(timeline);
  const last = history?.at(-1);
  if (history === undefined || (timeline !== 1 && last === undefined) || (last && last.timeline >= timeline))
    return undefined;
  const starts = [0n, ...history.map(({ switchLsn }) => switchLsn)];
  return [...history.map((left) => left.timeline), timeline].map((step, index) => ({
    timeline: step,
    from: starts[index] ?? 0n,
    to: history[index]?.switchLsn ?? null,
  }));
}

/** Every timeline that something is known of, in rising order. */
export const timelinesOf = (archive: Pick<WalArchive, 'segments' | 'histories'>): number[] =>
  [...new Set([...archive.segments.keys(), ...archive.histories.keys()])].sort((a, b) => a - b);

/** The timeline that a byte of the log belongs to along a path. */
export const timelineAt = (path: TimelinePath, lsn: Lsn): number | undefined =>
  path.find(({ from, to }) => from <= lsn && (to === null || lsn < to))?.timeline;

/** Where a path's timeline is left; null: it is the last; undefined: it is none of the path. */
export const leftAt = (path: TimelinePath, timeline: number): Lsn | null | undefined =>
  path.find((step) => step.timeline === timeline)?.to;

/**
 * The timeline whose file holds a segment along a path. A segment in which a timeline is left is read from the next
 * one's file, into which PostgreSQL copied what lies before the switch: so a recovery does it too.
 */
export function timelineOfSegment(path: TimelinePath, number: bigint, segmentBytes: number): number {
  const step = path.findLast(({ from }) => segmentNumber(from, segmentBytes) <= number);
  return step?.timeline ?? path[0]?.timeline ?? 1;
}

export const segmentAlong = (path: TimelinePath, number: bigint, segmentBytes: number) =>
  segmentName(timelineOfSegment(path, number, segmentBytes), number, segmentBytes);

export interface TimelineRun extends SegmentRun {
  readonly timeline: number;
}

/** A run of segments along a path, cut where the timelines change. */
export function runsAlong(path: TimelinePath, { first, last }: SegmentRun, segmentBytes: number): TimelineRun[] {
  return path.flatMap(({ timeline, from }, index) => {
    const next = path[index + 1];
    const begin = max(index === 0 ? 0n : segmentNumber(from, segmentBytes), first);
    const end = next === undefined ? last : min(segmentNumber(next.from, segmentBytes) - 1n, last);
    return begin > end ? [] : [{ timeline, first: begin, last: end }];
  });
}

const max = (a: bigint, b: bigint) => (a > b ? a : b);
const min = (a: bigint, b: bigint) => (a < b ? a : b);

/** What the archive holds along a path, whatever the timeline of each segment, as runs that don't touch. */
export function coveredRuns(archive: WalArchive, path: TimelinePath): SegmentRun[] {
  const pieces = path.flatMap(({ timeline }) =>
    (archive.segments.get(timeline) ?? []).flatMap((run) =>
      runsAlong(path, run, archive.segmentBytes).filter((piece) => piece.timeline === timeline),
    ),
  );
  return mergeRuns(pieces);
}

export type SegmentsFound =
  | { readonly found: true; readonly runs: readonly TimelineRun[] }
  /** The first segment that is not there, by name. */
  | { readonly found: false; readonly missing: string };

/** The segments that hold the bytes [from, to) along a path; nothing for an empty range. */
export function segmentsFor(archive: WalArchive, path: TimelinePath, from: Lsn, to: Lsn): SegmentsFound {
  if (to <= from) return { found: true, runs: [] };
  const wanted = spanOf(from, to, archive.segmentBytes);
  const [hole] = missingOf(wanted, coveredRuns(archive, path));
  return hole === undefined
    ? { found: true, runs: runsAlong(path, wanted, archive.segmentBytes) }
    : { found: false, missing: segmentAlong(path, hole.first, archive.segmentBytes) };
}

/** The segments that bytes [from, to) lie in; to is greater than from. */
export const spanOf = (from: Lsn, to: Lsn, segmentBytes: number): SegmentRun => ({
  first: segmentNumber(from, segmentBytes),
  last: segmentNumber(to - 1n, segmentBytes),
});

/** The names of runs, one after the other; many: a run may be of a hundred thousand. */
export function* segmentNames(runs: readonly TimelineRun[], segmentBytes: number): Generator<string> {
  for (const { timeline, first, last } of runs)
    for (let number = first; number <= last; number += 1n) yield segmentName(timeline, number, segmentBytes);
}

/**
 * Segments that are missing although there are later ones: inside a timeline, and between what is archived of a
 * timeline and of the one that it was left for. What lies before the archive's beginning is no gap, nor what isn't
 * archived yet. In the order of timelines and places, each once.
 */
export function gapsOf(archive: WalArchive): TimelineRun[] {
  const gaps = new Map<string, TimelineRun>();
  const add = (timeline: number, first: bigint, last: bigint) => {
    const name = segmentName(timeline, first, archive.segmentBytes);
    const known = gaps.get(name);
    if (first <= last && (known === undefined || known.last < last)) gaps.set(name, { timeline, first, last });
  };
  for (const [timeline, runs] of archive.segments) {
    for (const [index, run] of runs.entries()) {
      const next = runs[index + 1];
      if (next) add(timeline, run.last + 1n, next.first - 1n);
    }
  }
  for (const timeline of archive.segments.keys()) {
    const path = ancestry(archive, timeline);
    if (path === undefined || path.length < 2) continue;
    const own = path.at(-1);
    const begin = segmentNumber(own?.from ?? 0n, archive.segmentBytes);
    const covered = coveredRuns(archive, path);
    // only what lies around a switch: the rest was found above, where it belongs to
    for (const [index, run] of covered.entries()) {
      const next = covered[index + 1];
      if (!next || run.first >= begin) continue;
      for (const piece of runsAlong(path, { first: run.last + 1n, last: next.first - 1n }, archive.segmentBytes))
        if (!isInside(archive, piece)) add(piece.timeline, piece.first, piece.last);
    }
  }
  return [...gaps.values()].sort((a, b) => a.timeline - b.timeline || (a.first < b.first ? -1 : 1));
}

/** Whether a hole has segments of its own timeline on both sides: then it was found there, maybe longer. */
function isInside(archive: WalArchive, { timeline, first, last }: TimelineRun): boolean {
  const runs = archive.segments.get(timeline) ?? [];
  return runs.some((run) => run.last < first) && runs.some((run) => run.first > last) && !runWith(runs, first);
}
