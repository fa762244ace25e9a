import { createServer } from 'node:net';
import { readdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import type { RecoverArgument } from '../domain/recover-argument.ts';
import { collationKey, type DirectoryState, type LiveServer, type Place } from '../domain/recovery-facts.ts';
import type { RecoveryTarget } from '../domain/recovery-target.ts';
import { pinned, planRecovery as plan, type RecoveryPlan } from '../domain/recovery-plan.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { RepositorySpec } from '../domain/specs.ts';
import type { BaseBackup } from '../domain/base-manifest.ts';
import type { Archived } from '../domain/wal-archive.ts';
import { workDirectoryOf, workerPodName, type Workload } from '../domain/workload.ts';
import { lookAtVolume } from '../postgres/recovery/volume.ts';
import { findServerPrograms } from '../postgres/server-programs.ts';
import { listTools } from '../postgres/tools.ts';
import { glibcVersion } from '../process/c-library.ts';
import { readBases } from '../storage/physical-catalog.ts';
import { readArchived } from '../storage/wal/archived.ts';
import type { Dependencies } from './dependencies.ts';
import { readLive } from './read-live.ts';
import type { Working } from './working.ts';
import type { FoundWorkload } from './workload.ts';

export interface PlanRecoveryInput {
  readonly spec: RecoverSpec;
  readonly run: RunIdentity;
  /** Of an earlier plan of this run, which is made again: nothing else may be chosen than what it chose. */
  readonly earlier?: PlannedRecovery | undefined;
  /** For one in the place of a StatefulSet's server, whose volume is looked at here. */
  readonly found?: FoundWorkload | undefined;
}

/** A plan, where its backup lies, and on which machine the copy will. */
export interface PlannedRecovery {
  readonly plan: RecoveryPlan;
  readonly repository: RepositorySpec;
  /** Its disks are looked at, so it has to do the work. */
  readonly host: string;
  readonly places: RecoveryPlaces;
  /** In the place of a StatefulSet's server, which the worker's pod doesn't ask. */
  readonly workload?: Workload;
  readonly who?: FoundWorkload['who'];
}

/** Directories of a recovery. */
export interface RecoveryPlaces {
  readonly dataDirectory: string;
  /** Journals and what is fetched besides, on the data directory's file system. */
  readonly workDirectory: string;
  /** Socket, configuration and log of the instance. */
  readonly runDirectory: string;
}

/** Chooses base backup and WAL, looks at the machine and says what would be done. Changes nothing. */
export async function planRecovery(
  deps: Dependencies,
  { spec, run, earlier, found: given }: PlanRecoveryInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<PlannedRecovery> {
  const workload = given?.workload ?? earlier?.workload;
  const argument =
    earlier === undefined ? spec.argument : { ...spec.argument, backup: pinned(spec.argument, earlier.plan).backup };
  const found = await readRepositories(deps, spec, signal);
  const live = workload === undefined ? await readLive(deps, spec, signal) : (given?.live ?? null);
  const volume = workload === undefined ? undefined : await lookAtVolume(workload);
  const target = alongTheLive(argument.target, live, found.archives);
  const places = earlier?.places ?? placesOf(deps, spec, run, workload);
  const port = await portFor(spec, argument, earlier);
  const made = plan({
    argument: { ...argument, target },
    run: run.short,
    bases: found.bases,
    archives: found.archives,
    now: new Date(),
    repository: found.repository.name,
    live,
    majors: await majorsHere(deps),
    place: await lookAt(places.dataDirectory, places.workDirectory),
    port,
    tablespaces: Object.fromEntries(
      await Promise.all(
        Object.entries(argument.tablespaces).map(
          async ([name, directory]) => [name, await lookAt(directory, places.workDirectory)] as const,
        ),
      ),
    ),
    // A StatefulSet's own image is what sorts there afterwards.
    collationVersions: workload === undefined ? collationVersionsHere(found.bases) : {},
    bytesPerSecond: null,
    ...(workload === undefined || volume === undefined ? {} : { workload: { ...workload, volume } }),
  });
  const planned = { plan: made, repository: found.repository, places };
  if (workload === undefined) return { ...planned, host: deps.host };
  const who = given?.who ?? earlier?.who;
  return {
    ...planned,
    host: workerPodName(argument.cluster, run.short, 'work'),
    workload: { ...workload, user: volume?.owner ?? workload.user },
    ...(who === undefined ? {} : { who }),
  };
}

/**
 * The newest timeline of the archive may be one that was left again, by an undo: where the server answers, and its own
 * timeline is archived, that one is meant.
 */
function alongTheLive(target: RecoveryTarget, live: LiveServer | null, archives: readonly Archived[]): RecoveryTarget {
  if (target.timeline !== 'latest' || live === null) return target;
  const own = archives.find(({ archive }) => archive.systemIdentifier === live.systemIdentifier);
  return own?.archive.segments.has(live.timeline) === true ? { ...target, timeline: live.timeline } : target;
}

/** Where a cluster's base backups lie: the first repository that has any, else the first. */
async function readRepositories(
  deps: Dependencies,
  { repositories, source }: RecoverSpec,
  signal: AbortSignal,
): Promise<{ repository: RepositorySpec; bases: readonly BaseBackup[]; archives: readonly Archived[] }> {
  const [first] = repositories;
  if (first === undefined) throw new TypeError('a recovery was resolved without a repository');
  for (const repository of repositories) {
    const store = deps.openRepository(repository);
    const { bases } = await readBases(store, source.cluster);
    if (bases.length > 0) return { repository, bases, archives: await readArchived(store, source.cluster, signal) };
  }
  return { repository: first, bases: [], archives: [] };
}

function placesOf(
  deps: Dependencies,
  { argument, instance }: RecoverSpec,
  run: RunIdentity,
  workload: Workload | undefined,
): RecoveryPlaces {
  // A socket's path has a limit.
  const runDirectory = join(deps.instances.directory, `run-${run.short}`);
  if (workload !== undefined)
    return {
      dataDirectory: workload.dataDirectory,
      workDirectory: workDirectoryOf(workload, run.short),
      runDirectory,
    };
  const own = join(deps.instances.directory, `${argument.cluster}-${run.short}`);
  const dataDirectory =
    argument.inPlace === true ? (instance?.dataDirectory ?? '') : (argument.beside?.directory ?? join(own, 'data'));
  return {
    dataDirectory,
    workDirectory: `${dataDirectory}.holdfast-${run.short}`,
    runDirectory,
  };
}

/** Of libc's collations: an instance here sorts by this machine's library. What ICU is linked in nobody can tell. */
function collationVersionsHere(bases: readonly BaseBackup[]): Readonly<Record<string, string | null>> {
  const version = glibcVersion();
  const databases = bases.flatMap(({ manifest }) => manifest.databases);
  return Object.fromEntries(
    databases
      .filter(({ localeProvider }) => localeProvider === 'libc')
      .map((database) => [collationKey(database), version]),
  );
}

/** Of the server programs that this worker could start a copy with. */
async function majorsHere(deps: Dependencies): Promise<number[]> {
  const places = deps.toolPlaces(await deps.config());
  const majors = new Set((await listTools(places)).map(({ major }) => major));
  const found: number[] = [];
  for (const major of majors) {
    const programs = await findServerPrograms(major * 10_000, places).catch(() => undefined);
    if (programs !== undefined) found.push(major);
  }
  return found;
}

interface Port {
  readonly number: number;
  readonly free: boolean;
}

/** In place the server's own, which is free by then; of an earlier plan the one that the copy has. */
async function portFor(
  { source }: RecoverSpec,
  { beside, inPlace }: RecoverArgument,
  earlier: PlannedRecovery | undefined,
): Promise<Port> {
  if (inPlace === true && 'server' in source) return { number: source.server.port, free: true };
  if (inPlace === true) return { number: 5432, free: true };
  if (earlier !== undefined) return { number: earlier.plan.facts.makes.port, free: true };
  const number = await listenOn(beside?.port ?? 0);
  return number === undefined ? { number: beside?.port ?? 0, free: false } : { number, free: true };
}

/** The port, once nobody listens on it any more; undefined: it is taken. 0 is any. */
function listenOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : undefined);
      });
    });
  });
}

async function lookAt(directory: string, workDirectory: string): Promise<Place> {
  return { directory, state: await stateOf(directory, workDirectory), freeBytes: await freeBytes(directory) };
}

async function stateOf(directory: string, workDirectory: string): Promise<DirectoryState> {
  try {
    const entries = await readdir(directory);
    if (entries.length === 0) return 'empty';
    return await readdir(workDirectory).then(
      () => 'ours',
      () => 'occupied',
    );
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unknown';
  }
}

/** On the file system that a directory lies on, or will. */
async function freeBytes(directory: string): Promise<number | null> {
  for (let at = directory; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === dirname(at)) return null;
    }
  }
}
