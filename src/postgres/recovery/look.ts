import type { Session } from '../connection.ts';

export interface Look {
  readonly inRecovery: boolean;
  /** 'not paused' | 'pause requested' | 'paused'; null once it isn't in recovery. */
  readonly pauseState: string | null;
  /** End of the last record that was replayed; null: none was yet, or not in recovery. */
  readonly lsn: string | null;
  /** Commit time of the last transaction replayed since the server's start, in UTC with microseconds. */
  readonly lastTransactionTime: string | null;
}

interface Row {
  readonly in_recovery: boolean;
  readonly pause_state: string | null;
  readonly lsn: string | null;
  readonly last: string | null;
}

const question = `SELECT r.in_recovery,
    CASE WHEN r.in_recovery THEN pg_catalog.pg_get_wal_replay_pause_state() END AS pause_state,
    pg_catalog.pg_last_wal_replay_lsn()::text AS lsn,
    pg_catalog.to_char(pg_catalog.pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC',
      'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery) AS r`;

/** Where a recovering instance stands. */
export async function lookAt(session: Session): Promise<Look> {
  const [row] = await session.query<Row>(question);
  return {
    inRecovery: row?.in_recovery ?? false,
    pauseState: row?.pause_state ?? null,
    lsn: row?.lsn ?? null,
    lastTransactionTime: row?.last ?? null,
  };
}
