import type { CnpgBase } from './barman.ts';
import type { CnpgWal, LiveSource } from './cnpg-recovery-facts.ts';
import { HoldfastError } from './errors.ts';
import { formatCount } from './format.ts';
import { describeTarget, microsOf, type RecoveryTarget } from './recovery-target.ts';
import { moment } from './render-window.ts';
import { ancestry, coveredRuns, segmentAlong, timelineAt, timelinesOf, type TimelinePath } from './timeline-path.ts';
import { runLength, runWith, type SegmentRun, type WalArchive } from './wal-archive.ts';
import { formatLsn, parseLsn, parseSegmentName, segmentNumber, segmentStart } from './wal.ts';

/** All that the choice of a base backup goes by. */
export interface CnpgChoiceFacts {
  readonly cluster: string;
  readonly target: RecoveryTarget;
  /** A backup that was asked for: Barman's id, or the Backup object's name. */
  readonly wanted: string | undefined;
  /** In any order. */
  readonly bases: readonly CnpgBase[];
  /** null: the store could not be read. */
  readonly wal: CnpgWal | null;
  /** null: the source doesn't answer. */
  readonly live: LiveSource | null;
  readonly now: Date;
}

export interface CnpgChoice {
  readonly base: CnpgBase;
  /** With its timeline pinned, where that is known. */
  readonly target: RecoveryTarget;
  readonly end: { readonly lsn: string | null; readonly at: string | null; readonly segments: number | null };
  /** What is possible, in words. */
  readonly range: string;
  readonly notes: readonly string[];
}

/**
 * The base backup and the timeline of a recovery by CloudNativePG, which fails a recovery whose target it doesn't
 * reach, late and with a Cluster half made: so a target outside of what is archived is refused here, with PlanHopeless
 * that says what is possible. NoSuchBackup where the backup that was asked for isn't there.
 */
export function chooseCnpgRecovery(facts: CnpgChoiceFacts): CnpgChoice {
  const { cluster, wanted, now } = facts;
  const bases = [...facts.bases].sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1));
  if (bases.length === 0)
    throw new HoldfastError(
      'PlanHopeless',
      `there is no base backup of cluster ${cluster} that a recovery could begin with`,
      "take one: 'holdfast backup POLICY' with a policy of method cnpg",
    );
  const asked = wanted === undefined ? bases : bases.filter(({ id, object }) => id === wanted || object === wanted);
  if (asked.length === 0)
    throw new HoldfastError(
      'NoSuchBackup',
      `cluster ${cluster} has no completed backup '${wanted ?? ''}'`,
      `there are: ${bases.slice(-10).map(nameOf).join(', ')}`,
    );
  const track = trackOf(facts, bases);
  const range = describeCnpgRange(facts, track, bases);
  const refuse = (message: string) => new HoldfastError('PlanHopeless', message, range);
  const onTrack = asked.filter((base) => isOn(track, base));
  if (onTrack.length === 0)
    throw refuse(
      `no base backup${wanted === undefined ? '' : ` '${wanted}'`} leads to timeline ${String(track.timeline)}`,
    );
  const base = pick(facts.target, onTrack, refuse);
  const end = endOf(facts, track, base);
  refuseBeyond(facts.target, end, now, refuse);
  return {
    base,
    target: track.timeline === null ? facts.target : { ...facts.target, timeline: track.timeline },
    end: { lsn: end.lsn === null ? null : formatLsn(end.lsn), at: end.at, segments: end.segments },
    range,
    notes: [
      ...unlocated(facts, onTrack.length),
      ...(end.at === null && facts.target.kind === 'time'
        ? [
            'nobody knows up to which time the WAL is archived: if nothing was committed after the target, or it is not archived, CloudNativePG fails the recovery at the end of the archive',
          ]
        : []),
      ...(facts.live !== null && base.systemIdentifier !== null && facts.live.systemIdentifier !== base.systemIdentifier
        ? [
            `the Cluster is another one today (system ${facts.live.systemIdentifier}) than the backup's (${base.systemIdentifier}): it was made anew since`,
          ]
        : []),
    ],
  };
}

export const nameOf = ({ id, object }: Pick<CnpgBase, 'id' | 'object'>) =>
  id === null ? (object ?? '') : object === null ? id : `${id} (${object})`;

/** The way through the timelines; nulls where the archive could not be read. */
interface Track {
  readonly timeline: number | null;
  readonly path: TimelinePath | null;
  readonly archive: WalArchive | null;
  readonly runs: readonly SegmentRun[];
}

const usualSegmentBytes = 16 * 1024 * 1024;

function trackOf({ target, wal, cluster }: CnpgChoiceFacts, bases: readonly CnpgBase[]): Track {
  const asked = target.timeline === 'latest' ? null : target.timeline;
  if (wal === null) return { timeline: asked, path: null, archive: null, runs: [] };
  const { archive } = wal;
  const timeline = asked ?? timelinesOf(archive).at(-1) ?? bases.at(-1)?.timeline ?? 1;
  const path = ancestry(archive, timeline);
  if (path === undefined)
    throw new HoldfastError(
      'PlanHopeless',
      `the way to timeline ${String(timeline)} of cluster ${cluster} isn't known: its history is not in the object store, or can't be read from there`,
      `name another timeline; archived is something of ${timelinesOf(archive).map(String).join(', ')}`,
    );
  return { timeline, path, archive, runs: coveredRuns(archive, path) };
}

function isOn({ timeline, path }: Track, base: CnpgBase): boolean {
  if (path === null) return timeline === null || base.timeline <= timeline;
  return timelineAt(path, parseLsn(base.endLsn) - 1n) === base.timeline;
}

