import { createHash } from 'node:crypto';
import type { AdoptArgument } from '../domain/arguments.ts';
import type { DumpSurvey } from '../domain/dump-survey.ts';
import { describeDumpFinding } from '../domain/dump-survey.ts';
import { HoldfastError } from '../domain/errors.ts';
import { filesOf, findForeign, foreignManifest, type ForeignDump } from '../domain/foreign.ts';
import { formatBytes, formatCount } from '../domain/format.ts';
import { joinKey, manifestSuffix, surveyDirectory } from '../domain/ids.ts';
import type { Allowance, Manifest, Origin, StoredObject } from '../domain/manifest.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { AdoptSpec, BackupSpec, RepositorySpec, RestoreSpec } from '../domain/specs.ts';
import { readCatalog } from '../storage/catalog.ts';
import type { Repository, Staged, StageOwner } from '../storage/repository.ts';
import type { Dependencies } from './dependencies.ts';
import { listForeign, type ForeignListing } from './foreign-listing.ts';
import { readDump } from './read-dump.ts';
import type { Surveyed } from './plan-restore.ts';
import type { Working } from './working.ts';

export interface SurveyForAdoption {
  readonly spec: BackupSpec;
  readonly argument: AdoptArgument;
  readonly run: RunIdentity;
  readonly attempt: number;
}

/** Read whole, and its manifest staged. */
export interface SurveyedDump {
  readonly id: string;
  readonly manifest: Staged;
  readonly databases: readonly string[];
  readonly findings: readonly string[];
  readonly notes: readonly string[];
  /** One line on what was found. */
  readonly note: string;
}

/** Reads a foreign dump whole and stages the manifest that would make it a backup of the policy. Changes nothing else. */
export async function surveyForAdoption(
  deps: Dependencies,
  { spec, argument, run, attempt }: SurveyForAdoption,
  work: Working,
): Promise<SurveyedDump> {
  if (spec.adopt === null) {
    throw new HoldfastError(
      'ConfigurationInvalid',
      `policy ${spec.policy} adopts no dumps`,
      'say where they lie: adopt: { pattern: "*.sql.gz" } in the policy',
    );
  }
  const repository = deps.openRepository(spec.repository);
  const found = await find(repository, [spec.adopt], argument.dump);
  const owner = { run: run.short, attempt };
  const origin = { kind: 'adopted' as const, by: argument.by, reason: argument.reason, allow: argument.allow };
  const { manifest, survey } = await surveyed(
    deps,
    repository,
    found,
    { ...spec, cluster: spec.source.cluster, database: argument.database },
    origin,
    {
      run,
      owner,
      work,
    },
  );
  const key = joinKey(found.adopt.path, `${found.dump.id}${manifestSuffix}`);
  return {
    id: manifest.id,
    manifest: await repository.stageSmall(key, owner, encoded(manifest), work.signal),
    databases: manifest.databases.slice(0, 100).map(({ name }) => name),
    findings: survey.findings.slice(0, 20).map(describeDumpFinding),
    notes: survey.notes.slice(0, 20),
    note: noteOn(survey),
  };
}

export interface SurveyForRestore {
  readonly spec: RestoreSpec;
  readonly run: RunIdentity;
  readonly attempt: number;
}

/**
 * Reads a dump that is not in the catalog, for one restore. What it found is kept as an object of its own, which is no
 * manifest: nothing but this run uses it. Answers null where the catalog has what was asked for.
 */
export async function surveyForRestore(
  deps: Dependencies,
  { spec, run, attempt }: SurveyForRestore,
  work: Working,
): Promise<{ readonly surveyed: Surveyed; readonly note: string } | null> {
  const { backup, cluster, database, allow = [], requestedBy } = spec.argument;
  if (backup === 'latest') return null;
  for (const repository of spec.repositories) {
    const catalog = await readCatalog(deps.openRepository(repository));
    if (catalog.backups.some(({ manifest }) => manifest.id === backup && manifest.cluster === cluster)) return null;
  }
  const places = spec.foreign;
  const found = await findSomewhere(deps, places, backup);
  const repository = deps.openRepository(found.adopt.repository);
  const owner = { run: run.short, attempt };
  const origin = { kind: 'surveyed' as const, by: requestedBy ?? 'unknown', reason: 'for one restore', allow };
  const identity = { installation: spec.installation, cluster, policy: found.adopt.policy, database };
  const { manifest, survey } = await surveyed(deps, repository, found, identity, origin, { run, owner, work });
  // Its bytes are its name: an attempt whose answer was lost, and the next one, don't get in each other's way.
  const body = encoded(manifest);
  const digest = createHash('sha256').update(body).digest('hex').slice(0, 16);
  const manifestKey = joinKey(surveyDirectory(cluster), `${manifest.id}-${run.short}-${digest}.json`);
  await repository.put(manifestKey, owner, body, work.signal);
  return { surveyed: { repository: found.adopt.repository, manifestKey }, note: noteOn(survey) };
}

const encoded = (manifest: Manifest) => new TextEncoder().encode(`${JSON.stringify(manifest)}\n`);

interface Found {
  readonly adopt: AdoptSpec;
  readonly dump: ForeignDump;
  /** Every file of it. */
  readonly keys: readonly string[];
}

/** A file that somebody may still be writing has changed within this time. */
const settledMs = 60_000;

