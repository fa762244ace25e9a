import { findBackup, type Backup, type Catalog, type Wanted } from '../domain/catalog.ts';
import { digestOf, type Json } from '../domain/canonical.ts';
import { HoldfastError } from '../domain/errors.ts';
import { findForeign } from '../domain/foreign.ts';
import { besideName } from '../domain/ids.ts';
import type { RestoreArgument } from '../domain/arguments.ts';
import type { Selection } from '../domain/dump-survey.ts';
import { partOf, totalBytes, type DatabaseRecord, type Manifest, type Origin } from '../domain/manifest.ts';
import {
  backupObstacles,
  clusterObstacles,
  databaseObstacles,
  originObstacles,
  extractObstacles,
  notInBackupObstacles,
} from '../domain/obstacles.ts';
import { flawsOf } from '../domain/psql-flaws.ts';
import type { Obstacle, RestoreFacts, RestorePlan } from '../domain/plan.ts';
import { listed, type PreflightFacts, type TargetServerFacts } from '../domain/restore-report.ts';
import type { RunIdentity } from '../domain/run.ts';
import { describePlace, type RepositorySpec, type RestoreSpec } from '../domain/specs.ts';
import { withSession, type Server, type Session } from '../postgres/connection.ts';
import { notInBackup, preflightExtract } from '../postgres/extract/preflight.ts';
import { preflight, preflightCluster } from '../postgres/restore/preflight.ts';
import { readProperties } from '../postgres/swap/properties.ts';
import { findTools } from '../postgres/tools.ts';
import { readCatalog, readManifest, readSurvey } from '../storage/catalog.ts';
import type { Repository } from '../storage/repository.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { foreignBeside } from './foreign-listing.ts';
import { leftoverNotes } from './leftovers.ts';

export interface PlanInput {
  readonly spec: RestoreSpec;
  readonly run: RunIdentity;
  /** A dump that is not in the catalog. */
  readonly surveyed?: Surveyed | undefined;
}

/** Where what was found in a foreign dump is written down. */
export interface Surveyed {
  readonly repository: RepositorySpec;
  readonly manifestKey: string;
}

/** A plan, and where the backup lies that it is about. */
export interface PlannedRestore {
  readonly plan: RestorePlan;
  readonly repository: RepositorySpec;
  readonly manifestKey: string;
}

/** Chooses the backup, looks at the target and says what would be done. Changes nothing. */
export async function planRestore(deps: Dependencies, { spec, run, surveyed }: PlanInput): Promise<PlannedRestore> {
  const { repository, backup } = surveyed ? await readSurveyed(deps, surveyed) : await chooseBackup(deps, spec);
  const server = await serverOf(deps, spec.target);
  const config = await deps.config();
  const plan = await withSession(server, {}, async (session) => {
    const tools = await findTools(session.versionNum, deps.toolPlaces(config));
    const { database } = spec.argument;
    const planned =
      database === undefined
        ? await planCluster(server, session, spec, run, repository, backup)
        : await planDatabase(server, session, spec, run, repository, backup, database);
    const flaws = originObstacles(backup, { version: tools.version, flaws: flawsOf(tools.version) });
    return { ...planned, obstacles: [...planned.obstacles, ...flaws] };
  });
  return { plan, repository, manifestKey: backup.manifestKey };
}

async function readSurveyed(
  deps: Dependencies,
  { repository, manifestKey }: Surveyed,
): Promise<{ repository: RepositorySpec; backup: Backup }> {
  const manifest = await readSurvey(deps.openRepository(repository), manifestKey);
  return { repository, backup: { manifest, manifestKey, verification: 'none', drill: 'none' } };
}

async function chooseBackup(
  deps: Dependencies,
  spec: RestoreSpec,
): Promise<{ repository: RepositorySpec; backup: Backup }> {
  const homes = new Map<Backup, RepositorySpec>();
  const unreadable: Catalog['unreadable'][number][] = [];
  for (const repository of spec.repositories) {
    const catalog = await readCatalog(deps.openRepository(repository));
    for (const backup of catalog.backups) homes.set(backup, repository);
    unreadable.push(...catalog.unreadable);
  }
  const { cluster, backup: wanted, database } = spec.argument;
  const backup = await found(
    deps,
    spec,
    { backups: [...homes.keys()], unreadable },
    { cluster, backup: wanted, database },
  );
  const repository = homes.get(backup);
  if (!repository)
    throw new HoldfastError(
      'NoSuchBackup',
      `backup ${backup.manifest.id} lies in no repository`,
      'report this as a bug',
    );
  if (backup.verification === 'failed') {
    throw new HoldfastError(
      'ObjectDamaged',
      `backup ${backup.manifest.id} was found damaged when it was verified`,
      "choose another; 'holdfast backups list' shows which are whole",
    );
  }
  return { repository, backup };
}

