import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';

/**
 * Runs `work` in one transaction: all of it happens, or nothing. What was committed survives a crash of the server,
 * also where `synchronous_commit` is off for everybody else; a stricter value stays. Where the connection breaks during COMMIT nobody can
 * know which without looking again.
 */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
  try {
    await session.query(
      `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`,
    );
    const result = await work();
    await session.query('COMMIT');
    return result;
  } catch (error) {
    // A session that is broken has rolled back already.
    await session.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Proves, in the transaction that used names, that they meant the databases of these OIDs: SQL alters databases by
 * name, and somebody else may have renamed them in between.
 */
export async function assertNames(session: Session, expected: ReadonlyMap<number, string>): Promise<void> {
  const rows = await session.query<{ readonly oid: string; readonly name: string }>(
    'SELECT oid::int8 AS oid, datname AS name FROM pg_database WHERE oid = ANY($1::oid[])',
    [[...expected.keys()]],
  );
  const found = new Map(rows.map(({ oid, name }) => [Number(oid), name]));
  for (const [oid, name] of expected) {
    if (found.get(oid) === name) continue;
    const now = found.get(oid);
    throw new HoldfastError(
      'PlanChanged',
      `database '${name}' is no longer the one with OID ${String(oid)}${now === undefined ? ', which is gone' : `, which is named '${now}' now`}`,
      'somebody renamed or dropped it meanwhile; nothing was exchanged: plan again',
    );
  }
}
