import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';

export interface Snapshot {
  /** For `pg_dump --snapshot`; valid while the session's transaction lasts. */
  readonly id: string;
  /** The server's time at which it was taken, ISO. */
  readonly at: string;
}

/** How long a count waits for a lock: who waits before it is waited for by pg_dump's readers already. */
const countLockTimeout = '1s';

/**
 * Begins a transaction that sees one state of the database, and exports that. Works on a standby too. Fails with
 * PostgresRefused where the session is with another server than expected.
 */
export async function beginSnapshot(session: Session, systemIdentifier: string): Promise<Snapshot> {
  await assertSameServer(session, systemIdentifier);
  const [row] = await session.query<{ readonly id: string; readonly at: Date }>(
    `BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
     SET LOCAL lock_timeout = '${countLockTimeout}';
     SET LOCAL max_parallel_workers_per_gather = 0;
     SET LOCAL jit = off;
     SELECT pg_export_snapshot() AS id, clock_timestamp() AS at`,
  );
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  return { id: row.id, at: row.at.toISOString() };
}

/** A host name may come to mean another server while a dump runs; one backup holds one server only. */
export async function assertSameServer(session: Session, systemIdentifier: string): Promise<void> {
  const [row] = await session.query<{ readonly system: string }>(
    'SELECT system_identifier::text AS system FROM pg_control_system()',
  );
  if (row?.system === systemIdentifier) return;
  throw new HoldfastError(
    'PostgresRefused',
    `the address leads to another server since the dump began: system identifier ${row?.system ?? 'unknown'}, before ${systemIdentifier}`,
    'check what the host name means; a backup holds one server only',
  );
}
