import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { besideName } from '../../domain/ids.ts';
import type { DatabaseRecord } from '../../domain/manifest.ts';
import type { ClusterReport, GlobalsReport, RestoredDatabase } from '../../domain/restore-report.ts';
import { jobsFor, Slots } from '../archive/slots.ts';
import { quoteIdent, quoteLiteral, withSession, type Server, type Session } from '../connection.ts';
import { connectBeside, dropCopy } from './beside.ts';
import { restoreInPlace, restoreUnderName, type DatabaseRestore } from './cluster-database.ts';
import { compressorOf, type ClusterProgress, type ClusterRestoreInput } from './cluster-input.ts';
import { assertReadable, dumpVersionOf } from './dump-version.ts';
import { applyGlobals, planGlobals, readGlobalsTarget } from './globals.ts';
import { readRestoreMark } from './mark.ts';
import { memberText } from './member.ts';
import { lookAround, occupants, systemDatabases, type Occupant } from './occupants.ts';
import { asideName, dropAside } from './publish.ts';
import { splitStatements } from './statements.ts';

export type { ClusterFailpoint, ClusterProgress, ClusterRestoreInput } from './cluster-input.ts';

/**
 * Restores a whole backup into an empty cluster: roles and tablespaces, then each database under a name of its own,
 * verified, and under its final name only when it is whole and equal. Empty databases of the backup's names give way;
 * template1, and a postgres that isn't empty, get their contents in one transaction. A database that fails is reported
 * and doesn't stop the others.
 *
 * Can be killed anywhere and called again with the same run: what is whole is kept, what was half made is made anew.
 * Marks in the databases' comments tell; `finishCluster` takes them away once the result is recorded.
 *
 * Rejects with TargetNotEmpty (nothing was touched), ToolTooOld, ObjectDamaged (the globals), or where nothing more
 * can work: PostgresUnavailable, Store…, the signal's reason.
 */
export async function restoreCluster(input: ClusterRestoreInput): Promise<ClusterReport> {
  assertReadable(input.tools, dumpVersionOf(input.manifest));
  // Nobody's data is in template0: it is what the others are made from.
  const records = input.manifest.databases.filter(({ name }) => name !== 'template0');
  const progress = new Progress(input, records.length);
  const users = records.map(({ name }) => name).filter((name) => !systemDatabases.includes(name));
  const { present, globals } = await inSessionBeside(input, users, async (session) => {
    const found = await assertEmpty(input, session);
    progress.report('globals', null);
    return { present: found, globals: await restoreGlobals(input, session) };
  });
  await input.failpoint?.('globals', null);
  const databases = await restoreAll(input, records, present, progress);
  return { ok: isWhole(globals, databases), globals, databases };
}

/**
 * The databases that initdb made first and one by one: the sessions from which the others are made sit in them. Then the
 * others, the largest first, as many at once as there are jobs for. In the order of the records.
 */
async function restoreAll(
  input: ClusterRestoreInput,
  records: readonly DatabaseRecord[],
  present: ReadonlyMap<string, Occupant>,
  progress: Progress,
): Promise<RestoredDatabase[]> {
  const { run, jobs = 1 } = input;
  const failed = new AbortController();
  const signal = AbortSignal.any([input.signal, failed.signal]);
  const found = new Map<string, RestoredDatabase>();
  // Whoever renames a database must not sit in it, and nobody else may.
  const namesOf = ({ name }: DatabaseRecord) => [name, besideName(name, 'new', run), asideName(name, run)];
  const one = async (record: DatabaseRecord, avoid: readonly string[], taken: number) => {
    const { name } = record;
    const restored = await inSessionBeside({ ...input, signal }, avoid, (session) =>
      restoreOne({ ...input, signal, session, record, jobs: taken, progress: progress.of(name) }, present),
    );
    found.set(name, restored);
    progress.databaseDone(name);
  };
  const alone = records.filter(({ name }) => jobs === 1 || systemDatabases.includes(name));
  for (const record of alone) await one(record, namesOf(record), jobs);
  const abreast = records.filter((record) => !alone.includes(record)).sort((a, b) => b.bytes - a.bytes);
  const avoid = abreast.flatMap(namesOf);
  const slots = new Slots(jobs);
  let remaining = abreast.reduce((sum, { bytes }) => sum + bytes, 0);
  const running = new Set<Promise<void>>();
  for (const record of abreast) {
    const taken = await slots.take((free) => jobsFor(record.bytes, remaining, jobs, free));
    if (signal.aborted) break;
    remaining -= record.bytes;
    const restoring = one(record, avoid, taken)
      .catch((error: unknown) => {
        failed.abort(error);
      })
      .finally(() => {
        slots.give(taken);
        running.delete(restoring);
      });
    running.add(restoring);
  }
  await Promise.all(running);
  signal.throwIfAborted();
  return records.flatMap(({ name }) => found.get(name) ?? []);
}

