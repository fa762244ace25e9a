import { HoldfastError, messageOf } from '../../domain/errors.ts';
import type {
  DatabaseProperties,
  PropertyDifference,
  SwapInput,
  SwapMark,
  SwapTarget,
} from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { quoteIdent } from '../quote.ts';
import { compareProperties, describeDifference, isEffect } from './differences.ts';
import { readMark, writeMark } from './mark.ts';
import { commentStatement, propertyStatements } from './property-statements.ts';
import { readPropertiesByOid } from './properties.ts';
import { assertNames, inTransaction } from './transaction.ts';

/**
 * The three changes that a swap is made of. Each is one transaction that names databases, and proves before its
 * COMMIT that the names meant the right OIDs.
 */

const allow = (database: string, allowed: boolean) =>
  `ALTER DATABASE ${quoteIdent(database)} ALLOW_CONNECTIONS ${String(allowed)}`;

export const closeStatements = ({ liveName, copyName }: SwapTarget) => [allow(liveName, false), allow(copyName, false)];

/** In this order, or the second would find its name taken. */
export const renameStatements = ({ liveName, copyName, oldName }: SwapTarget) => [
  `ALTER DATABASE ${quoteIdent(liveName)} RENAME TO ${quoteIdent(oldName)}`,
  `ALTER DATABASE ${quoteIdent(copyName)} RENAME TO ${quoteIdent(liveName)}`,
];

export const openStatements = ({ liveName }: SwapTarget) => [allow(liveName, true)];

const namesBefore = ({ liveOid, liveName, copyOid, copyName }: SwapTarget) =>
  new Map([
    [liveOid, liveName],
    [copyOid, copyName],
  ]);
const namesAfter = ({ liveOid, liveName, copyOid, oldName }: SwapTarget) =>
  new Map([
    [liveOid, oldName],
    [copyOid, liveName],
  ]);

async function runAll(session: Session, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await session.query(statement);
}

/**
 * For this transaction. Another session may sit on the row of a database in an open transaction, and a COMMIT waits
 * for a synchronous standby for ever, seen by nobody; cut short, it is committed here.
 */
export async function boundWaits(session: Session): Promise<void> {
  await session.query(`SELECT set_config('lock_timeout', '5s', true), set_config('statement_timeout', '30s', true)`);
}

/** Server's clock, milliseconds since 1970. */
export async function serverClock(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly now: number }>(
    'SELECT round(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  return row?.now ?? Number.NaN;
}

/** The comment with its mark, if it has one. */
async function rawComment(session: Session, oid: number): Promise<string | null> {
  const [row] = await session.query<{ readonly comment: string | null }>(
    `SELECT shobj_description($1::oid, 'pg_database') AS comment`,
    [oid],
  );
  return row?.comment ?? null;
}

/** Neither of the two takes connections after this, and the copy says since when. */
export async function close(session: Session, target: SwapTarget, mark: SwapMark): Promise<void> {
  await persistently(collided, () =>
    inTransaction(session, async () => {
      await boundWaits(session);
      const { comment } = readMark(await rawComment(session, target.copyOid));
      await runAll(session, closeStatements(target));
      await session.query(commentStatement(target.copyName, writeMark(mark, comment)));
      await assertNames(session, namesBefore(target));
    }),
  );
}

/** The live database takes connections as before, and the copy is as it was. */
export async function reopen(session: Session, target: SwapTarget, mark: SwapMark): Promise<void> {
  await persistently(mayPass, () =>
    inTransaction(session, async () => {
      await boundWaits(session);
      const { comment } = readMark(await rawComment(session, target.copyOid));
      await runAll(session, [allow(target.liveName, true), allow(target.copyName, mark.copyWasOpen)]);
      await session.query(commentStatement(target.copyName, comment));
      await assertNames(session, namesBefore(target));
    }),
  );
}

/** As reopen, when the copy isn't there any more. */
export async function reopenAlone(session: Session, { liveName, liveOid }: SwapTarget): Promise<void> {
  await persistently(mayPass, () =>
    inTransaction(session, async () => {
      await boundWaits(session);
      await session.query(allow(liveName, true));
      await assertNames(session, new Map([[liveOid, liveName]]));
    }),
  );
}

/**
 * Gives the copy its properties and exchanges the names, all at once or not at all.
 * @param waitMs for sessions and locks that are still there; longer fails, and may be tried again
 * @param beforeCommit for tests: when everything is done and nothing visible
 * @returns what of the properties is recorded otherwise, though nobody would notice
 */