/** Throws NoSuchBackup; where a dump bears the name that nobody has adopted, it says so. */
async function found(deps: Dependencies, spec: RestoreSpec, catalog: Catalog, wanted: Wanted): Promise<Backup> {
  try {
    return findBackup(catalog, wanted);
  } catch (error) {
    for (const adopt of spec.foreign) {
      const { dumps } = await foreignBeside(deps.openRepository(adopt.repository), adopt, catalog.backups);
      if (findForeign(dumps, wanted.backup) === undefined) continue;
      throw new HoldfastError(
        'NoSuchBackup',
        `'${wanted.backup}' is a dump that is not in the catalog: nobody vouches for it`,
        `adopt it ('holdfast backups adopt ${wanted.backup} --policy ${adopt.policy} --reason …'), or restore it as it is with "foreign":true`,
        { cause: error },
      );
    }
    throw error;
  }
}

async function planDatabase(
  server: Server,
  session: Session,
  spec: RestoreSpec,
  run: RunIdentity,
  repository: RepositorySpec,
  backup: Backup,
  database: string,
): Promise<RestorePlan> {
  const { manifest } = backup;
  const record = recordOf(manifest, database);
  const { into, intoSchema, missingRoles } = spec.argument;
  const selection = selectionOf(spec.argument);
  const name = into ?? database;
  const copyName = besideName(name, 'new', run.short);
  const oldName = besideName(name, 'old', run.short);
  const facts = await preflight(session, {
    manifest,
    record,
    database: name,
    freeNames: into !== undefined ? [into] : intoSchema === undefined ? [oldName] : [],
  });
  const live = into === undefined ? facts.live : null;
  const swap = live !== null && intoSchema === undefined;
  const chosen = await chosenObstacles(server, spec, run, { live, record, selection });
  return {
    facts: {
      ...commonFacts(spec, run, repository, manifest, facts.target),
      kind: intoSchema !== undefined ? 'schema' : swap ? 'swap' : 'create',
      source: { ...sourceFacts(repository, manifest), takenAt: record.snapshotAt ?? manifest.startedAt },
      ...(selection === undefined ? {} : { selection }),
      ...(intoSchema === undefined ? {} : { schema: intoSchema }),
      target: targetFacts(spec, facts.target, name, live?.oid ?? null),
      copyName,
      oldName: swap ? oldName : null,
      properties: intoSchema === undefined ? await plannedProperties(session, spec, record, name, swap) : null,
      createRoles: missingRoles === 'create' ? facts.needs.missingRoles.first : [],
      adopts: null,
    },
    estimates: estimates(manifest, {
      readBytes: partOf(manifest, 'content', database)?.length ?? 0,
      facts,
      sessions: live?.sessions ?? null,
    }),
    obstacles: [
      ...backupObstacles(backup),
      ...databaseObstacles(facts, { missingRoles, swap }),
      ...chosen,
      ...(await leftoverNotes(session, name, run.short)),
    ],
  };
}

async function planCluster(
  server: Server,
  session: Session,
  spec: RestoreSpec,
  run: RunIdentity,
  repository: RepositorySpec,
  backup: Backup,
): Promise<RestorePlan> {
  const { manifest } = backup;
  const facts = await preflightCluster(server, session, { manifest, run: run.short });
  return {
    facts: {
      ...commonFacts(spec, run, repository, manifest, facts.target),
      kind: 'cluster',
      target: targetFacts(spec, facts.target, null, null),
      copyName: null,
      oldName: null,
      properties: null,
      createRoles: [],
      adopts: { roles: facts.alteredRoles.first, databases: facts.adoptedDatabases.first },
    },
    estimates: estimates(manifest, { readBytes: totalBytes(manifest), facts, sessions: null }),
    obstacles: [...backupObstacles(backup), ...clusterObstacles(facts)],
  };
}

/** What there is to know about a choice of tables and schemas. */
async function chosenObstacles(
  server: Server,
  { argument }: RestoreSpec,
  run: RunIdentity,
  found: {
    readonly live: PreflightFacts['live'];
    readonly record: DatabaseRecord;
    readonly selection: Selection | undefined;
  },
): Promise<Obstacle[]> {
  const { live, record, selection } = found;
  const { database = '', intoSchema } = argument;
  if (selection === undefined) return [];
  if (intoSchema === undefined) return notInBackupObstacles(listed(notInBackup(record.tables, selection)));
  if (live === null) {
    return [
      {
        weight: 'hopeless',
        what: `there is no live database '${database}' to put a schema into`,
        cure: 'restore the tables into a new database with into',
      },
    ];
  }
  const question = { live: { name: database, oid: live.oid }, schema: intoSchema, record, selection, run: run.short };
  const facts = await withSession(server, { database }, (session) => preflightExtract(session, question));
  return extractObstacles(facts, intoSchema);
}

