import { digestOf, type Json } from './canonical.ts';
import { HoldfastError } from './errors.ts';
import type { Obstacle } from './plan.ts';
import type { RecoveryFacts, RecoveryPlanFacts } from './recovery-facts.ts';
import { chooseRecovery } from './recovery-choice.ts';
import { estimatesOf, type RecoveryEstimates } from './recovery-estimates.ts';
import { recoveryObstacles } from './recovery-obstacles.ts';
import type { RecoveryChoice } from './recovery-pick.ts';
import type { Asked } from './recovery-reached.ts';
import type { RecoverArgument } from './recover-argument.ts';
import { targetAsWritten } from './recovery-target.ts';
import type { TimelinePath } from './timeline-path.ts';
import { describeWorkload, workloadFacts } from './workload.ts';
import { formatLsn, parseLsn, segmentNumber, segmentStart } from './wal.ts';

/**
 * What a recovery is about to do, in words and numbers. As with a restore, the digest covers the facts, which stay the
 * same while the archive goes on growing; estimates may move.
 */
export interface RecoveryPlan {
  readonly facts: RecoveryFacts;
  readonly estimates: RecoveryEstimates;
  readonly obstacles: readonly Obstacle[];
  /** What will be done, in order. */
  readonly steps: readonly string[];
}

/** Throws what chooseRecovery throws. What stands in the way at the target's end is in the plan, all of it. */
export function planRecovery(facts: RecoveryPlanFacts): RecoveryPlan {
  const choice = chooseRecovery({ ...facts, systemIdentifier: facts.live?.systemIdentifier ?? null });
  const planned = factsOf(facts, choice);
  const estimates = estimatesOf(facts, choice);
  return {
    facts: planned,
    estimates,
    obstacles: recoveryObstacles(facts, choice, planned, estimates),
    steps: stepsOf(planned),
  };
}

function factsOf(
  facts: RecoveryPlanFacts,
  { track, target, chain, base: { manifest } }: RecoveryChoice,
): RecoveryFacts {
  const { argument, place, port, live } = facts;
  const inPlace = argument.inPlace === true;
  return {
    version: 1,
    kind: inPlace ? 'inPlace' : 'beside',
    run: facts.run,
    source: {
      cluster: argument.cluster,
      repository: facts.repository,
      systemIdentifier: manifest.server.systemIdentifier,
      versionNum: manifest.server.versionNum,
      segmentBytes: manifest.server.segmentBytes,
    },
    target,
    chain: chain.map((base) => ({
      id: base.manifest.id,
      type: base.manifest.type,
      manifestKey: base.manifestKey,
      manifest: digestOf(base.manifest as unknown as Json),
      finishedAt: base.manifest.serverFinishedAt,
      stopLsn: base.manifest.stopLsn,
    })),
    path: track.path.map(({ timeline, from, to }) => ({
      timeline,
      from: formatLsn(from),
      to: to === null ? null : formatLsn(to),
    })),
    startLsn: manifest.startLsn,
    consistentLsn: manifest.stopLsn,
    makes: {
      directory: place.directory,
      port: port.number,
      tablespaces: manifest.tablespaces.map(({ name, oid, location }) => ({
        name,
        oid,
        from: location,
        to: argument.tablespaces[name] ?? (inPlace ? location : null),
      })),
    },
    replaces: inPlace
      ? {
          address: live?.address ?? '',
          directory: place.directory,
          systemIdentifier: live?.systemIdentifier ?? null,
          timeline: live?.timeline ?? null,
        }
      : null,
    ...(facts.workload === undefined
      ? {}
      : { workload: workloadFacts({ ...facts.workload, user: facts.workload.volume.owner ?? facts.workload.user }) }),
    dropped: droppedSettings(manifest.settings),
  };
}

/** What would make a copy act for its source: archive, replicate, listen, run jobs. Files of the source's are gone. */
const never =
  /^(archive_.*|restore_command|recovery_.*|primary_.*|synchronous_standby_names|cron\..*|pg_cron\..*|ssl(_.*)?|listen_addresses|port|unix_socket_.*|config_file|hba_file|ident_file|data_directory|external_pid_file|shared_preload_libraries|session_preload_libraries|local_preload_libraries|log_destination|logging_collector|cluster_name)$/;

/** Settings that a copy starts without, where the source had them at all. */
const droppedSettings = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings)
    .filter(([name, value]) => never.test(name) && value !== '' && value !== '(disabled)')
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

function stepsOf({ kind, chain, target, makes, workload }: RecoveryFacts): string[] {
  const what = target.kind === 'latest' ? 'everything that is archived is replayed' : 'replay stops at the target';
  return [
    ...(kind === 'inPlace' ? ['a human approves', ...stopSteps(workload)] : []),
    `${chain.length === 1 ? 'the base backup is' : `${String(chain.length)} backups are`} fetched into ${makes.directory}${chain.length === 1 ? '' : ' and combined'}`,
    `WAL is replayed as recovery asks for it; ${what}, and the copy is open for reading`,
    'a human looks, and decides: promote, go on to a later target, or throw away',
    ...(workload === undefined
      ? []
      : [
          `${describeWorkload(workload)} is scaled to ${String(workload.replicas)} again, on the recovered data or on the old`,
          'a human releases the old data, which a pod of ours then removes while the server runs, or undoes the recovery, with the server down once more',
        ]),
  ];
}

const stopSteps = (workload: RecoveryFacts['workload']) =>
  workload === undefined
    ? ['the server is stopped, its data directory and tablespaces are put aside']
    : [
        `a worker's pod mounts claim ${workload.claim}; ${describeWorkload(workload)} is scaled to 0`,
        'the data directory is put aside on the claim, which needs room for both',
      ];

export const recoveryDigest = (plan: RecoveryPlan) => digestOf(plan.facts as unknown as Json);

export const hopelessOf = ({ obstacles }: Pick<RecoveryPlan, 'obstacles'>) =>
  obstacles.filter(({ weight }) => weight === 'hopeless');

/** Throws PlanHopeless that names everything that is in the way, with every cure. */
export function refuseHopelessRecovery(plan: RecoveryPlan): void {
  const found = hopelessOf(plan);
  if (found.length === 0) return;
  const cures = found.map(({ cure }) => cure).filter((cure) => cure !== '');
  throw new HoldfastError('PlanHopeless', found.map(({ what }) => what).join('; '), cures.join('; '));
}

/**
 * The argument with which the same plan is made again while backups and WAL keep coming: base and timeline are named.
 * It may be parsed again.
 */
export const pinned = (argument: RecoverArgument, { facts }: RecoveryPlan) => ({
  ...argument,
  target: targetAsWritten(facts.target),
  backup: facts.chain.at(-1)?.id,
});

/** What a plan asks for, to be compared with what is reached. */
export function askedOf({ facts, estimates }: RecoveryPlan): Asked {
  const { segmentBytes } = facts.source;
  const end = parseLsn(estimates.archivedLsn);
  return {
    target: facts.target,
    path: pathOf(facts),
    consistentLsn: facts.consistentLsn,
    lastSegmentLsn:
      estimates.walSegments === 0 ? null : formatLsn(segmentStart(segmentNumber(end - 1n, segmentBytes), segmentBytes)),
  };
}

const pathOf = ({ path }: RecoveryFacts): TimelinePath =>
  path.map(({ timeline, from, to }) => ({ timeline, from: parseLsn(from), to: to === null ? null : parseLsn(to) }));