export async function rename(
  session: Session,
  input: SwapInput,
  waitMs: number,
  beforeCommit: () => Promise<void>,
): Promise<readonly PropertyDifference[]> {
  return inTransaction(session, async () => {
    await session.query(`SELECT set_config('statement_timeout', $1, true)`, [
      `${String(Math.max(1, Math.ceil(waitMs)))}ms`,
    ]);
    const differences = await carryProperties(session, input);
    await runAll(session, renameStatements(input));
    await assertNames(session, namesAfter(input));
    await assertMarked(session, input);
    await beforeCommit();
    // Not the short time of an attempt: waiting for a synchronous standby counts as well.
    await boundWaits(session);
    return differences;
  });
}

/** Without its mark nobody would know after a crash that the new live database still has to be opened. */
async function assertMarked(session: Session, { copyOid, copyName }: SwapTarget): Promise<void> {
  if (readMark(await rawComment(session, copyOid)).mark !== null) return;
  throw new HoldfastError(
    'SwapFailed',
    `somebody changed the comment of '${copyName}' during the swap`,
    'the live database is as it was; start the swap again',
  );
}

async function carryProperties(session: Session, input: SwapInput): Promise<readonly PropertyDifference[]> {
  if (input.properties === 'keep') return [];
  const wanted: DatabaseProperties =
    input.properties === 'live' ? await readPropertiesByOid(session, input.liveOid) : input.properties;
  const raw = await rawComment(session, input.copyOid);
  const { mark } = readMark(raw);
  // The mark stays where it is until the databases are opened.
  const marked = mark === null ? wanted : { ...wanted, comment: writeMark(mark, wanted.comment) };
  const current = { ...(await readPropertiesByOid(session, input.copyOid)), comment: raw };
  for (const statement of propertyStatements(input.copyName, current, marked))
    await runProperty(session, input, statement);
  const differences = compareProperties(wanted, await readPropertiesByOid(session, input.copyOid));
  const effects = differences.filter(isEffect);
  if (effects.length > 0) {
    throw new HoldfastError(
      'SwapFailed',
      `the copy '${input.copyName}' can't be given all that '${input.liveName}' has: ${effects.map(describeDifference).join('; ')}`,
      'nothing was exchanged; settle this on the live database or on the copy by hand, and start the swap again',
    );
  }
  return differences;
}

/** Invalid grantor or role, data, missing privileges, names that mean nothing: no second try makes these better. */
const refusedClasses: readonly string[] = ['0L', '0P', '22', '2B', '42'];

async function runProperty(session: Session, { copyName, liveName }: SwapTarget, statement: string): Promise<void> {
  try {
    await session.query(statement);
  } catch (error) {
    if (!refusedClasses.includes(sqlState(error)?.slice(0, 2) ?? '')) throw error;
    throw new HoldfastError(
      'SwapFailed',
      `the copy '${copyName}' can't be given what '${liveName}' has: ${statement}: ${messageOf(error)}`,
      'nothing was exchanged; settle this on the live database or on the copy by hand, and start the swap again',
      { cause: error },
    );
  }
}

/** The database under the live name takes connections, and its comment is its own again. The server's clock then. */
export async function open(session: Session, target: SwapTarget): Promise<number> {
  await persistently(mayPass, () =>
    inTransaction(session, async () => {
      await boundWaits(session);
      const { comment } = readMark(await rawComment(session, target.copyOid));
      await runAll(session, openStatements(target));
      await session.query(commentStatement(target.liveName, comment));
      await assertNames(session, namesAfter(target));
    }),
  );
  return serverClock(session);
}

/**
 * A deadlock, serialization, and another transaction that changed the same row of a system catalog a moment ago,
 * which has no SQLSTATE of its own ("tuple concurrently updated"): trying again doesn't make an internal error worse.
 */
const colliding: readonly string[] = ['40P01', '40001', 'XX000'];

/** In use; ended by a time-out of our own, for a statement or a lock. */
const waiting: readonly string[] = ['55006', '57014', '55P03'];

const has = (states: readonly string[]) => (error: unknown) => states.includes(sqlState(error) ?? '');
const collided = has(colliding);

/** Whether the same statement may succeed once somebody else has finished or was ended. */
export const mayPass = has([...colliding, ...waiting]);

/** Makes a change again that fails with something that may pass, a few times. */
async function persistently(passes: (error: unknown) => boolean, change: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await change();
      return;
    } catch (error) {
      if (attempt >= 5 || !passes(error)) throw error;
    }
  }
}
