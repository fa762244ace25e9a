import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';

export interface WatchOptions {
  readonly database: string;
  /** The database's. */
  readonly oid: number;
  /** Ends the watch, within a moment. */
  readonly over: AbortSignal;
  /** Bytes that the database takes, every few seconds. */
  readonly onSize: (bytes: number) => void;
}

const turnsPerLook = 10;

/**
 * Sits in the database while pg_restore, whose processes connect by its name, fills it: rejects within a moment when the
 * database is dropped, renamed, or its server goes away. Resolves when it is over.
 * @param session in the database
 */
export async function watchDatabase(session: Session, options: WatchOptions): Promise<void> {
  const { over, onSize } = options;
  for (let turn = 0; !over.aborted; turn += 1) {
    // A session that is ended while it sleeps knows at once.
    await session.query('SELECT pg_sleep(0.1)');
    await assertSame(session, options);
    if (turn % turnsPerLook !== 0) continue;
    const [row] = await session.query<{ readonly bytes: string }>('SELECT pg_database_size($1::oid)::text AS bytes', [
      options.oid,
    ]);
    onSize(Number(row?.bytes ?? 0));
  }
}

/** PlanChanged unless the database of this OID, in which the session is, still bears the name. */
export async function assertSame(
  session: Session,
  { database, oid }: Pick<WatchOptions, 'database' | 'oid'>,
): Promise<void> {
  const [found] = await session.query<{ readonly name: string; readonly here: boolean }>(
    'SELECT datname::text AS name, datname = current_database() AS here FROM pg_database WHERE oid = $1::oid',
    [oid],
  );
  if (found?.here === true && found.name === database) return;
  throw new HoldfastError(
    'PlanChanged',
    `database '${database}' was not loaded: another database bears the name now`,
    'another attempt is at work',
  );
}

export async function ownOid(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly oid: number }>(
    'SELECT oid FROM pg_database WHERE datname = current_database()',
  );
  return row?.oid ?? 0;
}

/**
 * The load ran with synchronous_commit off; a commit that writes something of its own, with it on, makes everything
 * before it durable.
 */
export const makeDurable = (session: Session) =>
  session.query(`SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'holdfast', 'loaded')`);
