import type { DatabaseRecord, Manifest } from '../domain/manifest.ts';
import { partOf } from '../domain/manifest.ts';
import { toldProperties } from '../domain/foreign.ts';
import { selects, type Selection } from '../domain/dump-survey.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { CopyReport } from '../domain/plan.ts';
import { copyReport } from '../domain/restore-report.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { quoteIdent, withSession, type Server, type Session } from '../postgres/connection.ts';
import { connectBeside, createCopy, dropCopy as dropOwnCopy, markLoaded } from '../postgres/restore/beside.ts';
import { publishCopy } from '../postgres/restore/publish.ts';
import { analyzeDatabase } from '../postgres/restore/analyze.ts';
import { verifyDatabase } from '../postgres/restore/verify.ts';
import { loadContent, restoreTools } from './content.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { plannedManifest, type PlannedRestore } from './plan-restore.ts';
import { sourceOf } from './source.ts';
import type { Working } from './working.ts';

export interface CopyInput {
  readonly spec: RestoreSpec;
  readonly planned: PlannedRestore;
  readonly run: RunIdentity;
}

export interface LoadedCopy {
  readonly oid: number;
  readonly seconds: number;
  /** What the load said without failing: the first ones. */
  readonly notes: readonly string[];
}

/**
 * Makes the copy and loads the backup's bytes of that one database into it. An earlier attempt's copy is dropped
 * first. Changes nothing of the live database.
 */
export async function loadCopy(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  { signal, report }: Working,
): Promise<LoadedCopy> {
  const begin = performance.now();
  const { server, manifest, record, copyName, avoid } = await situation(deps, spec, planned);
  const content = partOf(manifest, 'content', record.name);
  if (!content)
    throw new HoldfastError(
      'NoSuchBackup',
      `backup ${manifest.id} has no content of '${record.name}'`,
      'choose another backup',
    );
  const session = await connectBeside(server, avoid, { applicationName: `holdfast restore ${run.short}`, signal });
  try {
    const tools = await restoreTools(deps, manifest, session.versionNum);
    await createMissingRoles(session, planned.plan.facts.createRoles);
    const copy = await createCopy(server, session, {
      run: run.short,
      name: copyName,
      record,
      owner: null,
      tablespace: record.tablespace === 'pg_default' ? null : record.tablespace,
    });
    await deps.failpoint('load:created');
    const loaded = await loadContent(sourceOf(deps, planned, manifest, run, signal), {
      server,
      tools,
      database: copyName,
      oid: copy.oid,
      part: content,
      databaseBytes: record.bytes,
      selection: planned.plan.facts.selection,
      onProgress: (bytes) => {
        report({ doing: `loading ${record.name}`, bytes, totalBytes: content.within?.length ?? content.length });
      },
    });
    await deps.failpoint('load:loaded');
    await markLoaded(session, { ...copy, run: run.short });
    return {
      oid: copy.oid,
      seconds: (performance.now() - begin) / 1000,
      notes: loaded.notes.map(({ message }) => message).slice(0, 10),
    };
  } finally {
    await session.close();
  }
}

/** How many tables are analyzed, or counted, at once. */
const sessions = 2;

/** Compares the copy with what the manifest says was in the dump, and gives it statistics. */
export async function verifyCopy(
  deps: Dependencies,
  { spec, planned }: CopyInput,
  { signal, report }: Working,
): Promise<CopyReport> {
  const { server, manifest, record, copyName } = await situation(deps, spec, planned);
  const onProgress =
    (doing: string) =>
    ({ tablesDone, tablesTotal }: { readonly tablesDone: number; readonly tablesTotal: number }) => {
      report({ doing, done: tablesDone, total: tablesTotal });
    };
  await analyzeDatabase({
    server,
    database: copyName,
    sessions,
    signal,
    onProgress: onProgress(`analyzing ${copyName}`),
  });
  await deps.failpoint('verify:analyzed');
  const found = await verifyDatabase({
    server,
    database: copyName,
    record: await expectedIn(server, copyName, record, planned.plan.facts.selection),
    // A dump that others made doesn't tell of everything that it holds.
    othersMayBeThere: manifest.origin !== undefined,
    sessions,
    signal,
    onProgress: onProgress(`comparing ${copyName} with the manifest`),
  });
  return copyReport(found);
}

