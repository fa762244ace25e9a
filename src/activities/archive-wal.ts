import { setTimeout as sleep } from 'node:timers/promises';
import type { BaseManifest } from '../domain/base-manifest.ts';
import { stateOfBase } from '../domain/base-state.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { BaseSpec, WalSpec } from '../domain/physical-specs.ts';
import { recoveryWindows, type RecoveryWindows } from '../domain/recovery-window.ts';
import type { RunIdentity } from '../domain/run.ts';
import { runLength } from '../domain/wal-archive.ts';
import { formatLsn, parseLsn, segmentName, segmentNumber } from '../domain/wal.ts';
import { receiveWal, type WalGap, type WalReport } from '../postgres/wal/receive.ts';
import { removeSlot } from '../postgres/wal/slot.ts';
import { baseManifestAt, readBases } from '../storage/physical-catalog.ts';
import { WalArchiveStore } from '../storage/wal/archive.ts';
import { isArchived, readArchived } from '../storage/wal/archived.ts';
import { listArchive } from '../storage/wal/list.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { takeOverWal } from './take-over-wal.ts';
import type { FoundGap, StreamedWal, WalHeartbeat } from './wal-heartbeat.ts';
import type { Working } from './working.ts';

export interface StreamWalInput {
  readonly spec: WalSpec;
  readonly run: RunIdentity;
  /** Ends well after so long. */
  readonly durationMs: number;
  /** First missing segments of gaps that somebody knows of already: another one ends it at once. */
  readonly knownGaps: readonly string[];
}

/**
 * Streams a cluster's log into its repository, or takes over what its archive_command leaves, until the time is over, a
 * gap is found, or the worker stops. Whatever happens to it: the next call goes on where the repository ends.
 */
export async function streamWal(deps: Dependencies, input: StreamWalInput, work: Working): Promise<StreamedWal> {
  const { spec, run, durationMs } = input;
  const repository = deps.openRepository(spec.repository);
  await repository.check();
  if (spec.takeOver !== null)
    return takeOverWal(deps, input, spec.takeOver, (log) => walStore(deps, spec, run, log), work);
  // A gap is answered by the workflow, so this ends; what was found is in the result.
  const found = new AbortController();
  let segmentBytesOfLog = 0;
  const server = await serverOf(deps, spec.source);
  const received = await receiveWal({
    server,
    slot: spec.slot,
    sink: (log) => {
      segmentBytesOfLog = log.segmentBytes;
      return walStore(deps, spec, run, log);
    },
    signal: AbortSignal.any([work.signal, found.signal]),
    durationMs,
    maxAgeMs: spec.maxAgeMs,
    onGap: (gap) => {
      if (!input.knownGaps.includes(foundGap(gap, segmentBytesOfLog).firstMissing)) found.abort();
    },
    onReport: (report) => {
      work.report(heartbeatOf(spec, report));
      deps.walReport?.(spec.cluster, report);
    },
    applicationName: `holdfast wal ${spec.cluster}`.slice(0, 63),
  });
  work.signal.throwIfAborted();
  const { systemIdentifier, timeline, archivedLsn, segments, segmentBytes } = received;
  return {
    systemIdentifier,
    timeline,
    archivedLsn: archivedLsn === null ? null : formatLsn(archivedLsn),
    segments,
    gaps: received.gaps.map((gap) => foundGap(gap, segmentBytes)),
  };
}

/** The log of one system, as this run writes it. */
export const walStore = (
  deps: Dependencies,
  spec: Pick<WalSpec, 'repository' | 'cluster'>,
  run: RunIdentity,
  log: { readonly systemIdentifier: string; readonly segmentBytes: number },
) =>
  new WalArchiveStore({
    ...log,
    repository: deps.openRepository(spec.repository),
    cluster: spec.cluster,
    compressors: deps.compressors,
    compression: deps.compressors.zstd === undefined ? 'gzip' : 'zstd',
    run: run.short,
  });

const foundGap = ({ timeline, from, to }: WalGap, segmentBytes: number): FoundGap => ({
  firstMissing: segmentName(timeline, segmentNumber(from, segmentBytes), segmentBytes),
  lastMissing: segmentName(timeline, segmentNumber(to - 1n, segmentBytes), segmentBytes),
});

