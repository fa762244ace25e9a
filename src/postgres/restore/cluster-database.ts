import { HoldfastError } from '../../domain/errors.ts';
import { besideName } from '../../domain/ids.ts';
import type { DatabaseRecord, Part } from '../../domain/manifest.ts';
import type { Finding, VerificationReport } from '../../domain/restore-report.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { inTransaction } from '../swap/transaction.ts';
import { analyzeDatabase } from './analyze.ts';
import { createCopy, dropCopy, markLoaded, markLoadedStatement, type Copy } from './beside.ts';
import { compressorOf, type ClusterProgress, type ClusterRestoreInput } from './cluster.ts';
import { dumpVersionOf } from './dump-version.ts';
import { load, type LoadReport } from './load.ts';
import { readRestoreMark, type RestoreMark, type Verified } from './mark.ts';
import { giveProperties, publishCopy } from './publish.ts';
import { verifyDatabase } from './verify.ts';

export interface DatabaseRestore extends ClusterRestoreInput {
  readonly record: DatabaseRecord;
  /** In none of the databases that are made or renamed. */
  readonly session: Session;
  readonly progress: (phase: ClusterProgress['phase'], bytes?: number) => void;
}

/**
 * One database of a whole backup: made under a name of its own, loaded, verified, and then given its final name and
 * properties in one go. A copy that differs from the backup is dropped; the report says how it differs.
 */
export async function restoreUnderName(restore: DatabaseRestore): Promise<VerificationReport> {
  const { session, record, run } = restore;
  const finished = await findOurs(session, record.name, run);
  if (finished?.mark.state === 'done') return asBefore(finished.mark);
  const name = besideName(record.name, 'new', run);
  const loaded = await findOurs(session, name, run);
  if (loaded?.mark.state === 'loaded') return publish(restore, loaded.copy, asBefore(loaded.mark));
  const copy = await createCopy(restore.server, session, { run, name, record, owner: null, tablespace: tablespaceOf(record) });
  await restore.failpoint?.('created', record.name);
  let report: VerificationReport;
  try {
    await loadInto(restore, name);
    await restore.failpoint?.('loaded', record.name);
    report = await verify(restore, name, false);
  } catch (error) {
    await dropQuietly(restore, name);
    throw error;
  }
  if (!report.ok) {
    await dropQuietly(restore, name);
    return report;
  }
  restore.progress('analyzing');
  await analyzeDatabase({ ...restore, database: name });
  await markLoaded(session, { name, run, verified: verifiedBy(report) });
  await restore.failpoint?.('verified', record.name);
  return publish(restore, copy, report);
}

/** template1 and postgres: contents in one transaction with the mark that says so, then the properties. */
export async function restoreInPlace(restore: DatabaseRestore): Promise<VerificationReport> {
  const { session, record, run } = restore;
  const { name } = record;
  const found = await findOurs(session, name, run);
  if (found?.mark.state === 'done') return asBefore(found.mark);
  if (found === undefined) {
    await loadInto(restore, name, markLoadedStatement({ name, run }));
    await restore.failpoint?.('loaded', name);
  }
  const report = await verify(restore, name, true);
  restore.progress('analyzing');
  await analyzeDatabase({ ...restore, database: name });
  restore.progress('naming');
  const [row] = await session.query<{ readonly oid: number }>('SELECT oid FROM pg_database WHERE datname = $1::text', [name]);
  const mark = { verified: report.ok ? verifiedBy(report) : null };
  const findings = await inTransaction(session, () =>
    giveProperties(session, { name, oid: row?.oid ?? 0 }, { properties: propertiesOf(record), mark, run }),
  );
  await restore.failpoint?.('named', name);
  return withFindings(report, findings, []);
}

function loadInto(restore: DatabaseRestore, database: string, inOneTransaction?: string): Promise<LoadReport> {
  const { record, manifest, server, tools, signal } = restore;
  const part = contentOf(restore);
  restore.progress('loading', 0);
  return load({
    server,
    tools,
    database,
    signal,
    stored: restore.read(part),
    compressor: compressorOf(restore, part),
    dumpVersion: dumpVersionOf(manifest),
    ...(inOneTransaction === undefined ? {} : { inOneTransaction }),
    onProgress: (bytes) => {
      restore.progress('loading', bytes);
    },
  });
}

async function verify(restore: DatabaseRestore, database: string, othersMayBeThere: boolean): Promise<VerificationReport> {
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

async function publish(restore: DatabaseRestore, copy: Copy, report: VerificationReport): Promise<VerificationReport> {
  const { server, session, record, run, signal } = restore;
  restore.progress('naming');
  const { findings, notes } = await publishCopy(server, session, {
    run,
    copy,
    finalName: record.name,
    properties: propertiesOf(record),
    adopt: true,
    mark: { verified: verifiedBy(report) },
    signal,
  });
  await restore.failpoint?.('named', record.name);
  return withFindings(report, findings, notes);
}

/** A half-made copy takes room that the other databases need. The failure that led here is the one to be told. */
async function dropQuietly({ server, session, run, signal }: DatabaseRestore, name: string): Promise<void> {
  if (signal.aborted) return;
  await dropCopy(server, session, { name, run }).catch(() => undefined);
}

async function findOurs(session: Session, name: string, run: string): Promise<{ copy: Copy; mark: RestoreMark } | undefined> {
  const [row] = await session.query<{ readonly oid: number; readonly comment: string | null }>(
    `SELECT oid, shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1::text`,
    [name],
  );
  const mark = readRestoreMark(row?.comment ?? null);
  return row === undefined || mark?.run !== run ? undefined : { copy: { name, oid: row.oid }, mark };
}

const verifiedBy = ({ tablesCompared, rowsCompared }: VerificationReport): Verified => ({ tables: tablesCompared, rows: rowsCompared });

/** What an earlier attempt found, which is on the mark. */
const asBefore = ({ verified }: RestoreMark): VerificationReport => ({
  ok: true,
  tablesCompared: verified?.tables ?? 0,
  rowsCompared: verified?.rows ?? 0,
  differences: [],
  differenceCount: 0,
  errors: [],
  notes: ['an earlier attempt of this run restored and verified it'],
});

function withFindings(report: VerificationReport, findings: readonly Finding[], notes: readonly string[]): VerificationReport {
  const errors = [...report.errors, ...findings.filter(({ weight }) => weight === 'error')];
  const more = findings.filter(({ weight }) => weight === 'note').map(({ message }) => message);
  return { ...report, ok: report.ok && errors.length === 0, errors, notes: [...report.notes, ...more, ...notes] };
}

const tablespaceOf = ({ tablespace }: DatabaseRecord) => (tablespace === 'pg_default' ? null : tablespace);

function contentOf({ manifest, record }: DatabaseRestore): Part {
  const part = manifest.parts.find(({ name, database }) => name === 'content' && database === record.name);
  if (part !== undefined) return part;
  throw new HoldfastError('ObjectDamaged', `the backup's manifest lists no content of database '${record.name}'`, 'restore from another backup');
}

function propertiesOf({ name, properties }: DatabaseRecord): DatabaseProperties {
  if (properties !== null) return properties;
  throw new HoldfastError('ObjectDamaged', `the backup's manifest lists no properties of database '${name}'`, 'restore from another backup');
}
