import type { RecoverSpec } from '../domain/physical-specs.ts';
import type { LiveServer } from '../domain/recovery-facts.ts';
import { withSession } from '../postgres/connection.ts';
import { describeServer } from '../postgres/server.ts';
import { serverOf, type Dependencies } from './dependencies.ts';

/** A cluster's server as it is now; null: it doesn't answer, and a cluster that is lost is what recovery is for. */
export async function readLive(
  deps: Dependencies,
  { source }: RecoverSpec,
  signal: AbortSignal,
): Promise<LiveServer | null> {
  try {
    const server = await serverOf(deps, source);
    return await withSession(server, { signal }, async (session) => {
      const [row] = await session.query<Omit<LiveServer, 'address' | 'tablespaces'>>(
        `SELECT s.system_identifier::text AS "systemIdentifier",
           -- What the control file says lags behind a promotion until the next checkpoint.
           CASE WHEN pg_is_in_recovery() THEN c.timeline_id
             ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
           (CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0')
              ELSE pg_current_wal_flush_lsn() END)::text AS lsn,
           current_setting('data_directory') AS "dataDirectory"
         FROM pg_control_system() s, pg_control_checkpoint() c`,
      );
      const tablespaces = await session.query<LiveServer['tablespaces'][number]>(
        `SELECT spcname::text AS name, pg_tablespace_location(oid) AS location FROM pg_tablespace
          WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1`,
      );
      return row === undefined ? null : { address: describeServer(server), ...row, tablespaces };
    });
  } catch {
    signal.throwIfAborted();
    // The plan says so.
    return null;
  }
}
