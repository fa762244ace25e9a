import type { BaseBackup } from './base-manifest.ts';
import { stateOfBase, stateOn, stopOf, timelinesWith, trackOf, type Track } from './base-state.ts';
import type { TimelinePath } from './timeline-path.ts';
import { runLength, type Archived, type SegmentRun } from './wal-archive.ts';
import { formatLsn, segmentName, segmentNumber, segmentStart, type Lsn } from './wal.ts';

/** Timelines, or ends of them, that the newest one left. A recovery reaches them where it is told their number. */
export interface Branch {
  readonly timeline: number;
  /** Where the newest timeline's path parts from it; null: the two have nothing in common, or nobody knows. */
  readonly leftAt: string | null;
  /** time: the server's at the end of its last archived segment, if known. */
  readonly to: { readonly time: string | null; readonly lsn: string };
  readonly segments: number;
  /** A base backup and WAL without a hole lead to its end. */
  readonly recoverable: boolean;
  /** Bases that are of this branch alone, oldest first. */
  readonly bases: readonly string[];
}

/** What is archived of timelines beyond the places where the main one's path leaves them. */
export function branchesOf(bases: readonly BaseBackup[], archived: Archived, main: Track | undefined): Branch[] {
  return timelinesWith(archived.archive, bases).flatMap((timeline) => {
    const found = timeline === main?.timeline ? undefined : branchOf(bases, archived, main, timeline);
    return found === undefined ? [] : [found];
  });
}

function branchOf(
  bases: readonly BaseBackup[],
  { archive, times }: Archived,
  main: Track | undefined,
  timeline: number,
): Branch | undefined {
  const { segmentBytes } = archive;
  const track = trackOf(archive, timeline);
  const leftAt = track && main ? partingOf(track.path, main.path) : null;
  const begin = leftAt === null ? 0n : segmentNumber(leftAt, segmentBytes);
  const tail = (archive.segments.get(timeline) ?? []).flatMap(({ first, last }): SegmentRun[] =>
    last < begin ? [] : [{ first: first > begin ? first : begin, last }],
  );
  const own = bases.filter(
    ({ manifest }) => manifest.stopTimeline === timeline && (leftAt === null || stopOf(manifest) > leftAt),
  );
  const last = tail.at(-1)?.last;
  const lastBase = own.at(-1)?.manifest;
  if (last === undefined && lastBase === undefined) return undefined;
  const end = track?.runs.at(-1);
  return {
    timeline,
    leftAt: leftAt === null ? null : formatLsn(leftAt),
    to:
      last === undefined
        ? { time: lastBase?.serverFinishedAt ?? null, lsn: lastBase?.stopLsn ?? '0/0' }
        : {
            time: times.get(segmentName(timeline, last, segmentBytes)) ?? null,
            lsn: formatLsn(segmentStart(last + 1n, segmentBytes)),
          },
    segments: tail.reduce((sum, run) => sum + runLength(run), 0),
    recoverable:
      last === undefined
        ? own.some((base) => stateOfBase(archive, bases, base).state !== 'broken')
        : track !== undefined && bases.some((base) => reaches(track, bases, base, end)),
    bases: own.map(({ manifest }) => manifest.id),
  };
}

function reaches(track: Track, bases: readonly BaseBackup[], base: BaseBackup, end: SegmentRun | undefined): boolean {
  const state = stateOn(track, bases, base);
  return state.state === 'usable' && state.run === end;
}

/** The first place that two paths don't share; null where they share none. */
function partingOf(one: TimelinePath, other: TimelinePath): Lsn | null {
  let parting: Lsn | null = null;
  for (const [index, step] of one.entries()) {
    const beside = other[index];
    if (beside?.timeline !== step.timeline || beside.from !== step.from) break;
    const ends = [step.to, beside.to].filter((to) => to !== null);
    parting = ends.reduce<Lsn | null>((least, to) => (least === null || to < least ? to : least), null);
    if (step.to !== beside.to) break;
  }
  return parting;
}
