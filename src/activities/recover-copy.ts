import { mkdir, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { digestOf } from '../domain/canonical.ts';
import type { BaseManifest } from '../domain/base-manifest.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import { compareReached, type Comparison } from '../domain/recovery-reached.ts';
import { askedOf } from '../domain/recovery-plan.ts';
import type { RunIdentity } from '../domain/run.ts';
import { parseLsn, segmentNumber, type SegmentId } from '../domain/wal.ts';
import { timelineOfSegment } from '../domain/timeline-path.ts';
import { fetchBase } from '../postgres/recovery/fetch.ts';
import { forgetDeadPostmaster } from '../postgres/recovery/dead-postmaster.ts';
import { goOn as replayOn } from '../postgres/recovery/go-on.ts';
import { promote, type Promoted } from '../postgres/recovery/promote.ts';
import { beginRecovery, type Reached, type RecoveryInput } from '../postgres/recovery/recover.ts';
import { targetError } from '../postgres/recovery/target-error.ts';
import { throwAway, type ThrownAway } from '../postgres/recovery/throw-away.ts';
import { findServerPrograms } from '../postgres/server-programs.ts';
import { baseManifestAt } from '../storage/physical-catalog.ts';
import { walStore } from './archive-wal.ts';
import { whoOf, type Dependencies } from './dependencies.ts';
import type { PlannedRecovery } from './plan-recovery.ts';
import type { Working } from './working.ts';

export interface RecoveryCopyInput {
  readonly spec: RecoverSpec;
  readonly planned: PlannedRecovery;
  readonly run: RunIdentity;
}

/** Where replay stands, next to what was asked. */
export interface ReachedPlace extends Comparison {
  readonly reached: Reached;
  /** How to look at it, as a line for a shell on the worker's machine; in a pod, by kubectl. */
  readonly psql: string;
}

/** Brings the base backup and its increments onto the disk. Called again it goes on where it was. */
export async function fetchRecovery(
  deps: Dependencies,
  { planned }: RecoveryCopyInput,
  { signal, report }: Working,
): Promise<{ readonly bytes: number }> {
  const chain = await chainOf(deps, planned);
  const last = newest(chain);
  const { facts } = planned.plan;
  const { dataDirectory, workDirectory, runDirectory } = planned.places;
  const totalBytes = last.archives.reduce((sum, { plainBytes }) => sum + (plainBytes ?? 0), 0);
  const programs = await programsFor(deps, last);
  await deps.failpoint('recover:fetch');
  const fetched = await inTarget(planned, async () => {
    for (const directory of [dataDirectory, workDirectory, runDirectory])
      await mkdir(dirname(directory), { recursive: true, mode: 0o755 });
    return fetchBase({
      source: deps.openRepository(planned.repository),
      chain,
      dataDirectory,
      workDirectory,
      tablespaces: mappingOf(facts.makes.tablespaces),
      programs,
      runAs: deps.instances.runAs,
      compressors: deps.compressors,
      signal,
      onProgress: (bytes) => {
        report({ doing: `fetching ${last.id}`, bytes, ...(totalBytes === 0 ? {} : { totalBytes }) });
      },
    });
  });
  await deps.failpoint('recover:fetched');
  return { bytes: fetched.bytes };
}

/** A disk that is full has a name, whichever of our own small files meets it first. */
async function inTarget<T>({ places }: PlannedRecovery, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw targetError(error, places.dataDirectory);
  }
}

/** Starts the copy and replays to the plan's target, where it waits, readable. Called again it goes on. */
export function replayRecovery(deps: Dependencies, input: RecoveryCopyInput, work: Working): Promise<ReachedPlace> {
  return replay(deps, input, work, beginRecovery);
}

/** On to a later target, which the plan has now. */
export function goOnRecovery(deps: Dependencies, input: RecoveryCopyInput, work: Working): Promise<ReachedPlace> {
  return replay(deps, input, work, replayOn);
}

async function replay(
  deps: Dependencies,
  { spec, planned, run }: RecoveryCopyInput,
  work: Working,
  act: (input: RecoveryInput) => Promise<Reached>,
): Promise<ReachedPlace> {
  await deps.failpoint('recover:replay');
  await forgetEarlierPod(deps, planned);
  const order = await recoveryInput(deps, { spec, planned, run }, work);
  const reached = await inTarget(planned, () => act(order));
  await deps.failpoint('recover:reached');
  const compared = compareReached(askedOf(planned.plan), reached);
  if (compared.verdict === 'not reached')
    throw new HoldfastError(
      'RestoreFailed',
      `recovery did not reach its target: ${compared.words.join('; ')}`,
      'the copy is left as it is, for a look; throw it away and begin again',
    );
  return { ...compared, reached, psql: psqlLine(order.who, reached, planned) };
}

