import type { BaseBackup } from './base-manifest.ts';
import { startOf, stateOn, stopOf, type Track } from './base-state.ts';
import { runsAlong, spanOf, timelinesOf, type TimelineRun } from './timeline-path.ts';
import { mergeRuns, missingOf, runLength, type Archived, type SegmentRun } from './wal-archive.ts';
import { formatLsn, parseLsn, segmentName, segmentNumber, type Lsn } from './wal.ts';

/** Which WAL of one system stays. */
export interface WalVerdict {
  readonly systemIdentifier: string;
  /** In the order of timelines and places; each segment of the archive is in exactly one of remove and keep. */
  readonly remove: readonly WalRange[];
  readonly keep: readonly WalRange[];
  /** Timelines whose .history may go too: only when nothing else of a system stays that the cluster left behind. */
  readonly histories: readonly number[];
}

export interface WalRange {
  readonly timeline: number;
  /** Names of segments. */
  readonly first: string;
  readonly last: string;
  readonly segments: number;
  readonly reason: string;
}

export interface KeptBase {
  readonly base: BaseBackup;
  /** Recovery to later moments is to begin with it. */
  readonly onwards: boolean;
}

export interface WalGround {
  readonly archived: Archived;
  readonly bases: readonly BaseBackup[];
  readonly tracks: readonly Track[];
  readonly newest: Track | undefined;
  readonly current: boolean;
  /** The cluster goes on as another system. */
  readonly over: boolean;
}

interface Need extends TimelineRun {
  readonly reason: string;
}

/** Further than any log goes. */
const endOfLog = (1n << 64n) - 1n;

/** @param whole why nothing goes; undefined: it is judged segment by segment */
export function judgeWal(
  ground: WalGround,
  kept: readonly KeptBase[],
  whole: string | undefined,
  underway: readonly { readonly systemIdentifier: string; readonly startLsn: string | null }[],
): WalVerdict {
  const { archive } = ground.archived;
  const { systemIdentifier, segmentBytes } = archive;
  const own = kept.filter(({ base }) => base.manifest.server.systemIdentifier === systemIdentifier);
  const taken = underway.filter((one) => one.systemIdentifier === systemIdentifier);
  const unknown = taken.some(({ startLsn }) => startLsn === null) ? 'a base backup is being taken' : undefined;
  const needs = [
    ...needsOf(ground, own, whole ?? unknown),
    ...taken.flatMap(({ startLsn }) => (startLsn === null ? [] : takenFrom(ground, parseLsn(startLsn)))),
  ];
  const range = (timeline: number, run: SegmentRun, reason: string): WalRange => ({
    timeline,
    first: segmentName(timeline, run.first, segmentBytes),
    last: segmentName(timeline, run.last, segmentBytes),
    segments: runLength(run),
    reason,
  });
  const remove: WalRange[] = [];
  const keep: WalRange[] = [];
  for (const [timeline, runs] of archive.segments) {
    const wanted = needs.filter((need) => need.timeline === timeline);
    const covered = mergeRuns(wanted);
    for (const run of runs) {
      for (const gone of missingOf(run, covered))
        remove.push(range(timeline, gone, 'no base backup that stays needs it'));
      for (const { first, last, reason } of keptPieces(run, wanted))
        keep.push(range(timeline, { first, last }, reason));
    }
  }
  // a history is archived before its timeline's first segment: of a system that may still be alive none goes
  const nothingStays =
    ground.over && own.length === 0 && keep.length === 0 && whole === undefined && taken.length === 0;
  return {
    systemIdentifier,
    remove,
    keep,
    histories: nothingStays ? timelinesOf({ segments: new Map(), histories: archive.histories }) : [],
  };
}

/** A run cut where the first reason that covers it changes: each segment once. */
function keptPieces(run: SegmentRun, needs: readonly Need[]): Need[] {
  const pieces: Need[] = [];
  let left: SegmentRun[] = [run];
  for (const need of needs) {
    left = left.flatMap((piece) => {
      const first = piece.first > need.first ? piece.first : need.first;
      const last = piece.last < need.last ? piece.last : need.last;
      if (first > last) return [piece];
      pieces.push({ ...need, first, last });
      return missingOf(piece, [{ first, last }]);
    });
  }
  return pieces.sort((a, b) => (a.first < b.first ? -1 : 1));
}

/** What stays by whatever reason, the widest reasons first. */
function needsOf(
  { archived, bases, tracks, newest, current, over }: WalGround,
  kept: readonly KeptBase[],
  whole: string | undefined,
): Need[] {
  const everything = (reason: string) =>
    [...archived.archive.segments.keys()].map((timeline) => ({ timeline, first: 0n, last: endOfLog, reason }));
  if (whole !== undefined) return everything(whole);
  if (bases.length === 0 && !over) return everything('no base backup of this system is there yet');
  const onwards: Need[] = [];
  const consistent: Need[] = [];
  const { segmentBytes } = archived.archive;
  for (const track of tracks) {
    let oldest: { readonly first: bigint; readonly id: string } | undefined;
    for (const { base, onwards: goesOn } of kept) {
      const span = usedOn(track, bases, base);
      if (span === undefined) continue;
      const { id } = base.manifest;
      for (const run of runsAlong(track.path, span, segmentBytes))
        consistent.push({ ...run, reason: `base '${id}' is consistent with it` });
      if (goesOn && (oldest === undefined || span.first < oldest.first)) oldest = { first: span.first, id };
    }
    // a first base on a new timeline may be under way: what it will need is not known yet
    const waiting = track === newest && current && oldest === undefined;
    if (oldest !== undefined || waiting)
      for (const run of runsAlong(track.path, { first: oldest?.first ?? 0n, last: endOfLog }, segmentBytes))
        onwards.push({
          ...run,
          reason:
            oldest === undefined
              ? `no base backup leads to timeline ${String(track.timeline)} yet`
              : `recovery from base '${oldest.id}' on goes through it`,
        });
  }
  // timelines whose history is lost belong to no track: what needs them can't be told
  const lost = [...archived.archive.segments.keys()].filter(
    (timeline) => !tracks.some((track) => track.timeline === timeline),
  );
  const unknown = (kept.length === 0 ? [] : lost).map((timeline) => ({
    timeline,
    first: 0n,
    last: endOfLog,
    reason: 'the history of its timeline is not archived: nobody knows what needs it',
  }));
  return [...onwards, ...unknown, ...consistent];
}

/** A backup that is being taken may end on any timeline that goes on from its start. */
const takenFrom = ({ archived: { archive } }: WalGround, start: Lsn): Need[] =>
  [...archive.segments.keys()].map((timeline) => ({
    timeline,
    first: segmentNumber(start, archive.segmentBytes),
    last: endOfLog,
    reason: `a base backup is being taken from ${formatLsn(start)} on`,
  }));

/** The segments that make a base consistent, as far as the archive has to give them; undefined: it isn't of this track. */
function usedOn(track: Track, bases: readonly BaseBackup[], base: BaseBackup): SegmentRun | undefined {
  const { state } = stateOn(track, bases, base);
  if (state !== 'usable') return undefined;
  const { manifest } = base;
  const [start, stop] = [startOf(manifest), stopOf(manifest)];
  const span = spanOf(start, stop > start ? stop : start + 1n, track.archive.segmentBytes);
  return manifest.includesWal ? { first: span.last, last: span.last } : span;
}
