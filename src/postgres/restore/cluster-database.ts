import { HoldfastError } from '../../domain/errors.ts';
import { besideName } from '../../domain/ids.ts';
import { isArchive, type DatabaseRecord, type Part } from '../../domain/manifest.ts';
import { listedAtMost, type VerificationReport } from '../../domain/restore-report.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import { loadArchive, type ArchiveLoadInput } from '../archive/restore.ts';
import type { Session } from '../connection.ts';
import { readPropertiesByOid } from '../swap/properties.ts';
import { inTransaction } from '../swap/transaction.ts';
import { analyzeDatabase } from './analyze.ts';
import { createCopy, dropCopy, markLoaded, markLoadedStatement, type Copy } from './beside.ts';
import { compressorOf, type ClusterProgress, type ClusterRestoreInput } from './cluster-input.ts';
import { dumpVersionOf } from './dump-version.ts';
import { load, type LoadReport } from './load.ts';
import { readRestoreMark, type RestoreMark, type Verified } from './mark.ts';
import { checkProperties, giveProperties } from './properties.ts';
import { asideName, dropAside, publishCopy } from './publish.ts';
import { verifyDatabase } from './verify.ts';

export interface DatabaseRestore extends ClusterRestoreInput {
  readonly record: DatabaseRecord;
  /** In none of the databases that are made or renamed. */
  readonly session: Session;
  readonly progress: (phase: ClusterProgress['phase'], bytes?: number) => void;
  /** Connections that may load this database at once. */
  readonly jobs: number;
}

export interface DatabaseOutcome {
  readonly report: VerificationReport;
  /** false: it differed from the backup, and was dropped. */
  readonly kept: boolean;
}

/**
 * One database of a whole backup: made under a name of its own, loaded, verified, and then given its final name and
 * properties in one go. A copy that differs from the backup is dropped; the report says how it differs.
 */
export async function restoreUnderName(restore: DatabaseRestore): Promise<DatabaseOutcome> {
  const { server, session, record, run } = restore;
  const finished = await findOurs(session, record.name, run);
  if (finished?.mark.state === 'done') {
    const notes = await dropAside(server, session, asideName(record.name, run), run);
    return withProperties(restore, finished.copy, asBefore(finished.mark), notes);
  }
  const name = besideName(record.name, 'new', run);
  const loaded = await findOurs(session, name, run);
  if (loaded?.mark.state === 'loaded') return publish(restore, loaded.copy, asBefore(loaded.mark));
  const copy = await createCopy(server, session, { run, name, record, owner: null, tablespace: tablespaceOf(record) });
  await restore.failpoint?.('created', record.name);
  let report: VerificationReport;
  try {
    await loadInto(restore, copy);
    await restore.failpoint?.('loaded', record.name);
    report = await verify(restore, name, false);
  } catch (error) {
    await dropQuietly(restore, copy);
    throw error;
  }
  if (!report.ok) {
    await dropQuietly(restore, copy);
    return { report, kept: false };
  }
  await analyze(restore, name);
  await markLoaded(session, { ...copy, run, verified: verifiedBy(report) });
  await restore.failpoint?.('verified', record.name);
  return publish(restore, copy, report);
}

/** Into a database that stays: contents in one transaction with the mark that says so, then the properties. */
export async function restoreInPlace(restore: DatabaseRestore): Promise<DatabaseOutcome> {
  const { session, record, run } = restore;
  const { name } = record;
  const found = await findOurs(session, name, run);
  if (found?.mark.state === 'done') return withProperties(restore, found.copy, asBefore(found.mark), []);
  const copy = { name, oid: await oidOf(session, name) };
  const properties = record.properties ?? (await ownProperties(session, copy));
  if (found === undefined) {
    await loadInto(restore, copy, markLoadedStatement({ name, run }));
    await restore.failpoint?.('loaded', name);
  }
  const report = await verify(restore, name, true);
  await analyze(restore, name);
  restore.progress('naming');
  const mark = { run, verified: report.ok ? verifiedBy(report) : null };
  const { notes } = await inTransaction(session, () => giveProperties(session, copy, { properties, mark }));
  await restore.failpoint?.('named', name);
  return withProperties(restore, copy, report, notes);
}

/** What a database has already, for backups that don't tell: it keeps that. */
async function ownProperties(session: Session, { oid }: Copy): Promise<DatabaseProperties> {
  const found = await readPropertiesByOid(session, oid);
  return readRestoreMark(found.comment) === undefined ? found : { ...found, comment: null };
}

async function oidOf(session: Session, name: string): Promise<number> {
  const [row] = await session.query<{ readonly oid: number }>('SELECT oid FROM pg_database WHERE datname = $1::text', [
    name,
  ]);
  if (row !== undefined) return row.oid;
  throw new HoldfastError('PlanChanged', `database '${name}' is gone`, 'somebody dropped it: start the restore again');
}

