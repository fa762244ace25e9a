import { HoldfastError, messageOf } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import type { ServerFacts } from './facts.ts';

/** The backup that an incremental one builds on. */
export interface ParentBackup {
  /** For messages. */
  readonly id: string;
  readonly systemIdentifier: string;
  readonly stopTimeline: number;
  /** Its backup_manifest, unpacked. Read once. */
  readonly readManifest: () => AsyncIterable<Uint8Array>;
}

export type IncrementalObstacle =
  /** PostgreSQL older than 17. */
  | 'version'
  /** summarize_wal is off. */
  | 'summarizeWal'
  /** The parent is of another cluster. */
  | 'systemIdentifier'
  /** The parent's timeline is no past of the server's. */
  | 'timeline'
  /** WAL summaries since the parent are missing. */
  | 'summaries'
  /** The server's own words say. */
  | 'server';

/** No increment of that parent can be taken, now or ever; a full backup can: take one instead. */
export class IncrementalImpossible extends HoldfastError {
  readonly obstacle: IncrementalObstacle;

  constructor(obstacle: IncrementalObstacle, message: string, hint: string, options?: { readonly cause?: unknown }) {
    super('PostgresRefused', message, hint, options);
    this.obstacle = obstacle;
  }
}

/** What can be known before anything is sent. Throws IncrementalImpossible. */
export async function assertIncrementable(session: Session, facts: ServerFacts, parent: ParentBackup): Promise<void> {
  const what = `no increment of base backup ${parent.id} can be taken`;
  const { server, settings } = facts;
  if (server.versionNum < 170_000)
    throw new IncrementalImpossible(
      'version',
      `${what}: the server is PostgreSQL ${server.version}`,
      'incremental backups need PostgreSQL 17; take a full one',
    );
  if (server.systemIdentifier !== parent.systemIdentifier)
    throw new IncrementalImpossible(
      'systemIdentifier',
      `${what}: it is of system ${parent.systemIdentifier}, and the server is ${server.systemIdentifier}`,
      'the cluster was made anew, upgraded, or is another one: take a full backup',
    );
  if (settings['summarize_wal'] !== 'on')
    throw new IncrementalImpossible(
      'summarizeWal',
      `${what}: summarize_wal is ${settings['summarize_wal'] ?? 'unknown'}`,
      'run ALTER SYSTEM SET summarize_wal = on and SELECT pg_reload_conf(); take a full backup, increments of it can follow',
    );
  const timeline = await currentTimeline(session);
  if (parent.stopTimeline > timeline)
    throw new IncrementalImpossible(
      'timeline',
      `${what}: it ended on timeline ${String(parent.stopTimeline)}, and the server is on ${String(timeline)}`,
      'the server went back to an earlier timeline, or is another copy: take a full backup',
    );
}

async function currentTimeline(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly timeline: number }>(
    `SELECT CASE WHEN pg_is_in_recovery()
       THEN (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r)
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline`,
  );
  return row?.timeline ?? 0;
}

/**
 * What the server answered to the manifest, or to the wish for an increment, before it sent anything: everything but
 * trouble that would stop a full backup too.
 */
export function incrementalFailure(error: unknown, parent: ParentBackup): unknown {
  if (error instanceof IncrementalImpossible) return error;
  const state = sqlState(error);
  // Connections, resources, interventions, the server's own files, rights.
  if (state === undefined || /^(08|28|53|57|58)|^42501$/.test(state)) return error;
  const text = messageOf(error);
  const missing = /WAL summar/i.test(text);
  return new IncrementalImpossible(
    missing ? 'summaries' : /timeline/i.test(text) ? 'timeline' : 'server',
    `no increment of base backup ${parent.id} can be taken: ${text}`,
    missing
      ? 'take a full backup; wal_summary_keep_time must be longer than the time between two of them'
      : 'take a full backup',
    { cause: error },
  );
}
