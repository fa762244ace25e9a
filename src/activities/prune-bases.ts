import { judgePhysical, removalOrder, type PhysicalFacts } from '../domain/physical-retention.ts';
import type { BaseSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { segmentNames, type TimelineRun } from '../domain/timeline-path.ts';
import { walHistoryKey, walSegmentKey, type Archived } from '../domain/wal-archive.ts';
import { parseSegmentName } from '../domain/wal.ts';
import type { WalRange, WalVerdict } from '../domain/wal-retention.ts';
import { readBases } from '../storage/physical-catalog.ts';
import type { Repository } from '../storage/repository.ts';
import { readArchived } from '../storage/wal/archived.ts';
import { finishRemoval, readTombstone, removeBackup, unbelievable, unlessLocked } from './burying.ts';
import type { Dependencies } from './dependencies.ts';
import { sweepStale } from './prune-backups.ts';
import type { Working } from './working.ts';

export interface PruneBasesInput {
  readonly spec: BaseSpec;
  readonly run: RunIdentity;
  /** Backups that recoveries are reading: id and workflow id. */
  readonly inUse: readonly (readonly [backup: string, workflowId: string])[];
  readonly dryRun: boolean;
}

export interface PrunedBases {
  readonly removed: readonly string[];
  readonly kept: number;
  readonly segmentsRemoved: number;
  /** Should have gone, and the store's object lock keeps it; the first twenty. */
  readonly locked?: readonly string[];
  /** Newest first, at most two hundred. */
  readonly verdicts: readonly { readonly id: string; readonly keep: readonly string[] }[];
}

/**
 * Judges a cluster's base backups and its WAL together, since all its policies share that, and removes what nothing
 * keeps: backups first, never one before what builds on it, then WAL from its beginning. Can be killed anywhere.
 */
export async function pruneBases(
  deps: Dependencies,
  { spec, run, inUse, dryRun }: PruneBasesInput,
  { signal, report }: Working,
): Promise<PrunedBases> {
  const { cluster } = spec.source;
  const repository = deps.openRepository(spec.repository);
  const { bases, unreadable } = await readBases(repository, cluster);
  const archives = await readArchived(repository, cluster, signal);
  const others = bases.filter(({ manifest }) => manifest.installation !== spec.installation);
  const verdicts = judgePhysical({
    now: new Date(),
    bases,
    archives,
    policies: new Map(Object.entries(spec.keeps)),
    inUse: new Map([...others.map(({ manifest }) => [manifest.id, 'another installation'] as const), ...inUse]),
    underway: await underway(repository, cluster),
    unreadable: new Set(unreadable.map(({ manifestKey }) => manifestKey.split('/')[2] ?? '')),
  });
  const going = removalOrder(verdicts.bases.filter(({ keep }) => keep.length === 0).map(({ base }) => base));
  const result = {
    kept: bases.length - going.length,
    verdicts: verdicts.bases.slice(0, 200).map(({ base, keep }) => ({ id: base.manifest.id, keep })),
  };
  if (dryRun)
    return {
      ...result,
      removed: going.map(({ manifest }) => manifest.id),
      segmentsRemoved: countSegments(verdicts.wal),
    };
  await finishBegunRemovals(repository, cluster, signal);
  const removed: string[] = [];
  const locked: string[] = [];
  for (const base of going) {
    signal.throwIfAborted();
    await deps.failpoint('prune:before');
    const gone = await unlessLocked(
      removeBackup(repository, base, tombstoneKey(base.manifestKey), { run, signal, failpoint: deps.failpoint }),
    );
    (gone ? removed : locked).push(base.manifest.id);
    report({ doing: `removed ${base.manifest.id}`, done: removed.length, total: going.length });
  }
  // What is still there may need it.
  const segmentsRemoved =
    locked.length > 0 ? 0 : await removeWal(deps, repository, cluster, verdicts.wal, archives, { signal, report });
  await sweepStale(repository);
  return { ...result, removed, segmentsRemoved, ...(locked.length === 0 ? {} : { locked: locked.slice(0, 20) }) };
}

/** Base backups that somebody writes right now, or has left half written: where they began nobody knows. */
async function underway(repository: Repository, cluster: string): Promise<PhysicalFacts['underway']> {
  const systems = new Set<string>();
  for await (const { key } of repository.listStaged()) {
    const found = /^([^/]+)\/physical\/([0-9]+)\//.exec(key);
    if (found?.[1] === cluster && found[2] !== undefined) systems.add(found[2]);
  }
  return [...systems].map((systemIdentifier) => ({ systemIdentifier, startLsn: null }));
}

const tombstoneName = 'tombstone.json';

const tombstoneKey = (manifestKey: string) =>
  `${manifestKey.slice(0, manifestKey.lastIndexOf('/') + 1)}${tombstoneName}`;

async function finishBegunRemovals(repository: Repository, cluster: string, signal: AbortSignal): Promise<void> {
  for await (const { key } of repository.list(`${cluster}/physical/`)) {
    signal.throwIfAborted();
    if (!key.endsWith(`/${tombstoneName}`)) continue;
    const directory = key.slice(0, -tombstoneName.length);
    const tombstone = readTombstone(await repository.readText(key), (other) => other.startsWith(directory));
    if (tombstone === undefined) throw unbelievable(key);
    await finishRemoval(repository, key, tombstone);
  }
}

/** How many segments are removed at once; a prune that is killed leaves a hole no longer than that. */
const removedAtOnce = 16;

/** From the beginning of each timeline: what is left of a prune that was killed reaches to the end. */
async function removeWal(
  deps: Dependencies,
  repository: Repository,
  cluster: string,
  verdicts: readonly WalVerdict[],
  archives: readonly Archived[],
  { signal, report }: Pick<Working, 'signal' | 'report'>,
): Promise<number> {
  const total = countSegments(verdicts);
  let done = 0;
  for (const { systemIdentifier, remove: ranges, histories } of verdicts) {
    const log = archives.find(({ archive }) => archive.systemIdentifier === systemIdentifier);
    if (log === undefined) continue;
    const runs = ranges.map((range) => runOf(range, log.archive.segmentBytes));
    for (const batch of inBatches(segmentNames(runs, log.archive.segmentBytes), removedAtOnce)) {
      signal.throwIfAborted();
      await deps.failpoint('prune:segment');
      await Promise.all(batch.map((segment) => removeSegment(repository, cluster, systemIdentifier, segment)));
      done += batch.length;
      report({ doing: `removing WAL of ${cluster}`, done, total });
    }
    for (const timeline of histories)
      await unlessLocked(repository.remove(walHistoryKey(cluster, systemIdentifier, timeline)));
  }
  return done;
}

const countSegments = (verdicts: readonly WalVerdict[]) =>
  verdicts.flatMap(({ remove: ranges }) => ranges).reduce((sum, { segments }) => sum + segments, 0);

function runOf({ timeline, first, last }: WalRange, segmentBytes: number): TimelineRun {
  const [from, to] = [first, last].map((name) => parseSegmentName(name, segmentBytes)?.number);
  if (from === undefined || to === undefined) throw new TypeError(`${first} to ${last} is no range of segments`);
  return { timeline, first: from, last: to };
}

function* inBatches<T>(items: Iterable<T>, size: number): Generator<readonly T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Whatever its ending. */
async function removeSegment(
  repository: Repository,
  cluster: string,
  systemIdentifier: string,
  segment: string,
): Promise<void> {
  const timeline = Number.parseInt(segment.slice(0, 8), 16);
  for (const ending of ['zst', 'gz'] as const)
    await unlessLocked(repository.remove(walSegmentKey(cluster, systemIdentifier, timeline, segment, ending)));
}