async function inSessionBeside<T>(
  { server, run, signal }: ClusterRestoreInput,
  avoid: readonly string[],
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connectBeside(server, avoid, { applicationName: `holdfast restore ${run}`, signal });
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

const isWhole = (globals: GlobalsReport, databases: readonly RestoredDatabase[]) =>
  globals.errors.count === 0 &&
  databases.every(({ status, report }) => status === 'skipped' || (status === 'restored' && report?.ok === true));

/** The databases that are there, by name. */
async function assertEmpty(
  { server, manifest, run }: ClusterRestoreInput,
  session: Session,
): Promise<ReadonlyMap<string, Occupant>> {
  const found = await lookAround(server, session, run);
  const { occupied } = occupants(
    found,
    manifest.databases.map(({ name }) => name),
  );
  if (occupied.length > 0) {
    const listed = occupied.slice(0, 5).map(({ name, holds }) => `'${name}' holds ${holds}`);
    throw new HoldfastError(
      'TargetNotEmpty',
      `the target is not empty: ${listed.join('; ')}${occupied.length > 5 ? `; and ${String(occupied.length - 5)} more databases` : ''}`,
      'restore a whole cluster into an empty one, or its databases one by one',
    );
  }
  return new Map(found.map((occupant) => [occupant.name, occupant]));
}

async function restoreGlobals(input: ClusterRestoreInput, session: Session): Promise<GlobalsReport> {
  const { manifest, read, signal } = input;
  const part = manifest.parts.find(({ name }) => name === 'globals');
  if (part === undefined) throw missing('globals');
  const text = await memberText(read(part), compressorOf(input, part), signal);
  const target = await readGlobalsTarget(session);
  return applyGlobals(session, planGlobals(splitStatements(text), target), target, signal);
}

async function restoreOne(restore: DatabaseRestore, present: ReadonlyMap<string, Occupant>): Promise<RestoredDatabase> {
  const { record, signal, server } = restore;
  const { name } = record;
  if (record.status !== 'dumped') {
    return { name, status: 'skipped', reason: record.reason ?? record.status, seconds: 0, report: null };
  }
  const begin = performance.now();
  const inPlace = goesInPlace(record, present.get(name));
  try {
    const { report, kept } = inPlace ? await restoreInPlace(restore) : await restoreUnderName(restore);
    const seconds = (performance.now() - begin) / 1000;
    if (kept) return { name, status: 'restored', reason: null, seconds, report };
    return {
      name,
      status: 'failed',
      reason: 'what was loaded differs from the backup, and was dropped',
      seconds,
      report,
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof HoldfastError) || error.type.startsWith('Store')) throw error;
    // If it is the server that failed, the others fail too: then this throws, and a later attempt goes on.
    await withSession(server, { signal }, () => Promise.resolve());
    const seconds = (performance.now() - begin) / 1000;
    return { name, status: 'failed', reason: `${messageOf(error)} (${error.hint})`, seconds, report: null };
  }
}

/**
 * template1 can't be exchanged for another. An empty postgres can, like any other database; one in which an image or
 * an operator keeps things gets its contents beside these. So does one whose properties the backup doesn't tell: it keeps
 * those that it has.
 */