async function surveyed(
  deps: Dependencies,
  repository: Repository,
  { dump, keys }: Found,
  identity: {
    readonly installation: string;
    readonly cluster: string;
    readonly policy: string;
    readonly database: string | undefined;
  },
  origin: Pick<Origin, 'kind' | 'by' | 'reason' | 'allow'>,
  context: { readonly run: RunIdentity; readonly owner: StageOwner; readonly work: Working },
): Promise<{ readonly manifest: Manifest; readonly survey: DumpSurvey }> {
  assertSettled(dump);
  const read = await readDump(
    deps,
    repository,
    { dump, keys, allow: origin.allow, database: identity.database },
    context.owner,
    context.work,
  );
  await assertUnchanged(repository, dump, read.objects);
  const { survey } = read;
  refuseIncomplete(dump, survey);
  refuseFindings(dump, survey, origin.allow);
  const { workflowId, firstExecutionRunId } = context.run;
  const manifest = foreignManifest(
    { dump, ...read },
    {
      ...identity,
      holdfastVersion: deps.version,
      run: { workflowId, firstExecutionRunId },
      origin: { ...origin, at: new Date().toISOString() },
    },
  );
  return { manifest, survey };
}

function assertSettled({ key, modifiedAt }: ForeignDump): void {
  const ageMs = Date.now() - modifiedAt.getTime();
  if (ageMs >= settledMs) return;
  throw new HoldfastError(
    'DumpRefused',
    `${key} was changed ${String(Math.max(0, Math.round(ageMs / 1000)))} seconds ago: somebody may still be writing it`,
    'wait until it is finished, for a minute at least',
  );
}

async function assertUnchanged(
  repository: Repository,
  { key }: ForeignDump,
  objects: readonly StoredObject[],
): Promise<void> {
  for (const object of objects) {
    if ((await repository.size(object.key)) === object.bytes) continue;
    throw new HoldfastError(
      'DumpRefused',
      `${key} changed while it was read`,
      'somebody is still writing it: wait until it is finished',
    );
  }
}

function refuseIncomplete({ key }: ForeignDump, { incomplete }: DumpSurvey): void {
  if (incomplete === null) return;
  throw new HoldfastError(
    'ObjectDamaged',
    `${key} is not a whole dump: ${incomplete}`,
    'whatever wrote it was cut off, or it was damaged since; use another one',
  );
}

/** What is more than a dump may hold, and nobody has allowed. */
function refuseFindings({ key }: ForeignDump, survey: DumpSurvey, allow: readonly Allowance[]): void {
  const refused = survey.findings.filter(({ needs }) => needs === 'never' || !allow.includes(needs));
  if (refused.length === 0 && survey.findingCount === survey.findings.length) return;
  const first = refused.length === 0 ? survey.findings : refused;
  const never = first.some(({ needs }) => needs === 'never');
  const needed = [...new Set(first.map(({ needs }) => needs))].filter((need) => need !== 'never');
  throw new HoldfastError(
    'DumpRefused',
    `${key} holds what a dump may not hold: ${first.slice(0, 5).map(describeDumpFinding).join('; ')}${first.length > 5 ? ` and ${formatCount(first.length - 5, 'more', 'more')}` : ''}`,
    never
      ? 'commands for psql can never be allowed: look at the file, and at who can write to it'
      : `look at these lines; if they are meant, allow them with "allow":${JSON.stringify(needed)}`,
  );
}

function noteOn({ databases, plain, findingCount }: DumpSurvey): string {
  const rows = databases.reduce((sum, { tables }) => sum + tables.reduce((of, [, , count]) => of + (count ?? 0), 0), 0);
  const unusual = findingCount === 0 ? '' : `, ${formatCount(findingCount, 'unusual statement')} allowed`;
  return `${formatCount(databases.length, 'database')}, ${formatCount(rows, 'row')}, ${formatBytes(plain.length)}${unusual}`;
}

async function findSomewhere(deps: Dependencies, places: readonly AdoptSpec[], asked: string): Promise<Found> {
  for (const place of places) {
    const listing = await listForeign(deps.openRepository(place.repository), place);
    const found = findIn(listing, place, asked);
    if (found !== undefined) return found;
  }
  throw noSuchDump(asked, places);
}

async function find(repository: Repository, places: readonly AdoptSpec[], asked: string): Promise<Found> {
  for (const place of places) {
    const found = findIn(await listForeign(repository, place), place, asked);
    if (found !== undefined) return found;
  }
  throw noSuchDump(asked, places);
}

function noSuchDump(asked: string, places: readonly AdoptSpec[]): HoldfastError {
  const where = places.map(({ repository, path, pattern }) => `${repository.name}:${joinKey(path, pattern)}`);
  return new HoldfastError(
    'NoSuchBackup',
    `there is no dump '${asked}' ${where.length === 0 ? 'to look for: no policy of the cluster says where such dumps lie' : `among ${where.join(', ')}`}`,
    where.length === 0
      ? 'say where they lie: adopt: { pattern: "*.sql.gz" } in a policy of the cluster'
      : "'holdfast backups list' shows them",
  );
}

function findIn({ dumps, keys }: ForeignListing, adopt: AdoptSpec, asked: string): Found | undefined {
  const dump = findForeign(dumps, asked);
  if (dump === undefined) return undefined;
  return { adopt, dump, keys: filesOf(dump, keys) };
}

export interface PublishInput {
  readonly repository: RepositorySpec;
  readonly manifest: Staged;
}

/** What makes a surveyed dump a backup. Done twice is done once. NameTaken where another manifest has the name. */
export async function publishManifest(
  deps: Dependencies,
  { repository: spec, manifest }: PublishInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  const repository = deps.openRepository(spec);
  await repository.check();
  await deps.failpoint('adopt:publish');
  await repository.publish(manifest, { signal });
}
