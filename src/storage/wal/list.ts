import { walDirectory, type SegmentRun, type WalArchive } from '../../domain/wal-archive.ts';
import { parseHistory, type TimelineHistory } from '../../domain/timeline.ts';
import { parseSegmentName, timelineDigits } from '../../domain/wal.ts';
import type { Repository } from '../repository.ts';
import { isBackupLabelName, parseHistoryKey, parseSegmentKey } from './keys.ts';
import { readTrailer } from './read.ts';
import { trailerBytes } from './trailer.ts';

/** What a name in the log's directory is. */
export type Entry =
  | {
      readonly kind: 'segment';
      readonly key: string;
      readonly bytes: number;
      readonly timeline: number;
      readonly segment: string;
    }
  | {
      readonly kind: 'partial';
      readonly key: string;
      readonly bytes: number;
      readonly timeline: number;
      readonly segment: string;
    }
  | { readonly kind: 'history'; readonly key: string; readonly bytes: number; readonly timeline: number }
  | { readonly kind: 'label'; readonly key: string; readonly bytes: number }
  /** A segment by its name, that can't be one by its size: a store that ran full, or lost it. */
  | { readonly kind: 'too-small'; readonly key: string; readonly bytes: number }
  | { readonly kind: 'unknown'; readonly key: string; readonly bytes: number };

/** Everything that lies of a log, in the order of keys, which is that of timelines and segments. By the names alone. */
export async function* entriesOf(repository: Repository, prefix: string): AsyncGenerator<Entry> {
  for await (const { key, bytes } of repository.list(prefix)) yield entryOf(key, bytes);
}

function entryOf(key: string, bytes: number): Entry {
  const named = parseSegmentKey(key);
  if (named !== undefined) {
    const { timeline, segment, partial } = named;
    if (bytes <= trailerBytes) return { kind: 'too-small', key, bytes };
    return { kind: partial ? 'partial' : 'segment', key, bytes, timeline, segment };
  }
  const timeline = parseHistoryKey(key);
  if (timeline !== undefined) return { kind: 'history', key, bytes, timeline };
  if (isBackupLabelName(key.slice(key.lastIndexOf('/') + 1))) return { kind: 'label', key, bytes };
  return { kind: 'unknown', key, bytes };
}

/** Runs of one timeline; numbers come in rising order, each as often as there are objects of it. */
export class RunKeeper {
  readonly runs: { first: bigint; last: bigint }[] = [];

  add(number: bigint): void {
    const last = this.runs.at(-1);
    if (last !== undefined && number >= last.first && number <= last.last) return;
    if (last !== undefined && number === last.last + 1n) last.last = number;
    else this.runs.push({ first: number, last: number });
  }
}

/**
 * The log of one system identifier as its names tell: memory goes with the gaps, not with the segments. Objects too
 * small to be a segment don't count. The segments' size is that of the first one, read from its trailer; 16 MiB where
 * there is none. ObjectDamaged where that trailer or a history is none (`auditArchive` names such without failing).
 */
export async function listArchive(
  repository: Repository,
  cluster: string,
  systemIdentifier: string,
  signal: AbortSignal,
): Promise<WalArchive> {
  const keepers = new Map<number, RunKeeper>();
  const histories = new Map<number, TimelineHistory>();
  let segmentBytes: number | undefined;
  for await (const entry of entriesOf(repository, `${walDirectory(cluster, systemIdentifier)}/`)) {
    signal.throwIfAborted();
    if (entry.kind === 'history')
      histories.set(entry.timeline, parseHistory((await repository.readText(entry.key)) ?? '', entry.key));
    if (entry.kind !== 'segment') continue;
    segmentBytes ??= (await readTrailer({ repository, signal }, entry.key, entry.bytes)).trailer.bytes;
    const id = parseSegmentName(entry.segment, segmentBytes);
    if (id !== undefined) keeperOf(keepers, entry.timeline).add(id.number);
  }
  const segments = new Map([...keepers].map(([timeline, { runs }]) => [timeline, runs as readonly SegmentRun[]]));
  return { systemIdentifier, segmentBytes: segmentBytes ?? usualSegmentBytes, segments, histories };
}

export const usualSegmentBytes = 16 * 1024 * 1024;

export function keeperOf(keepers: Map<number, RunKeeper>, timeline: number): RunKeeper {
  const keeper = keepers.get(timeline) ?? new RunKeeper();
  keepers.set(timeline, keeper);
  return keeper;
}

/** Runs of one timeline alone. */
export async function listTimeline(
  repository: Repository,
  place: { readonly cluster: string; readonly systemIdentifier: string; readonly segmentBytes: number },
  timeline: number,
): Promise<{ readonly runs: readonly SegmentRun[]; readonly partials: readonly bigint[] }> {
  const prefix = `${walDirectory(place.cluster, place.systemIdentifier)}/${timelineDigits(timeline)}/`;
  const keeper = new RunKeeper();
  const partials: bigint[] = [];
  for await (const entry of entriesOf(repository, prefix)) {
    if (entry.kind !== 'segment' && entry.kind !== 'partial') continue;
    const number = parseSegmentName(entry.segment, place.segmentBytes)?.number;
    if (number === undefined) continue;
    if (entry.kind === 'segment') keeper.add(number);
    else partials.push(number);
  }
  return { runs: keeper.runs, partials };
}

/** Every system identifier that something lies of, in the order of their digits. */
export async function listSystemIdentifiers(repository: Repository, cluster: string): Promise<readonly string[]> {
  const found = new Set<string>();
  const prefix = `${cluster}/wal/`;
  for await (const { key } of repository.list(prefix)) {
    const identifier = /^([0-9]{1,20})\//.exec(key.slice(prefix.length))?.[1];
    if (identifier !== undefined) found.add(identifier);
  }
  return [...found];
}