function recordOf(manifest: Manifest, database: string): DatabaseRecord {
  const record = manifest.databases.find(({ name }) => name === database);
  if (!record)
    throw new HoldfastError(
      'NoSuchBackup',
      `backup ${manifest.id} doesn't hold database '${database}'`,
      'choose another backup',
    );
  return record;
}

function commonFacts(
  spec: RestoreSpec,
  run: RunIdentity,
  repository: RepositorySpec,
  manifest: Manifest,
  target: TargetServerFacts,
) {
  return {
    version: 1 as const,
    run: run.short,
    source: sourceFacts(repository, manifest),
    target: targetFacts(spec, target, null, null),
    copyOid: null,
    report: null,
  };
}

const sourceFacts = (repository: RepositorySpec, manifest: Manifest): RestoreFacts['source'] => ({
  cluster: manifest.cluster,
  repository: repository.name,
  backup: manifest.id,
  manifest: digestOf(manifest),
  takenAt: manifest.startedAt,
  ...(manifest.origin === undefined ? {} : { origin: originFacts(manifest.origin) }),
});

const originFacts = ({ kind, by, reason, findings, allow }: Origin) => ({ kind, by, reason, findings, allow });

/** undefined: all of it. */
function selectionOf({ tables, schemas }: RestoreArgument): Selection | undefined {
  if (tables === undefined && schemas === undefined) return undefined;
  return { schemas: schemas ?? [], tables: (tables ?? []).map(({ schema, table }) => [schema, table] as const) };
}

function targetFacts(
  spec: RestoreSpec,
  target: TargetServerFacts,
  database: string | null,
  liveOid: number | null,
): RestoreFacts['target'] {
  return {
    cluster: spec.target.cluster,
    address: describePlace(spec.target),
    systemIdentifier: target.systemIdentifier,
    timeline: target.timeline,
    versionNum: target.versionNum,
    database,
    liveOid,
  };
}

async function plannedProperties(
  session: Session,
  spec: RestoreSpec,
  record: DatabaseRecord,
  name: string,
  swap: boolean,
): Promise<RestoreFacts['properties']> {
  const from = swap ? spec.argument.properties : 'backup';
  const properties = from === 'live' ? await readProperties(session, name) : record.properties;
  return { from, digest: digestOf(properties as unknown as Json) };
}

/** Loading a dump takes about this many times as long as taking it did: indexes and constraints are made anew. */
const loadFactor = 2.5;

function estimates(
  manifest: Manifest,
  found: {
    readonly readBytes: number;
    readonly facts: Pick<PreflightFacts, 'needBytes' | 'target'>;
    readonly sessions: number | null;
  },
): RestorePlan['estimates'] {
  const dumpSeconds = (Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt)) / 1000;
  const share = found.readBytes / Math.max(1, totalBytes(manifest));
  return {
    backupAgeSeconds: Math.max(0, Math.round((Date.now() - Date.parse(manifest.startedAt)) / 1000)),
    readBytes: found.readBytes,
    needBytes: found.facts.needBytes,
    freeBytes: found.facts.target.freeBytes,
    expectedSeconds: Math.max(1, Math.round(dumpSeconds * share * loadFactor)),
    sessions: found.sessions,
  };
}

/** The manifest that a plan was made from; ObjectDamaged if it is gone or another one lies there now. */
export async function plannedManifest(deps: Dependencies, planned: PlannedRestore): Promise<Manifest> {
  const repository = deps.openRepository(planned.repository);
  const found =
    planned.plan.facts.source.origin?.kind === 'surveyed'
      ? await readSurvey(repository, planned.manifestKey)
      : await manifestAt(repository, planned.manifestKey);
  if (!found || digestOf(found) !== planned.plan.facts.source.manifest) {
    throw new HoldfastError(
      'ObjectDamaged',
      `manifest ${planned.manifestKey} is not the one that was planned with`,
      'somebody pruned or changed it meanwhile: start the restore again',
    );
  }
  return found;
}

async function manifestAt(repository: Repository, manifestKey: string): Promise<Manifest | undefined> {
  const read = await readManifest(repository, manifestKey);
  return 'found' in read ? read.found : undefined;
}
