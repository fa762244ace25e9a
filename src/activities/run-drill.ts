import { dirname } from 'node:path';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { DrillCheckResult } from '../domain/evidence.ts';
import { oneLine } from '../domain/format.ts';
import type { DrillSpec } from '../domain/physical-specs.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { findAmcheck } from '../postgres/drill/amcheck.ts';
import { failed, passed } from '../postgres/drill/checks.ts';
import { chooseDrill, newestBase, newestLogical } from '../postgres/drill/choose.ts';
import { makeLocalServer } from '../postgres/drill/local-server.ts';
import { blames, type Restored } from '../postgres/drill/outcome.ts';
import { restorePhysical, type PhysicalCopy } from '../postgres/drill/physical.ts';
import { assertOurs, makePlace, removePlace, sweepPlaces, type DrillPlace } from '../postgres/drill/place.ts';
import type { ServerWish } from '../postgres/drill/scratch-server.ts';
import { runningInstance } from '../postgres/instance/start.ts';
import { findServerPrograms, type ServerPrograms } from '../postgres/server-programs.ts';
import { readCatalog } from '../storage/catalog.ts';
import { baseManifestAt, readBases } from '../storage/physical-catalog.ts';
import { readArchived } from '../storage/wal/archived.ts';
import { walStore } from './archive-wal.ts';
import { whoOf, type Dependencies } from './dependencies.ts';
import { drillInPod } from './drill-in-pod.ts';
import { drillLogical } from './drill-logical.ts';
import {
  ask,
  backupGone,
  checkSound,
  recordDrill,
  tried,
  type Drilled,
  type DrilledBackup,
  type Drilling,
  type DrillInput,
} from './drill-steps.ts';
import type { Working } from './working.ts';

export type { Drilled, DrilledBackup, DrillInput } from './drill-steps.ts';

/** The newest good backup of the policy. Changes nothing. */
export async function chooseDrilled(
  deps: Dependencies,
  { spec }: { readonly spec: DrillSpec },
  { signal }: Pick<Working, 'signal'>,
): Promise<DrilledBackup> {
  const repository = deps.openRepository(spec.repository);
  const wanted = { cluster: spec.source.cluster, policy: spec.policy };
  if (spec.method === 'base') {
    const { bases } = await readBases(repository, wanted.cluster);
    const archives = await readArchived(repository, wanted.cluster, signal);
    const { manifest, manifestKey } = newestBase(bases, archives, wanted, new Date());
    return { backup: manifest.id, manifestKey };
  }
  const { backups } = await readCatalog(repository);
  const { manifest, manifestKey } = newestLogical(backups, wanted);
  return { backup: manifest.id, manifestKey };
}

/**
 * Restores a backup into a server that exists for nothing else, asks the checks, and writes what it found as evidence
 * beside the backup, passed or failed. Whatever keeps the drill itself from being made is its failure, and no evidence.
 *
 * Dumps of clusters in Kubernetes go into a pod beside the cluster, if the configuration doesn't want otherwise and this
 * worker has a Kubernetes to ask; everything else onto this machine's disk. Nothing of the server stays, however it
 * ends: what an attempt left whose worker was killed is removed by the next one, or by the next drill.
 */
export async function runDrill(deps: Dependencies, input: DrillInput, work: Working): Promise<Drilled> {
  const { pod } = input.spec;
  const kubernetes = pod === undefined ? undefined : await kubernetesOf(deps);
  if (pod === undefined || kubernetes === undefined) return drillHere(deps, input, work);
  return drillInPod(deps, input, pod, kubernetes, work);
}

/** Without the activity's signal: what was made is taken away after a cancellation, too. */
async function kubernetesOf(deps: Dependencies): Promise<Kubernetes | undefined> {
  try {
    return await deps.kubernetes();
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'ConfigurationInvalid') return undefined;
    throw error;
  }
}

interface LocalDrilling extends Drilling {
  readonly place: DrillPlace;
}

async function drillHere(deps: Dependencies, input: DrillInput, work: Working): Promise<Drilled> {
  const { run, attempt, spec } = input;
  const { signal, report } = work;
  const { directory, runAs } = deps.instances;
  const startedAt = new Date();
  report({ doing: 'tidying up after earlier drills' });
  const { left } = await sweepPlaces(directory, { run: run.short, host: deps.host }, signal);
  const place = await makePlace(directory, { run: run.short, attempt, host: deps.host }, runAs);
  let result: Omit<Drilled, 'leftBehind'>;
  try {
    await deps.failpoint('drill:begun');
    const toolVersions: Record<string, string> = { holdfast: deps.version };
    const drilling = { ...work, place, toolVersions };
    const restored = await tried(signal, () =>
      spec.method === 'base' ? drillPhysical(deps, input, drilling) : drillLogicalHere(deps, input, drilling),
    );
    await deps.failpoint('drill:checked');
    // What came of a copy that somebody took away meanwhile says nothing.
    signal.throwIfAborted();
    await assertOurs(place);
    result = await recordDrill(deps, input, { restored, startedAt, toolVersions }, signal);
  } catch (error) {
    await takeAway(place);
    throw error;
  }
  report({ doing: 'removing the copy' });
  return { ...result, leftBehind: [...left, ...(await takeAway(place))] };
}