/** Ends recovery where it stands: the copy takes writes, on a timeline of its own. Done twice is done once. */
export async function promoteRecovery(
  deps: Dependencies,
  input: RecoveryCopyInput,
  work: Working,
): Promise<Promoted & { readonly psql: string }> {
  await deps.failpoint('recover:promote');
  await forgetEarlierPod(deps, input.planned);
  const order = await recoveryInput(deps, input, work);
  const promoted = await inTarget(input.planned, () => promote(order));
  await deps.failpoint('recover:promoted');
  return { ...promoted, psql: psqlLine(order.who, promoted, input.planned) };
}

/** A pod that was made anew shares the volume with the one before, and nothing else: what ran there is gone. */
async function forgetEarlierPod(
  { self }: Dependencies,
  { workload, places }: Pick<PlannedRecovery, 'workload' | 'places'>,
): Promise<void> {
  if (workload !== undefined) await forgetDeadPostmaster(places.dataDirectory, self.startedAt);
}

/** Stops the copy and removes what the recovery made, and only that. */
export async function throwAwayRecovery(
  deps: Dependencies,
  { planned }: RecoveryCopyInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<ThrownAway> {
  await deps.failpoint('recover:throw away');
  const thrown = await throwAway({ workDirectory: planned.places.workDirectory, signal });
  // The directory that held only the copy; one that holds something else stays.
  if (planned.plan.facts.kind === 'beside') await rmdir(dirname(planned.places.dataDirectory)).catch(() => undefined);
  return thrown;
}

/** The manifests that the plan chose, unchanged since. ObjectDamaged, PlanChanged. */
async function chainOf(deps: Dependencies, { plan, repository }: PlannedRecovery): Promise<BaseManifest[]> {
  const store = deps.openRepository(repository);
  const chain: BaseManifest[] = [];
  for (const { manifestKey, manifest: digest, id } of plan.facts.chain) {
    const manifest = await baseManifestAt(store, manifestKey);
    if (digestOf(manifest) !== digest)
      throw new HoldfastError(
        'PlanChanged',
        `the manifest of base backup ${id} is another one than when the recovery was planned`,
        'look at the repository: manifests are written once',
      );
    chain.push(manifest);
  }
  return chain;
}

function newest(chain: readonly BaseManifest[]): BaseManifest {
  const last = chain.at(-1);
  if (last === undefined) throw new TypeError('a recovery was planned without a base backup');
  return last;
}

/** Tablespaces by OID, as fetchBase wants them. */
export const mappingOf = (tablespaces: readonly { readonly oid: number; readonly to: string | null }[]) =>
  Object.fromEntries(tablespaces.flatMap(({ oid, to }) => (to === null ? [] : [[String(oid), to]])));

async function programsFor(deps: Dependencies, { server }: BaseManifest) {
  return findServerPrograms(server.versionNum, deps.toolPlaces(await deps.config()));
}

async function recoveryInput(
  deps: Dependencies,
  { spec, planned, run }: RecoveryCopyInput,
  { signal, report }: Working,
): Promise<RecoveryInput> {
  const manifest = newest(await chainOf(deps, planned));
  const { facts } = planned.plan;
  const { dataDirectory, workDirectory, runDirectory } = planned.places;
  const { systemIdentifier, segmentBytes } = facts.source;
  return {
    programs: await programsFor(deps, manifest),
    dataDirectory,
    workDirectory,
    socketDirectory: runDirectory,
    port: facts.makes.port,
    runAs: deps.instances.runAs,
    sourceSettings: manifest.settings,
    systemIdentifier,
    segmentBytes,
    wal: walStore(deps, { repository: planned.repository, cluster: facts.source.cluster }, run, {
      systemIdentifier,
      segmentBytes,
    }),
    last: lastSegment(planned),
    target: facts.target,
    who: planned.who ?? (await whoOf(deps, spec.source)),
    signal,
    onProgress: ({ status, lsn, lastTransactionTime, segment }) => {
      const where = lsn ?? segment;
      const time = lastTransactionTime === null ? '' : `, transactions of ${lastTransactionTime}`;
      report({ doing: `${status}${where === null ? '' : ` ${where}`}${time}` });
    },
  };
}

/** The archive's end on the way to the target, as the plan found it; undefined: the backup holds its own WAL. */
function lastSegment({ plan }: PlannedRecovery): SegmentId | undefined {
  if (plan.estimates.walSegments === 0) return undefined;
  const { segmentBytes } = plan.facts.source;
  const number = segmentNumber(parseLsn(plan.estimates.archivedLsn) - 1n, segmentBytes);
  return { timeline: timelineOfSegment(askedOf(plan).path, number, segmentBytes), number };
}

const psqlLine = (
  { user, database }: RecoveryInput['who'],
  { socketDirectory, port }: { socketDirectory: string; port: number },
  { workload, host }: Pick<PlannedRecovery, 'workload' | 'host'>,
) =>
  `${workload === undefined ? '' : `kubectl --namespace ${workload.namespace} exec --stdin --tty job/${host} -- `}psql --host ${socketDirectory} --port ${String(port)} --username ${user} ${database}`;
