import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../domain/errors.ts';
import { formatBytes } from '../domain/format.ts';
import type { WalSpec } from '../domain/physical-specs.ts';
import { formatLsn, parseLsn } from '../domain/wal.ts';
import { withSession } from '../postgres/connection.ts';
import type { Server } from '../postgres/server.ts';
import { takeOverDirectory, type TakeOverResult } from '../postgres/wal/take-over.ts';
import type { WalArchiveStore } from '../storage/wal/archive.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import type { StreamedWal, WalHeartbeat } from './wal-heartbeat.ts';
import type { Working } from './working.ts';

const pauseMs = 5_000;
/** A directory with less than this share free is about to stop its server. */
const leastFree = 0.1;

/**
 * Moves what a cluster's archive_command leaves in a directory into the repository, until the time is over. What can't
 * be taken stays where it is and is told of.
 */
export async function takeOverWal(
  deps: Dependencies,
  { spec, durationMs }: { readonly spec: WalSpec; readonly durationMs: number },
  { directory, keep }: NonNullable<WalSpec['takeOver']>,
  storeOf: (log: { readonly systemIdentifier: string; readonly segmentBytes: number }) => WalArchiveStore,
  { signal, report }: Working,
): Promise<StreamedWal> {
  const server = await serverOf(deps, spec.source);
  const log = await readLog(server, signal);
  const sink = storeOf(log);
  await sink.sweep();
  const deadline = performance.now() + durationMs;
  let archivedLsn: string | null = null;
  let segments = 0;
  while (performance.now() < deadline) {
    const taken = await takeOverDirectory({
      ...{ directory, sink, keep, signal },
      segmentBytes: log.segmentBytes,
      compressors: deps.compressors,
    });
    segments += taken.segments;
    archivedLsn = taken.takenLsn === null ? archivedLsn : formatLsn(taken.takenLsn);
    report(await heartbeatOf(spec, server, archivedLsn, taken, signal));
    await sleep(pauseMs, undefined, { signal });
  }
  return { systemIdentifier: log.systemIdentifier, timeline: log.timeline, archivedLsn, segments, gaps: [] };
}

async function readLog(server: Server, signal: AbortSignal) {
  const [row] = await withSession(server, { signal }, (session) =>
    session.query<{ readonly systemIdentifier: string; readonly segmentBytes: string; readonly timeline: number }>(
      `SELECT s.system_identifier::text AS "systemIdentifier", c.timeline_id AS timeline,
         pg_size_bytes(current_setting('wal_segment_size'))::text AS "segmentBytes"
       FROM pg_control_system() s, pg_control_checkpoint() c`,
    ),
  );
  if (row === undefined)
    throw new HoldfastError('Unexpected', 'the server tells nothing of its control file', 'report this as a bug');
  return { ...row, segmentBytes: Number(row.segmentBytes) };
}

/** Where the server's log ends; null: it doesn't answer, and what it has left is taken all the same. */
async function endOfLog(server: Server, signal: AbortSignal): Promise<{ lsn: string; ageSeconds: number } | null> {
  try {
    const [row] = await withSession(server, { signal }, (session) =>
      session.query<{ readonly lsn: string; readonly age: number | null }>(
        `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text AS lsn,
           extract(epoch FROM clock_timestamp() - (SELECT last_archived_time FROM pg_stat_archiver))::float8 AS age`,
      ),
    );
    return row === undefined ? null : { lsn: row.lsn, ageSeconds: row.age ?? 0 };
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

async function heartbeatOf(
  spec: WalSpec,
  server: Server,
  archivedLsn: string | null,
  { left, leftCount, freeBytes, totalBytes, toDo }: TakeOverResult,
  signal: AbortSignal,
): Promise<WalHeartbeat> {
  const end = await endOfLog(server, signal);
  const lag = end === null || archivedLsn === null ? 0n : parseLsn(end.lsn) - parseLsn(archivedLsn);
  const wrong = left.filter(({ type }) => type !== 'waiting');
  return {
    doing: `taking over the log of ${spec.cluster}`,
    archivedLsn,
    lagBytes: Number(lag > 0n ? lag : 0n),
    lagSeconds: end?.ageSeconds ?? 0,
    retentionLeftBytes: freeBytes,
    warnings: [
      ...(freeBytes < leastFree * totalBytes
        ? [
            `${spec.takeOver?.directory ?? ''} has ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free: a full one stops the server`,
          ]
        : []),
      ...wrong.slice(0, 5).map(({ name, reason }) => `${name} stays: ${reason}`),
      ...(leftCount > 5
        ? [`${String(leftCount)} files stay where they are, ${String(toDo)} are still to be looked at`]
        : []),
    ],
  };
}
