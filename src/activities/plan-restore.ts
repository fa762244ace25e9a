import { findBackup, type Backup, type Catalog } from '../domain/catalog.ts';
import { digestOf, type Json } from '../domain/canonical.ts';
import { HoldfastError } from '../domain/errors.ts';
import { besideName } from '../domain/ids.ts';
import { partOf, totalBytes, type DatabaseRecord, type Manifest } from '../domain/manifest.ts';
import { backupObstacles, clusterObstacles, databaseObstacles } from '../domain/obstacles.ts';
import type { RestoreFacts, RestorePlan } from '../domain/plan.ts';
import type { PreflightFacts, TargetServerFacts } from '../domain/restore-report.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { RepositorySpec, RestoreSpec } from '../domain/specs.ts';
import { withSession, type Server, type Session } from '../postgres/connection.ts';
import { preflight, preflightCluster } from '../postgres/restore/preflight.ts';
import { readProperties } from '../postgres/swap/properties.ts';
import { readCatalog, readManifest } from '../storage/catalog.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { leftoverNotes } from './leftovers.ts';

export interface PlanInput {
  readonly spec: RestoreSpec;
  readonly run: RunIdentity;
}

/** A plan, and where the backup lies that it is about. */
export interface PlannedRestore {
  readonly plan: RestorePlan;
  readonly repository: RepositorySpec;
  readonly manifestKey: string;
}

/** Chooses the backup, looks at the target and says what would be done. Changes nothing. */
export async function planRestore(deps: Dependencies, { spec, run }: PlanInput): Promise<PlannedRestore> {
  const { repository, backup } = await chooseBackup(deps, spec);
  const server = await serverOf(deps, spec.target);
  const plan = await withSession(server, {}, (session) =>
    spec.argument.database === undefined
      ? planCluster(server, session, spec, run, repository, backup)
      : planDatabase(session, spec, run, repository, backup, spec.argument.database),
  );
  return { plan, repository, manifestKey: backup.manifestKey };
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
  const backup = findBackup({ backups: [...homes.keys()], unreadable }, { cluster, backup: wanted, database });
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

async function planDatabase(
  session: Session,
  spec: RestoreSpec,
  run: RunIdentity,
  repository: RepositorySpec,
  backup: Backup,
  database: string,
): Promise<RestorePlan> {
  const { manifest } = backup;
  const record = recordOf(manifest, database);
  const { into, missingRoles } = spec.argument;
  const name = into ?? database;
  const copyName = besideName(name, 'new', run.short);
  const oldName = besideName(name, 'old', run.short);
  const facts = await preflight(session, {
    manifest,
    record,
    database: name,
    freeNames: into === undefined ? [oldName] : [into],
  });
  const live = into === undefined ? facts.live : null;
  const swap = live !== null;
  return {
    facts: {
      ...commonFacts(spec, run, repository, manifest, facts.target),
      kind: swap ? 'swap' : 'create',
      source: { ...sourceFacts(repository, manifest), takenAt: record.snapshotAt ?? manifest.startedAt },
      target: targetFacts(spec, facts.target, name, live?.oid ?? null),
      copyName,
      oldName: swap ? oldName : null,
      properties: await plannedProperties(session, spec, record, name, swap),
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
});

function targetFacts(
  spec: RestoreSpec,
  target: TargetServerFacts,
  database: string | null,
  liveOid: number | null,
): RestoreFacts['target'] {
  const { host, port } = spec.target.server;
  return {
    cluster: spec.target.cluster,
    address: `${host}:${String(port)}`,
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
  const read = await readManifest(deps.openRepository(planned.repository), planned.manifestKey);
  const found = 'found' in read ? read.found : undefined;
  if (!found || digestOf(found) !== planned.plan.facts.source.manifest) {
    throw new HoldfastError(
      'ObjectDamaged',
      `manifest ${planned.manifestKey} is not the one that was planned with`,
      'somebody pruned or changed it meanwhile: start the restore again',
    );
  }
  return found;
}
