import type { BaseBackup } from './base-manifest.ts';
import { chainOf, startOf, stopOf, type Track } from './base-state.ts';
import { describeRange, hopelessRange } from './recovery-range.ts';
import { describeTarget, microsOf, type RecoveryTarget } from './recovery-target.ts';
import { runsAlong, segmentAlong, spanOf, type TimelineRun } from './timeline-path.ts';
import type { Archived, SegmentRun } from './wal-archive.ts';
import { formatLsn, parseLsn, parseSegmentName, segmentStart, type Lsn } from './wal.ts';

/** Which backup and which WAL a recovery reads. Not JSON: a plan says it in JSON. */
export interface RecoveryChoice {
  readonly track: Track;
  /** With its timeline pinned. */
  readonly target: RecoveryTarget;
  /** Oldest first; the last is the one that recovery begins with. */
  readonly chain: readonly BaseBackup[];
  readonly base: BaseBackup;
  /** What is to be fetched of the archive; nothing: the backup holds its own WAL. */
  readonly runs: readonly TimelineRun[];
  /** Where what is archived without a hole ends. */
  readonly end: { readonly lsn: Lsn; readonly time: string | null };
  /** What isn't certain, a sentence each. */
  readonly notes: readonly string[];
}

export interface Candidate {
  readonly base: BaseBackup;
  /** null: it restores to its own end only. */
  readonly run: SegmentRun | null;
}

/** All that a choice among the backups of one system goes by. */
export interface Ground {
  readonly cluster: string;
  readonly track: Track;
  readonly archived: Archived;
  readonly bases: readonly BaseBackup[];
  /** Usable along the track, oldest first. */
  readonly candidates: readonly Candidate[];
}

export const rangeOf = ({ cluster, track, archived, bases }: Ground) => describeRange(cluster, track, bases, archived);

/** @param wanted the one candidate was asked for by name */
export function pick(ground: Ground, target: RecoveryTarget, wanted: boolean): RecoveryChoice {
  switch (target.kind) {
    case 'immediate':
      return made(ground, target, newest(ground.candidates), null, []);
    case 'latest':
      return pickLatest(ground, target);
    case 'time':
      return pickTime(ground, target);
    case 'lsn':
      return pickLsn(ground, target);
    case 'xid':
    case 'name':
      return pickUnlocated(ground, target, wanted);
  }
}

function newest(candidates: readonly Candidate[]): Candidate {
  const last = candidates.at(-1);
  if (last === undefined) throw new RangeError('no candidate');
  return last;
}

function pickLatest(ground: Ground, target: RecoveryTarget): RecoveryChoice {
  const candidate = newest(ground.candidates);
  refuseHole(ground, candidate, 'replay would end there, with everything after it missing');
  return made(ground, target, candidate, null, []);
}

/** WAL beyond a hole: PostgreSQL would come up at the hole and call it the end. */
function refuseHole(ground: Ground, candidate: Candidate, what: string): void {
  const hole = holeAfter(ground, candidate);
  if (hole === undefined) return;
  throw hopelessRange(
    `the WAL after base backup '${candidate.base.manifest.id}' has a hole: ${hole} is missing, and ${what}`,
    rangeOf(ground),
  );
}

/** The first segment that is missing after a base, where something later is archived; undefined: nothing is. */
function holeAfter({ track }: Ground, { base, run }: Candidate): string | undefined {
  const { segmentBytes } = track.archive;
  const last = run?.last ?? spanOf(startOf(base.manifest), stopOf(base.manifest), segmentBytes).last;
  return track.runs.some(({ first }) => first > last) ? segmentAlong(track.path, last + 1n, segmentBytes) : undefined;
}

function pickTime(ground: Ground, target: RecoveryTarget & { readonly kind: 'time' }): RecoveryChoice {
  const at = microsOf(target.at);
  const before = ground.candidates.filter(({ base }) => microsOf(base.manifest.serverFinishedAt) <= at);
  const candidate = before.findLast(({ run }) => run !== null) ?? before.at(-1);
  if (candidate === undefined)
    throw hopelessRange(
      `the time ${target.at} is before the first possible moment: ${earliest(ground, ({ serverFinishedAt }) => serverFinishedAt)}`,
      rangeOf(ground),
    );
  const end = endOf(ground, candidate);
  const hole = holeAfter(ground, candidate);
  const after = () =>
    hopelessRange(
      `the time ${target.at} is after the last possible moment, ${end.time ?? ''}`,
      `"latest" takes everything that is archived; ${rangeOf(ground)}`,
    );
  if (candidate.run === null) throw after();
  if (end.time !== null && at > microsOf(end.time)) {
    if (hole !== undefined) refuseHole(ground, candidate, `the time ${target.at} lies behind it`);
    throw after();
  }
  if (end.time === null && hole !== undefined && knownBeyond(ground, candidate.run, at))
    refuseHole(ground, candidate, `the time ${target.at} lies behind it`);
  const notes =
    end.time === null
      ? [
          `nobody knows up to which time the WAL is archived: if it ends before ${target.at}, recovery stops at its end and says so`,
        ]
      : [];
  return made(ground, target, candidate, throughTime(ground, candidate.run, at), notes);
}

