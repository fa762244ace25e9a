import type { BaseBackup } from './base-manifest.ts';
import { emptyArchive, stateOn, timelinesWith, type BaseState, type Track } from './base-state.ts';
import { HoldfastError } from './errors.ts';
import { pick, rangeOf, type Candidate, type Ground, type RecoveryChoice } from './recovery-pick.ts';
import { hopelessRange } from './recovery-range.ts';
import type { RecoverArgument } from './recover-argument.ts';
import { microsOf } from './recovery-target.ts';
import { basesOf, newestTrack, recoveryWindows, trackTo } from './recovery-window.ts';
import { leftAt } from './timeline-path.ts';
import type { Archived } from './wal-archive.ts';
import { formatLsn, historyName } from './wal.ts';

export interface ChoiceFacts {
  readonly argument: RecoverArgument;
  readonly bases: readonly BaseBackup[];
  /** One per system identifier. */
  readonly archives: readonly Archived[];
  /** Of the cluster's own server; null: it doesn't answer. */
  readonly systemIdentifier: string | null;
  readonly now: Date;
}

/**
 * Picks base backup, increments and WAL for a target, before anything is touched. Throws NoSuchBackup, or PlanHopeless
 * that names what is in the way (the first missing segment, the lost parent, the timeline) and shows what is possible.
 *
 * The base is the newest one that was consistent at the target, along the target's timeline. A transaction or a restore
 * point can't be located without reading the log: recovery to a transaction begins with the newest base that is known to
 * have ended before the transaction began, else (and for a name) with the oldest from which WAL leads on to the
 * archive's end without a hole, which has it if anything has. Of several restore points of one name that finds the
 * first. A `backup` that is asked for is taken instead, if the target can be reached from it.
 */
export function chooseRecovery(facts: ChoiceFacts): RecoveryChoice {
  const { cluster, target } = facts.argument;
  const archived = archivedOf(facts);
  const bases = basesOf(facts.bases, archived.archive.systemIdentifier);
  const track = trackFor(facts, archived, bases);
  const states = bases.map((base) => ({ base, state: stateOn(track, bases, base) }));
  const candidates = states.flatMap(({ base, state }): Candidate[] =>
    state.state === 'usable' ? [{ base, run: state.run }] : state.state === 'alone' ? [{ base, run: null }] : [],
  );
  const ground = { cluster, track, archived, bases, candidates };
  const wanted = facts.argument.backup;
  const narrowed = wanted === undefined ? ground : { ...ground, candidates: [wantedOf(ground, states, wanted)] };
  if (narrowed.candidates.length === 0) throw noCandidate(ground, states);
  if (target.kind === 'time' && microsOf(target.at) > BigInt(facts.now.getTime()) * 1000n)
    throw hopelessRange(`the time ${target.at} is in the future`, rangeOf(ground));
  return pick(narrowed, target, wanted !== undefined);
}

/** The backups and WAL of the server as it is now, or else of the newest that there are. */
function archivedOf({ argument: { cluster, backup }, bases, archives, systemIdentifier }: ChoiceFacts): Archived {
  if (bases.length === 0)
    throw new HoldfastError(
      'NoSuchBackup',
      `cluster ${cluster} has no base backup`,
      "take one: a recovery needs a policy with method 'base'; 'holdfast restore' reads the others",
    );
  const holders = bases.filter(({ manifest }) => manifest.id === backup);
  if (backup !== undefined && holders.length === 0)
    throw new HoldfastError(
      'NoSuchBackup',
      `cluster ${cluster} has no base backup '${backup}'`,
      `it has ${bases
        .slice(-5)
        .map(({ manifest }) => manifest.id)
        .join(', ')}`,
    );
  const among = holders.length > 0 ? holders : bases;
  const systems = recoveryWindows({ cluster, bases: among, archives }).systems.map((system) => system.systemIdentifier);
  const withBases = systems.filter((id) => among.some(({ manifest }) => manifest.server.systemIdentifier === id));
  const chosen = withBases.find((id) => id === systemIdentifier) ?? withBases[0] ?? '';
  const segmentBytes = among.find(({ manifest }) => manifest.server.systemIdentifier === chosen)?.manifest.server
    .segmentBytes;
  return (
    archives.find(({ archive }) => archive.systemIdentifier === chosen) ?? {
      archive: emptyArchive(chosen, segmentBytes ?? 1 << 24),
      times: new Map(),
    }
  );
}

function trackFor({ argument }: ChoiceFacts, { archive }: Archived, bases: readonly BaseBackup[]): Track {
  const known = timelinesWith(archive, bases);
  const { timeline } = argument.target;
  if (timeline !== 'latest' && !known.includes(timeline))
    throw new HoldfastError(
      'PlanHopeless',
      `cluster ${argument.cluster} has no timeline ${String(timeline)} in its archive`,
      `it has ${known.length === 1 ? 'timeline' : 'timelines'} ${known.map(String).join(', ')}; 'holdfast window ${argument.cluster}' draws them`,
    );
  const track = timeline === 'latest' ? newestTrack(archive, bases) : trackTo(archive, bases, timeline);
  if (track !== undefined) return track;
  const lost = timeline === 'latest' ? known.at(-1) : timeline;
  throw new HoldfastError(
    'PlanHopeless',
    `${historyName(lost ?? 1)} is not archived, and nobody else knows how timeline ${String(lost)} came to be`,
    "copy the file from the server's pg_wal directory into the archive, or name another timeline",
  );
}

interface Stated {
  readonly base: BaseBackup;
  readonly state: BaseState;
}

function wantedOf(ground: Ground, states: readonly Stated[], id: string): Candidate {
  const found = states.find(({ base }) => base.manifest.id === id);
  if (found?.state.state === 'usable') return { base: found.base, run: found.state.run };
  if (found?.state.state === 'alone') return { base: found.base, run: null };
  const why =
    found?.state.state === 'broken' ? `can't be used: ${found.state.reason}` : notOnTheWay(ground.track, found?.base);
  const along =
    found?.state.state === 'elsewhere'
      ? `"timeline":${String(found.base.manifest.stopTimeline)} goes along its own; `
      : '';
  throw hopelessRange(`base backup '${id}' ${why}`, `${along}${rangeOf(ground)}`);
}

function notOnTheWay({ timeline, path }: Track, base: BaseBackup | undefined): string {
  const own = base?.manifest.stopTimeline ?? timeline;
  const left = leftAt(path, own);
  const place = base?.manifest.stopLsn ?? '';
  return left === undefined || left === null
    ? `is of timeline ${String(own)}, which is not on the way to timeline ${String(timeline)}`
    : `ends at ${place} on timeline ${String(own)}, which the way to timeline ${String(timeline)} left before, at ${formatLsn(left)}`;
}

function noCandidate(ground: Ground, states: readonly Stated[]): HoldfastError {
  const reasons = states.map(({ base, state }) =>
    state.state === 'broken'
      ? `'${base.manifest.id}': ${state.reason}`
      : `'${base.manifest.id}' ${notOnTheWay(ground.track, base)}`,
  );
  return hopelessRange(
    `no base backup of cluster ${ground.cluster} leads to timeline ${String(ground.track.timeline)}: ${reasons.slice(-3).reverse().join('; ')}`,
    rangeOf(ground),
  );
}