function pick(
  target: RecoveryTarget,
  candidates: readonly CnpgBase[],
  refuse: (message: string) => HoldfastError,
): CnpgBase {
  const [first] = candidates;
  const fits = candidates.filter((base) => {
    if (target.kind === 'time') return microsOf(base.finishedAt) <= microsOf(target.at);
    return target.kind !== 'lsn' || parseLsn(base.endLsn) <= parseLsn(target.lsn);
  });
  // A volume snapshot is only taken where it was asked for, or nothing else is there.
  const base = fits.findLast(({ snapshots }) => snapshots === null) ?? fits.at(-1);
  if (base !== undefined) return base;
  throw refuse(
    `${describeTarget(target)} is before the first possible moment: base backup ${first === undefined ? '' : `${nameOf(first)} is consistent from ${first.endLsn} on, and ended at ${first.finishedAt}`}`,
  );
}

interface End {
  readonly lsn: bigint | null;
  readonly at: string | null;
  readonly segments: number | null;
  /** Something is archived behind a hole that begins with this segment; null: no hole. */
  readonly hole: string | null;
}

/** Where what is archived without a hole after a base backup ends. */
function endOf({ wal, live }: CnpgChoiceFacts, { path, archive, runs }: Track, base: CnpgBase): End {
  if (wal === null || path === null || archive === null) {
    const last = parseSegmentName(live?.lastArchivedWal ?? '', usualSegmentBytes);
    const bytes = base.segmentBytes;
    return {
      lsn: last === undefined || bytes === null ? null : segmentStart(last.number + 1n, bytes),
      at: live?.lastArchivedAt ?? null,
      segments: null,
      hole: null,
    };
  }
  const { segmentBytes } = archive;
  const first = segmentNumber(parseLsn(base.beginLsn), segmentBytes);
  const consistent = segmentNumber(parseLsn(base.endLsn) - 1n, segmentBytes);
  const run = runWith(runs, first);
  if (run === undefined || run.last < consistent)
    throw new HoldfastError(
      'WalMissing',
      `base backup ${nameOf(base)} needs WAL segment ${segmentAlong(path, run === undefined ? first : run.last + 1n, segmentBytes)}, which is not in the object store`,
      'begin with another base backup; see why it was not archived: condition ContinuousArchiving of the Cluster',
    );
  const beyond = runs.some((other) => other.first > run.last);
  const hole = beyond ? segmentAlong(path, run.last + 1n, segmentBytes) : null;
  return {
    lsn: segmentStart(run.last + 1n, segmentBytes),
    at: wal.storedAt.get(segmentAlong(path, run.last, segmentBytes)) ?? null,
    segments: runLength({ first, last: run.last }),
    hole,
  };
}

function refuseBeyond(target: RecoveryTarget, end: End, now: Date, refuse: (message: string) => HoldfastError): void {
  const because =
    end.hole === null ? '' : `: WAL segment ${end.hole} is missing, and what comes after it can't be reached`;
  if (target.kind === 'latest' && end.hole !== null)
    throw refuse(`the WAL after the base backup has a hole${because}; replay would end there`);
  if (target.kind === 'time') {
    const at = microsOf(target.at);
    if (at > BigInt(now.getTime()) * 1000n) throw refuse(`the time ${target.at} is in the future`);
    if (end.at !== null && at > microsOf(end.at))
      throw refuse(
        `the time ${target.at} is after the last possible moment: the newest WAL that is archived without a hole was archived at ${end.at}${because}`,
      );
  }
  if (target.kind === 'lsn' && end.lsn !== null && parseLsn(target.lsn) >= end.lsn)
    throw refuse(
      `the place ${target.lsn} is not archived: the last possible one lies before ${formatLsn(end.lsn)}${because}`,
    );
}

function unlocated({ target, wanted }: CnpgChoiceFacts, candidates: number): string[] {
  if (target.kind !== 'xid' && target.kind !== 'name') return [];
  const older = wanted === undefined && candidates > 1 ? '; "backup" names an older one' : '';
  return [
    `${describeTarget(target)} can't be located without reading the log: it is found only if it comes after this base backup${older}. If it isn't found, CloudNativePG fails the recovery at the end of the archive`,
  ];
}

/** What is possible, and by what it is known. */
function describeCnpgRange(
  { wal, live, cluster }: CnpgChoiceFacts,
  { path, archive, runs }: Track,
  bases: readonly CnpgBase[],
): string {
  const [first] = bases;
  const from = first === undefined ? '' : `from ${moment(first.finishedAt)} (${first.endLsn})`;
  if (wal === null || path === null || archive === null) {
    const at = live?.lastArchivedAt ?? null;
    const to = at === null ? 'an end that nobody can tell from here' : moment(at);
    return `cluster ${cluster} can be recovered ${from} to ${to}, as its Backup objects${live === null ? '' : ' and its primary'} say`;
  }
  const begin = segmentNumber(parseLsn(first?.beginLsn ?? '0/0'), archive.segmentBytes);
  const after = runs.filter((run) => run.last >= begin);
  const last = after.at(-1);
  const name = last === undefined ? '' : segmentAlong(path, last.last, archive.segmentBytes);
  const to =
    last === undefined
      ? 'no further'
      : `to what was archived by ${moment(wal.storedAt.get(name) ?? null)} (before ${formatLsn(segmentStart(last.last + 1n, archive.segmentBytes))})`;
  const holes = after.length > 1 ? `, with ${formatCount(after.length - 1, 'hole')} between` : '';
  return `cluster ${cluster} can be recovered ${from} ${to}${holes}, as its object store says`;
}
