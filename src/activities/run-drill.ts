import { sha256Hex } from '../domain/canonical.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { drillKey, drillOutcome, type DrillCheckResult, type DrillEvidence } from '../domain/evidence.ts';
import { oneLine } from '../domain/format.ts';
import type { DrillSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { findAmcheck, runAmcheck } from '../postgres/drill/amcheck.ts';
import { failed, passed, runChecks } from '../postgres/drill/checks.ts';
import { chooseDrill, newestBase, newestLogical } from '../postgres/drill/choose.ts';
import { restoreLogical, type DrillServer } from '../postgres/drill/logical.ts';
import { ageSeconds, blames, nothingRestored, type Restored } from '../postgres/drill/outcome.ts';
import { restorePhysical, type PhysicalCopy } from '../postgres/drill/physical.ts';
import { assertOurs, makePlace, removePlace, sweepPlaces, type DrillPlace } from '../postgres/drill/place.ts';
import { runningInstance } from '../postgres/instance/start.ts';
import { findServerPrograms, type ServerPrograms } from '../postgres/server-programs.ts';
import { readCatalog, readManifest } from '../storage/catalog.ts';
import { baseManifestAt, readBases } from '../storage/physical-catalog.ts';
import { readArchived } from '../storage/wal/archived.ts';
import { walStore } from './archive-wal.ts';
import { localArchive } from './archive-files.ts';
import { restoreJobs, restoreTools } from './content.ts';
import { whoOf, type Dependencies } from './dependencies.ts';
import { asRead, readPart } from './restore-cluster.ts';
import type { Source } from './source.ts';
import type { Working } from './working.ts';

/** The backup that a drill restores. */
export interface DrilledBackup {
  readonly backup: string;
  readonly manifestKey: string;
}

export interface DrillInput {
  readonly spec: DrillSpec;
  readonly drilled: DrilledBackup;
  readonly run: RunIdentity;
  /** No other attempt of this run has it. */
  readonly attempt: number;
}

export interface Drilled {
  readonly backup: string;
  readonly outcome: 'passed' | 'failed';
  readonly restoreSeconds: number | null;
  readonly dataAgeSeconds: number | null;
  readonly checks: readonly DrillCheckResult[];
  /** Where the evidence lies. */
  readonly evidence: string;
  /** What could not be removed, of this drill or of earlier ones; the next tries again. */
  readonly leftBehind: readonly string[];
}

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
 * Nothing of the server stays, however it ends: what an attempt left whose worker was killed is removed by the next
 * drill on this machine.
 */
export async function runDrill(deps: Dependencies, input: DrillInput, work: Working): Promise<Drilled> {
  const { run, attempt, drilled } = input;
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
    const restored = await tried(deps, input, { ...work, place, toolVersions });
    await deps.failpoint('drill:checked');
    // What came of a copy that somebody took away meanwhile says nothing.
    signal.throwIfAborted();
    await assertOurs(place);
    const evidence = evidenceOf(input, restored, startedAt, toolVersions);
    const key = await writeEvidence(deps, input, evidence, signal);
    const { outcome, restoreSeconds, dataAgeSeconds, checks } = evidence;
    result = { backup: drilled.backup, outcome, restoreSeconds, dataAgeSeconds, checks, evidence: key };
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

interface Drilling extends Working {
  readonly place: DrillPlace;
  /** Filled as they are found. */
  readonly toolVersions: Record<string, string>;
}

/** A restore that fails by the backup's own fault is a result. */
async function tried(deps: Dependencies, input: DrillInput, drilling: Drilling): Promise<Restored> {
  try {
    return await (input.spec.method === 'base' ? drillPhysical : drillLogical)(deps, input, drilling);
  } catch (error) {
    drilling.signal.throwIfAborted();
    const blame = blames(error);
    if (blame === undefined) throw error;
    return nothingRestored(failed('restore', oneLine(`${blame.type}: ${blame.message}`).slice(0, 1_000)));
  }
}

async function drillLogical(deps: Dependencies, { drilled, spec, run, attempt }: DrillInput, drilling: Drilling) {
  const { place, signal, report, toolVersions } = drilling;
  const repository = deps.openRepository(spec.repository);
  const read = await readManifest(repository, drilled.manifestKey);
  if (!('found' in read)) throw damaged(drilled, read.reason);
  if (read.found === undefined) throw gone(drilled);
  const manifest = read.found;
  const programs = await programsFor(deps, manifest.server.versionNum, toolVersions);
  const tools = await restoreTools(deps, manifest, manifest.server.versionNum).catch(ofTools);
  toolVersions['psql'] = tools.version;
  const amcheck = spec.amcheck ? { program: findAmcheck(programs) } : undefined;
  const source: Source = {
    ...{ repository, manifest, signal },
    compressors: deps.compressors,
    scratch: deps.scratch,
    owner: { run: run.short, attempt },
  };
  const restored = await restoreLogical({
    ...{ place, programs, tools, signal },
    runAs: deps.instances.runAs,
    compressors: deps.compressors,
    manifest: asRead(manifest),
    run: run.short,
    read: (part) => readPart(source, part, tools),
    archive: (part) => localArchive(source, part, manifest.objects),
    jobs: restoreJobs,
    sessions: 2,
    onProgress: ({ phase, database, bytes, totalBytes, databasesDone, databasesTotal }) => {
      report({
        doing: `drill: ${phase}${database === null ? '' : ` ${database}`}`,
        ...{ bytes, totalBytes, done: databasesDone, total: databasesTotal },
      });
    },
  });
  await deps.failpoint('drill:restored');
  const asked = await ask(spec, restored, drilling);
  const sound = amcheck === undefined ? [] : [await checked(amcheck.program, restored, drilling)];
  return { ...restored, checks: [...restored.checks, ...asked, ...sound, ...(await fallen(place))] };
}

async function drillPhysical(deps: Dependencies, { drilled, spec, run }: DrillInput, drilling: Drilling) {
  const { place, signal, report, toolVersions } = drilling;
  const { cluster } = spec.source;
  const repository = deps.openRepository(spec.repository);
  const { bases } = await readBases(repository, cluster);
  const base = bases.find(({ manifestKey }) => manifestKey === drilled.manifestKey);
  if (base === undefined) {
    // It is gone, or can't be read any more: baseManifestAt says which.
    await baseManifestAt(repository, drilled.manifestKey);
    throw gone(drilled);
  }
  const { systemIdentifier, segmentBytes, versionNum } = base.manifest.server;
  const programs = await programsFor(deps, versionNum, toolVersions);
  const amcheck = spec.amcheck ? { program: findAmcheck(programs) } : undefined;
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
    if (promotion.outcome === 'passed') sound.push(await checked(amcheck.program, restored, drilling));
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

function ask({ checks }: DrillSpec, { server }: DrillServer, { signal, report }: Drilling) {
  if (checks.length > 0) report({ doing: 'drill: asking the checks' });
  return runChecks(server, checks, signal);
}

function checked(program: string | undefined, { server }: DrillServer, { signal, report }: Drilling) {
  report({ doing: 'drill: amcheck' });
  return runAmcheck(program, server, signal);
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

function evidenceOf(
  { spec, drilled, run }: DrillInput,
  { checks, restoreSeconds, dataOf, reached }: Restored,
  startedAt: Date,
  toolVersions: Readonly<Record<string, string>>,
): DrillEvidence {
  return {
    version: 1,
    kind: 'drill',
    backup: drilled.backup,
    cluster: spec.source.cluster,
    policy: spec.policy,
    outcome: drillOutcome(checks),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    run,
    restoreSeconds,
    dataAgeSeconds: ageSeconds(dataOf, startedAt),
    checks,
    reached,
    toolVersions,
  };
}

async function writeEvidence(
  deps: Dependencies,
  { spec, run, attempt }: DrillInput,
  evidence: DrillEvidence,
  signal: AbortSignal,
): Promise<string> {
  const { cluster, backup, finishedAt, outcome } = evidence;
  const text = `${JSON.stringify(evidence)}\n`;
  const key = drillKey(cluster, backup, new Date(finishedAt), sha256Hex(text).slice(0, 8), outcome);
  const repository = deps.openRepository(spec.repository);
  await repository.put(key, { run: run.short, attempt }, new TextEncoder().encode(text), signal);
  await deps.failpoint('drill:evidence');
  return key;
}

/** A pg_restore that may not read what others made says nothing of it. */
function ofTools(error: unknown): never {
  if (!(error instanceof HoldfastError) || error.type !== 'DumpRefused') throw error;
  throw new HoldfastError('ToolTooOld', error.message, error.hint, { cause: error });
}

const gone = ({ backup }: DrilledBackup) =>
  new HoldfastError('NoSuchBackup', `backup ${backup} is gone since the drill chose it`, 'start the drill again');

const damaged = ({ backup }: DrilledBackup, reason: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `the manifest of backup ${backup} can't be read: ${reason}`,
    'take another backup, and look at the repository',
  );
