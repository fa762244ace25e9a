import { HoldfastError } from '../../domain/errors.ts';
import { parseHistory, type TimelineHistory } from '../../domain/timeline.ts';
import { historyName, type Lsn } from '../../domain/wal.ts';
import { sqlState } from '../failures.ts';
import type { ReplicationSession } from '../replication/connection.ts';
import type { ResumeFacts } from './resume.ts';
import type { WalSink } from './sink.ts';

/** The server's timeline and where it comes from. */
export interface Past {
  readonly timeline: number;
  readonly history: TimelineHistory;
  /** Where the server's log ends now. */
  readonly end: Lsn;
}

/**
 * Asks the server for its timeline's history and stores it, and those of the timelines before it as far as the server
 * has them, before any segment of these timelines is stored. NameTaken where the archive knows another history.
 */
export async function storePast(
  replication: ReplicationSession,
  sink: WalSink,
  identity: { readonly timeline: number; readonly xlogpos: Lsn },
  signal: AbortSignal,
): Promise<Past> {
  const { timeline, xlogpos: end } = identity;
  if (timeline === 1) return { timeline, history: [], end };
  const content = await fetchHistory(replication, timeline);
  if (content === undefined)
    throw new HoldfastError(
      'PostgresUnavailable',
      `the server is on timeline ${String(timeline)} and has no ${historyName(timeline)} in its pg_wal`,
      "put the file back there from an archive; without it nobody can tell which log the timeline's is the continuation of",
    );
  const history = parseHistory(content.toString('utf8'), historyName(timeline));
  for (const { timeline: before } of history) {
    if (before === 1 || (await sink.history(before)) !== undefined) continue;
    const older = await fetchHistory(replication, before);
    if (older !== undefined) await sink.putHistory(before, older, signal);
  }
  await sink.putHistory(timeline, content, signal);
  return { timeline, history, end };
}

/** undefined: the server has none. */
async function fetchHistory(replication: ReplicationSession, timeline: number): Promise<Buffer | undefined> {
  try {
    const [row] = await replication.command(`TIMELINE_HISTORY ${String(timeline)}`);
    const content = row?.['content'];
    return typeof content === 'string' ? Buffer.from(content) : undefined;
  } catch (error) {
    if (sqlState(error) === '58P01') return undefined;
    throw error;
  }
}

/** What lies in the archive of each timeline of the server's past. */
export async function archivedOf(sink: WalSink, { timeline, history }: Past): Promise<ResumeFacts['archived']> {
  const archived = new Map<number, Awaited<ReturnType<WalSink['timeline']>>>();
  for (const each of [...history.map((left) => left.timeline), timeline]) archived.set(each, await sink.timeline(each));
  return archived;
}