/** For the end of an activity that was cancelled too: that has seconds. What stays is for the next drill. */
const takeAwayMs = 15_000;

async function takeAway(place: DrillPlace): Promise<string[]> {
  try {
    await removePlace(place, AbortSignal.timeout(takeAwayMs));
    return [];
  } catch (error) {
    return [`${place.directory}: ${messageOf(error)}`];
  }
}

function drillLogicalHere(deps: Dependencies, input: DrillInput, drilling: LocalDrilling): Promise<Restored> {
  const { place, signal, toolVersions } = drilling;
  return drillLogical(deps, input, drilling, {
    makeServer: async (wish: ServerWish) => {
      const programs = await programsFor(deps, wish.versionNum, toolVersions);
      return makeLocalServer({ place, programs, runAs: deps.instances.runAs, signal }, wish);
    },
    fallen: () => fallen(place),
  });
}

async function drillPhysical(deps: Dependencies, { drilled, spec, run }: DrillInput, drilling: LocalDrilling) {
  const { place, signal, report, toolVersions } = drilling;
  const { cluster } = spec.source;
  const repository = deps.openRepository(spec.repository);
  const { bases } = await readBases(repository, cluster);
  const base = bases.find(({ manifestKey }) => manifestKey === drilled.manifestKey);
  if (base === undefined) {
    // It is gone, or can't be read any more: baseManifestAt says which.
    await baseManifestAt(repository, drilled.manifestKey);
    throw backupGone(drilled);
  }
  const { systemIdentifier, segmentBytes, versionNum } = base.manifest.server;
  const programs = await programsFor(deps, versionNum, toolVersions);
  const amcheck = spec.amcheck ? { program: findAmcheck(programs.major, dirname(programs.postgres)) } : undefined;
  const recovery = chooseDrill(base, bases, await readArchived(repository, cluster, signal), new Date());
  const plain = base.manifest.archives.reduce((sum, { plainBytes }) => sum + (plainBytes ?? 0), 0);
  const restored = await restorePhysical({
    ...{ place, programs, recovery, signal, source: repository },
    runAs: deps.instances.runAs,
    compressors: deps.compressors,
    wal: walStore(deps, { repository: spec.repository, cluster }, run, { systemIdentifier, segmentBytes }),
    who: await whoOf(deps, spec.source),
    onFetch: (bytes) => {
      report({ doing: `drill: fetching ${drilled.backup}`, bytes, ...(plain === 0 ? {} : { totalBytes: plain }) });
    },
    onReplay: ({ status, lsn, segment }) => {
      report({ doing: `drill: ${status} ${lsn ?? segment ?? ''}`.trimEnd() });
    },
  });
  await deps.failpoint('drill:restored');
  const asked = await ask(spec, restored, drilling);
  const sound: DrillCheckResult[] = [];
  if (amcheck !== undefined) {
    // It wants its extension in every database. The copy is thrown away, and that it can be promoted is worth knowing.
    const promotion = await promoted(restored);
    sound.push(promotion);
    if (promotion.outcome === 'passed') sound.push(await checkSound(amcheck.program, restored, drilling));
  }
  return { ...restored, checks: [...restored.checks, ...asked, ...sound, ...(await fallen(place))] };
}

/** A copy that died while it was asked. */
async function fallen({ dataDirectory }: DrillPlace): Promise<DrillCheckResult[]> {
  try {
    await runningInstance(dataDirectory);
    return [];
  } catch (error) {
    const blame = blames(error);
    if (blame === undefined) throw error;
    return [failed('server', oneLine(blame.message))];
  }
}

async function promoted({ takeWrites }: PhysicalCopy): Promise<DrillCheckResult> {
  try {
    await takeWrites();
    return passed('promotion', 'the copy takes writes');
  } catch (error) {
    const blame = blames(error);
    if (blame === undefined) throw error;
    return failed('promotion', oneLine(blame.message));
  }
}

async function programsFor(
  deps: Dependencies,
  versionNum: number,
  toolVersions: Record<string, string>,
): Promise<ServerPrograms> {
  const programs = await findServerPrograms(versionNum, deps.toolPlaces(await deps.config()));
  toolVersions['postgres'] = programs.version;
  return programs;
}
