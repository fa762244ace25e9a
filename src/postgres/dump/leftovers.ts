import type { Session } from '../connection.ts';

/**
 * Ends every other backend that goes by one of these application names: what a process that was killed has left, a
 * backend that waits for a lock and hasn't noticed. Returns how many.
 * @param database the OID of the only one to look at: others are still being dumped under the same name
 */
export async function endLeftovers(
  session: Session,
  applicationNames: readonly string[],
  database?: number,
): Promise<number> {
  const rows = await session.query<{ readonly ended: boolean }>(
    `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
      WHERE application_name = ANY($1) AND pid <> pg_backend_pid() AND ($2::oid IS NULL OR datid = $2::oid)`,
    [applicationNames, database ?? null],
  );
  return rows.length;
}