const heartbeatOf = (spec: WalSpec, report: WalReport): WalHeartbeat => ({
  doing: `streaming the log of ${spec.cluster}`,
  archivedLsn: report.archivedLsn === null ? null : formatLsn(report.archivedLsn),
  lagBytes: report.lagBytes,
  lagSeconds: report.lagSeconds,
  retentionLeftBytes: report.slot?.safeWalBytes ?? null,
  warnings: report.warnings,
});

/** Drops the replication slot of an archive that nobody wants any more. One that isn't there is no error. */
export async function removeWalSlot(deps: Dependencies, { spec }: { readonly spec: WalSpec }): Promise<void> {
  if (spec.takeOver === null) await removeSlot(await serverOf(deps, spec.source), spec.slot);
}

/** What the archive is good for right now. */
export interface WalAuditResult {
  /** With the newest fifty base backups of each system: histories are no place for more. */
  readonly windows: RecoveryWindows;
  /** Of the newest system, between stretches of log. */
  readonly gaps: readonly FoundGap[];
  /** The newest stretch has a base backup: recovery can reach the present. */
  readonly reachesPresent: boolean;
}

/** Reads the names of the archive and the manifests of the base backups. Changes nothing. */
export async function auditWal(
  deps: Dependencies,
  { spec }: { readonly spec: WalSpec },
  { signal }: Pick<Working, 'signal'>,
): Promise<WalAuditResult> {
  const repository = deps.openRepository(spec.repository);
  const { bases } = await readBases(repository, spec.cluster);
  const archives = await readArchived(repository, spec.cluster, signal);
  const windows = recoveryWindows({ cluster: spec.cluster, bases, archives });
  const [newest] = windows.systems;
  const newestEnd = newest?.unreachable.at(-1)?.to;
  const lastWindow = newest?.windows.at(-1);
  return {
    windows: { ...windows, systems: windows.systems.map((system) => ({ ...system, bases: system.bases.slice(-50) })) },
    gaps: (newest?.gaps ?? []).map(({ firstMissing, lastMissing }) => ({ firstMissing, lastMissing })),
    reachesPresent:
      lastWindow !== undefined &&
      !lastWindow.alone &&
      (newestEnd === undefined || isBefore(newestEnd, lastWindow.to.lsn)),
  };
}

const isBefore = (a: string, b: string) => parseLsn(a) < parseLsn(b);

const awaitMs = 15 * 60_000;
const pauseMs = 1_000;

/** Waits until the log that makes a base backup consistent is archived. WalMissing when it isn't in time. */
export async function awaitWal(
  deps: Dependencies,
  { spec, manifestKey }: { readonly spec: BaseSpec; readonly manifestKey: string },
  { signal, report }: Working,
): Promise<{ readonly segments: number }> {
  const repository = deps.openRepository(spec.repository);
  const manifest = await baseManifestAt(repository, manifestKey);
  const { cluster, id, server, stopTimeline } = manifest;
  const { systemIdentifier, segmentBytes } = server;
  const first = segmentNumber(parseLsn(manifest.startLsn), segmentBytes);
  const last = segmentNumber(parseLsn(manifest.stopLsn) - 1n, segmentBytes);
  const name = segmentName(stopTimeline, last, segmentBytes);
  const deadline = performance.now() + awaitMs;
  report({ doing: `waiting for the log of ${id}` });
  while (!(await isArchived(repository, { cluster, systemIdentifier, timeline: stopTimeline, segment: name }))) {
    if (performance.now() > deadline) throw walMissing(manifest, `${name} is not archived`);
    await sleep(pauseMs, undefined, { signal });
  }
  const { bases } = await readBases(repository, cluster);
  const base = bases.find((one) => one.manifestKey === manifestKey);
  const archive = await listArchive(repository, cluster, systemIdentifier, signal);
  const state = base && stateOfBase(archive, bases, base);
  if (state?.state === 'broken') throw walMissing(manifest, state.reason);
  return { segments: runLength({ first, last }) };
}

const walMissing = ({ id, cluster }: BaseManifest, reason: string) =>
  new HoldfastError(
    'WalMissing',
    `base backup ${id} can't be recovered from: ${reason}`,
    `see that the archive of cluster ${cluster} runs ('holdfast status'): the backup is good as soon as its log has arrived`,
  );