/** Whether a segment behind a run is known to have ended before a time. */
function knownBeyond({ track, archived }: Ground, run: SegmentRun, at: bigint): boolean {
  for (const [name, time] of archived.times) {
    const segment = parseSegmentName(name, track.archive.segmentBytes);
    if (time !== null && segment && segment.number > run.last && microsOf(time) <= at) return true;
  }
  return false;
}

/** The first segment of a run that is known to end after a time; null: it isn't known. */
function throughTime({ track, archived }: Ground, run: SegmentRun, at: bigint): bigint | null {
  let least: bigint | null = null;
  for (const [name, time] of archived.times) {
    const segment = parseSegmentName(name, track.archive.segmentBytes);
    if (time === null || segment === undefined || microsOf(time) <= at) continue;
    const { number } = segment;
    if (number < run.first || number > run.last || (least !== null && number >= least)) continue;
    if (segmentAlong(track.path, number, track.archive.segmentBytes) === name) least = number;
  }
  return least;
}

function pickLsn(ground: Ground, target: RecoveryTarget & { readonly kind: 'lsn' }): RecoveryChoice {
  const lsn = parseLsn(target.lsn);
  const candidate = ground.candidates.findLast(({ base }) => stopOf(base.manifest) <= lsn);
  if (candidate === undefined)
    throw hopelessRange(
      `the place ${target.lsn} is before the first possible one: ${earliest(ground, ({ stopLsn }) => stopLsn)}`,
      rangeOf(ground),
    );
  const end = endOf(ground, candidate);
  const within = candidate.run === null ? lsn <= end.lsn : lsn < end.lsn;
  if (!within) {
    refuseHole(ground, candidate, `the place ${target.lsn} lies behind it`);
    throw hopelessRange(
      `the place ${target.lsn} is not archived: the last possible one lies before ${formatLsn(end.lsn)}`,
      rangeOf(ground),
    );
  }
  return made(ground, target, candidate, lsn / BigInt(ground.track.archive.segmentBytes), []);
}

const earliest = (ground: Ground, of: (manifest: BaseBackup['manifest']) => string) => {
  const first = ground.candidates[0]?.base.manifest;
  return first === undefined ? 'there is none' : `base backup '${first.id}' is consistent from ${of(first)} on`;
};

function pickUnlocated(
  ground: Ground,
  target: RecoveryTarget & { readonly kind: 'xid' | 'name' },
  wanted: boolean,
): RecoveryChoice {
  const last = newest(ground.candidates);
  const leading = ground.candidates.filter(({ run }) => run !== null && run === last.run);
  const known =
    target.kind === 'xid' ? ground.candidates.findLast(({ base }) => endedBefore(base, target.xid)) : undefined;
  const candidate = known ?? leading[0] ?? last;
  const what = describeTarget(target);
  const notes = [
    ...(known !== undefined
      ? []
      : [
          `${what} can't be located without reading the log: replay begins ${wanted ? 'with the base backup that was asked for' : 'with the oldest base backup that leads on without a hole'}, and finds it only if it comes later; "backup" names another one`,
        ]),
    ...(holeAfter(ground, candidate) === undefined
      ? []
      : [`the WAL has a hole later on: what lies behind it isn't searched`]),
  ];
  return made(ground, target, candidate, null, notes);
}

/** Whether a transaction began after a base backup had ended: numbers of 32 bits are compared as PostgreSQL does. */
function endedBefore({ manifest: { nextXid } }: BaseBackup, xid: string): boolean {
  if (nextXid === undefined) return false;
  const [next, asked] = [BigInt(nextXid), BigInt(xid)];
  return asked > 0xffffffffn ? asked >= next : BigInt.asIntN(32, asked - next) >= 0n;
}

function endOf({ track, archived }: Ground, { base, run }: Candidate): RecoveryChoice['end'] {
  const { segmentBytes } = track.archive;
  return run === null
    ? { lsn: stopOf(base.manifest), time: base.manifest.serverFinishedAt }
    : {
        lsn: segmentStart(run.last + 1n, segmentBytes),
        time: archived.times.get(segmentAlong(track.path, run.last, segmentBytes)) ?? null,
      };
}

/** @param through the last segment that is needed, where it is known; immediate needs what makes the base consistent */
function made(
  ground: Ground,
  target: RecoveryTarget,
  candidate: Candidate,
  through: bigint | null,
  notes: readonly string[],
): RecoveryChoice {
  const { track, bases } = ground;
  const { base, run } = candidate;
  const { segmentBytes } = track.archive;
  const chain = chainOf(bases, base);
  if (!chain.whole)
    throw hopelessRange(`base backup '${base.manifest.id}' can't be used: ${chain.reason}`, rangeOf(ground));
  const consistent = spanOf(startOf(base.manifest), stopOf(base.manifest), segmentBytes);
  const first = base.manifest.includesWal ? consistent.last : consistent.first;
  const last = target.kind === 'immediate' ? consistent.last : (through ?? run?.last ?? consistent.last);
  const end = last > consistent.last ? last : consistent.last;
  return {
    track,
    target: { ...target, timeline: track.timeline },
    chain: chain.chain,
    base,
    runs: run === null ? [] : runsAlong(track.path, { first, last: end }, segmentBytes),
    end: endOf(ground, candidate),
    notes,
  };
}