function loadInto(restore: DatabaseRestore, { name, oid }: Copy, inOneTransaction?: string): Promise<LoadReport> {
  const { manifest, server, tools, signal, progress } = restore;
  const part = contentOf(restore);
  progress('loading', 0);
  const order = {
    ...{ server, tools, database: name, oid, signal, dumpVersion: dumpVersionOf(manifest) },
    ...(inOneTransaction === undefined ? {} : { inOneTransaction }),
    onProgress: (bytes: number) => {
      progress('loading', bytes);
    },
  };
  if (isArchive(part)) return loadHeld(restore, part, order);
  return load({ ...order, stored: restore.read(part), compressor: compressorOf(restore, part) });
}

async function loadHeld(
  { archive, jobs, record }: DatabaseRestore,
  part: Part,
  order: Omit<ArchiveLoadInput, 'source' | 'jobs'>,
): Promise<LoadReport> {
  if (archive === undefined) throw new TypeError('the contents are archives, and nobody says where they lie');
  const held = await archive(part);
  try {
    return await loadArchive({ ...order, source: held.path, jobs, databaseBytes: record.bytes });
  } finally {
    await held.release();
  }
}

async function verify(
  restore: DatabaseRestore,
  database: string,
  othersMayBeThere: boolean,
): Promise<VerificationReport> {
  restore.progress('verifying');
  return verifyDatabase({
    server: restore.server,
    database,
    record: restore.record,
    othersMayBeThere,
    sessions: restore.sessions,
    signal: restore.signal,
  });
}

async function analyze({ server, sessions, signal, progress }: DatabaseRestore, database: string): Promise<void> {
  progress('analyzing');
  await analyzeDatabase({ server, database, sessions, signal });
}

async function publish(restore: DatabaseRestore, copy: Copy, report: VerificationReport): Promise<DatabaseOutcome> {
  const { server, session, record, run, signal } = restore;
  restore.progress('naming');
  const { notes } = await publishCopy(server, session, {
    run,
    copy,
    finalName: record.name,
    properties: propertiesOf(record),
    adopt: true,
    mark: { run, verified: verifiedBy(report) },
    signal,
  });
  await restore.failpoint?.('named', record.name);
  return withProperties(restore, { name: record.name, oid: copy.oid }, report, notes);
}

/** A half-made copy takes room that the other databases need. The failure that led here is the one to be told. */
async function dropQuietly({ server, session, run, signal }: DatabaseRestore, copy: Copy): Promise<void> {
  if (signal.aborted) return;
  await dropCopy(server, session, { ...copy, run }).catch(() => undefined);
}

async function findOurs(
  session: Session,
  name: string,
  run: string,
): Promise<{ copy: Copy; mark: RestoreMark } | undefined> {
  const [row] = await session.query<{ readonly oid: number; readonly comment: string | null }>(
    `SELECT oid, shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1::text`,
    [name],
  );
  const mark = readRestoreMark(row?.comment ?? null);
  return row === undefined || mark?.run !== run ? undefined : { copy: { name, oid: row.oid }, mark };
}

const verifiedBy = ({ tablesCompared, rowsCompared }: VerificationReport): Verified => ({
  tables: tablesCompared,
  rows: rowsCompared,
});

/** What an earlier attempt found, which is on the mark. */
const asBefore = ({ verified }: RestoreMark): VerificationReport => ({
  ok: verified !== null,
  tablesCompared: verified?.tables ?? 0,
  rowsCompared: verified?.rows ?? 0,
  differences: [],
  differenceCount: 0,
  errors: [],
  notes: [
    verified === null
      ? 'an earlier attempt of this run restored it and found differences, which were lost with it'
      : 'an earlier attempt of this run restored and verified it',
  ],
});

/** The report of a database that bears its name, with what its properties are otherwise than they should be. */
async function withProperties(
  { session, record }: DatabaseRestore,
  copy: Copy,
  report: VerificationReport,
  notes: readonly string[],
): Promise<DatabaseOutcome> {
  const found = record.properties === null ? [] : await checkProperties(session, copy, record.properties);
  return {
    kept: true,
    report: {
      ...report,
      ok: report.ok && found.length === 0,
      differences: [...report.differences, ...found].slice(0, listedAtMost),
      differenceCount: report.differenceCount + found.length,
      notes: [...report.notes, ...notes].slice(0, listedAtMost),
    },
  };
}

const tablespaceOf = ({ tablespace }: DatabaseRecord) => (tablespace === 'pg_default' ? null : tablespace);

function contentOf({ manifest, record }: DatabaseRestore): Part {
  const part = manifest.parts.find(({ name, database }) => name === 'content' && database === record.name);
  if (part !== undefined) return part;
  throw new HoldfastError(
    'ObjectDamaged',
    `the backup's manifest lists no content of database '${record.name}'`,
    'restore from another backup',
  );
}

function propertiesOf({ name, properties }: DatabaseRecord): DatabaseProperties {
  if (properties !== null) return properties;
  throw new HoldfastError(
    'ObjectDamaged',
    `the backup's manifest lists no properties of database '${name}'`,
    'restore from another backup',
  );
}