const goesInPlace = ({ name, properties }: DatabaseRecord, found: Occupant | undefined) =>
  found !== undefined &&
  (name === 'template1' ||
    (name === 'postgres' && (properties === null || found.holds !== null || found.mark?.state === 'loaded')));

interface Marked {
  readonly name: string;
  readonly comment: string | null;
  readonly encoding: string;
}

/**
 * Takes this run's marks off the restored databases, once their result is on record; from then on the run can't be
 * gone on with. Done twice is done once.
 */
export async function finishCluster(server: Server, { run }: { readonly run: string }): Promise<void> {
  const applicationName = `holdfast restore ${run}`;
  await withSession(server, { applicationName }, async (session) => {
    const databases = await session.query<Marked>(
      `SELECT datname::text AS name, shobj_description(oid, 'pg_database') AS comment,
          pg_encoding_to_char(encoding)::text AS encoding
         FROM pg_database ORDER BY oid`,
    );
    for (const { name, comment, encoding } of databases) {
      const mark = readRestoreMark(comment);
      if (mark?.run !== run || mark.state !== 'done') continue;
      const own = mark.comment === null ? 'NULL' : quoteLiteral(mark.comment);
      const statement = `COMMENT ON DATABASE ${quoteIdent(name)} IS ${own}`;
      // A comment is kept in the encoding of the database in which it is made, and people read it in its own.
      if (encoding === 'UTF8') await session.query(statement);
      else await withSession(server, { database: name, applicationName }, (inside) => inside.query(statement));
    }
  });
}

/**
 * Drops what a run that is given up has half made: copies that don't bear their final names, and empty databases that
 * it put aside. What it has restored already stays, and loses its marks.
 */
export async function abandonCluster(server: Server, { run }: { readonly run: string }): Promise<void> {
  await withSession(server, { applicationName: `holdfast restore ${run}` }, async (session) => {
    for (const { name, mark } of await lookAround(server, session, run)) {
      if (mark === undefined || systemDatabases.includes(name)) continue;
      if (mark.state === 'aside') await dropAside(server, session, name, run);
      else if (mark.state !== 'done') await dropCopy(server, session, { name, run });
    }
  });
  await finishCluster(server, { run });
}

const missing = (what: string) =>
  new HoldfastError('ObjectDamaged', `the backup's manifest lists no ${what}`, 'restore from another backup');

class Progress {
  readonly #input: ClusterRestoreInput;
  readonly #totalBytes: number;
  readonly #databasesTotal: number;
  /** Of each database: its contents' bytes that are in. */
  readonly #bytes = new Map<string, number>();
  #allBytes = 0;
  #databasesDone = 0;

  constructor(input: ClusterRestoreInput, databasesTotal: number) {
    this.#input = input;
    this.#databasesTotal = databasesTotal;
    const contents = input.manifest.parts.filter(({ name }) => name === 'content');
    this.#totalBytes = contents.reduce((sum, { length }) => sum + length, 0);
  }

  report(phase: ClusterProgress['phase'], database: string | null): void {
    this.#input.onProgress?.({
      phase,
      database,
      bytes: this.#allBytes,
      totalBytes: this.#totalBytes,
      databasesDone: this.#databasesDone,
      databasesTotal: this.#databasesTotal,
    });
  }

  of(database: string): (phase: ClusterProgress['phase'], bytes?: number) => void {
    return (phase, bytes) => {
      if (bytes !== undefined) this.#count(database, bytes);
      this.report(phase, database);
    };
  }

  /** Also where an earlier attempt had read its bytes. */
  databaseDone(name: string): void {
    const content = this.#input.manifest.parts.find((part) => part.name === 'content' && part.database === name);
    this.#count(name, content?.length ?? 0);
    this.#databasesDone += 1;
  }

  #count(database: string, bytes: number): void {
    this.#allBytes += bytes - (this.#bytes.get(database) ?? 0);
    this.#bytes.set(database, bytes);
  }
}