/** What the copy should hold: every table, and rows in those that were chosen, partitions with their table. */
async function expectedIn(
  server: Server,
  database: string,
  record: DatabaseRecord,
  chosen: Selection | undefined,
): Promise<DatabaseRecord> {
  if (chosen === undefined) return record;
  const parts = await withSession(server, { database }, (session) =>
    session.query<{ readonly schema: string; readonly name: string }>(
      `SELECT n.nspname::text AS schema, c.relname::text AS name
         FROM json_to_recordset($1::json) AS chosen (schema text, name text)
         JOIN pg_namespace pn ON pn.nspname = chosen.schema
         JOIN pg_class p ON p.relnamespace = pn.oid AND p.relname = chosen.name AND p.relkind = 'p',
         LATERAL pg_partition_tree(p.oid) AS tree
         JOIN pg_class c ON c.oid = tree.relid JOIN pg_namespace n ON n.oid = c.relnamespace`,
      [
        JSON.stringify(
          record.tables
            .filter(([schema, name]) => selects(chosen, schema, name))
            .map(([schema, name]) => ({ schema, name })),
        ),
      ],
    ),
  );
  const selection: Selection = {
    ...chosen,
    tables: [...chosen.tables, ...parts.map(({ schema, name }) => [schema, name] as const)],
  };
  const tables = record.tables.map(([schema, name, rows]): DatabaseRecord['tables'][number] => [
    schema,
    name,
    rows === null || selects(selection, schema, name) ? rows : 0,
  ]);
  return { ...record, tables };
}

export interface NamedCopy {
  readonly database: string;
  /** Properties that the target refused; runs that began before there were any have none. */
  readonly notes?: readonly string[];
}

/** Gives a verified copy its properties and its final name, in one transaction. Done twice is done once. */
export async function nameCopy(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  oid: number,
  { signal }: Pick<Working, 'signal'>,
): Promise<NamedCopy> {
  const { server, manifest, record, copyName, avoid } = await situation(deps, spec, planned);
  const finalName = planned.plan.facts.target.database ?? record.name;
  const properties = manifest.origin === undefined ? record.properties : toldProperties(record, server.user);
  if (properties === null) {
    throw new HoldfastError(
      'ObjectDamaged',
      `backup ${manifest.id} has no properties of '${record.name}'`,
      'choose another backup',
    );
  }
  const session = await connectBeside(server, avoid, { applicationName: `holdfast restore ${run.short}`, signal });
  try {
    const copy = { name: copyName, oid };
    const order = { run: run.short, copy, finalName, properties, adopt: false, mark: null, signal };
    const { notes } = await publishCopy(server, session, order);
    return { database: finalName, notes };
  } finally {
    await session.close();
  }
}

/** Drops what this run made and nothing else; that there is nothing is a success. */
export async function dropCopy(deps: Dependencies, { spec, planned, run }: CopyInput): Promise<void> {
  const { copyName } = planned.plan.facts;
  if (copyName === null) return;
  const server = await serverOf(deps, spec.target);
  const session = await connectBeside(server, [copyName], { applicationName: `holdfast restore ${run.short}` });
  try {
    await dropOwnCopy(server, session, { name: copyName, run: run.short });
  } finally {
    await session.close();
  }
}

async function situation(
  deps: Dependencies,
  spec: RestoreSpec,
  planned: PlannedRestore,
): Promise<{ server: Server; manifest: Manifest; record: DatabaseRecord; copyName: string; avoid: string[] }> {
  const manifest = await plannedManifest(deps, planned);
  const record = manifest.databases.find(({ name }) => name === spec.argument.database);
  const { copyName, oldName, target } = planned.plan.facts;
  if (!record || copyName === null)
    throw new HoldfastError('Unexpected', 'the plan is not one of a single database', 'report this as a bug');
  const avoid = [copyName, ...[oldName, target.database].filter((name) => name !== null)];
  return { server: await serverOf(deps, spec.target), manifest, record, copyName, avoid };
}

async function createMissingRoles(session: Session, roles: readonly string[]): Promise<void> {
  for (const role of roles) {
    const [found] = await session.query('SELECT FROM pg_roles WHERE rolname = $1', [role]);
    if (!found) await session.query(`CREATE ROLE ${quoteIdent(role)} NOLOGIN`);
  }
}
