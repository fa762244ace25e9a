import { HoldfastError } from '../../domain/errors.ts';
import { parseHistory, type TimelineHistory } from '../../domain/timeline.ts';
import { walDirectory, type SegmentRun } from '../../domain/wal-archive.ts';
import { parseSegmentName, segmentNumber } from '../../domain/wal.ts';
import { entriesOf, keeperOf, usualSegmentBytes, type RunKeeper } from './list.ts';
import { readTrailer, verifySegment, type Reading } from './read.ts';

export type WalFinding =
  /** Segments that aren't there, both ends belonging to it, between others of the timeline or before its begin. */
  | { readonly kind: 'gap'; readonly timeline: number; readonly first: bigint; readonly last: bigint }
  /** Zero bytes, or fewer than any segment has: it doesn't count as one, so it is part of a gap too. */
  | { readonly kind: 'too-small'; readonly key: string; readonly bytes: number }
  /** Segments of a timeline lie there, and nothing tells where it comes from. */
  | { readonly kind: 'history-missing'; readonly timeline: number }
  | { readonly kind: 'history-damaged'; readonly key: string; readonly message: string }
  | { readonly kind: 'damaged'; readonly key: string; readonly message: string }
  /** Somebody else's, or of another segment size. */
  | { readonly kind: 'unknown'; readonly key: string };

export interface WalAudit {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly segments: number;
  readonly storedBytes: number;
  /** Segments whose bytes were read; 0 for a cheap audit. */
  readonly read: number;
  readonly findings: readonly WalFinding[];
}

export interface AuditOptions {
  /** Reads the bytes of every segment, not only the names. */
  readonly deep: boolean;
  /** Segments read at the same time; default 2. */
  readonly together?: number;
  /** After every segment that was read. */
  readonly onProgress?: (read: number) => void;
}

/**
 * What is wrong with a cluster's log, by its names alone or by all its bytes. What it finds is told, never thrown; it
 * fails only where the repository does.
 */
export async function auditArchive(
  reading: Reading,
  cluster: string,
  systemIdentifier: string,
  options: AuditOptions,
): Promise<WalAudit> {
  const { repository, signal } = reading;
  const findings: WalFinding[] = [];
  const keepers = new Map<number, RunKeeper>();
  const histories = new Map<number, TimelineHistory>();
  const depth = new Depth(reading, options, findings);
  let segmentBytes: number | undefined;
  let segments = 0;
  let storedBytes = 0;
  for await (const entry of entriesOf(repository, `${walDirectory(cluster, systemIdentifier)}/`)) {
    signal.throwIfAborted();
    storedBytes += entry.bytes;
    switch (entry.kind) {
      case 'segment': {
        segmentBytes ??= await segmentBytesOf(reading, entry.key, entry.bytes);
        const id = parseSegmentName(entry.segment, segmentBytes ?? usualSegmentBytes);
        if (id === undefined) findings.push({ kind: 'unknown', key: entry.key });
        else keeperOf(keepers, entry.timeline).add(id.number);
        segments += 1;
        await depth.look(entry.key);
        break;
      }
      case 'partial':
        await depth.look(entry.key);
        break;
      case 'history':
        await readHistory(reading, entry.key, entry.timeline, histories, findings);
        break;
      case 'too-small':
        findings.push({ kind: 'too-small', key: entry.key, bytes: entry.bytes });
        break;
      case 'unknown':
        findings.push({ kind: 'unknown', key: entry.key });
        break;
      case 'label':
    }
  }
  const read = await depth.end();
  const runs = new Map([...keepers].map(([timeline, keeper]) => [timeline, keeper.runs as readonly SegmentRun[]]));
  findings.push(...gapsOf(runs, histories, segmentBytes ?? usualSegmentBytes));
  return { systemIdentifier, segmentBytes: segmentBytes ?? usualSegmentBytes, segments, storedBytes, read, findings };
}

/** Gaps inside timelines, and between a timeline's begin and what lies of the one that it comes from. */
function gapsOf(
  runs: ReadonlyMap<number, readonly SegmentRun[]>,
  histories: ReadonlyMap<number, TimelineHistory>,
  segmentBytes: number,
): readonly WalFinding[] {
  const findings: WalFinding[] = [];
  for (const [timeline, own] of [...runs].sort(([a], [b]) => a - b)) {
    for (const [index, run] of own.entries()) {
      const before = own[index - 1];
      if (before) findings.push({ kind: 'gap', timeline, first: before.last + 1n, last: run.first - 1n });
    }
    const first = own[0];
    const origin = histories.get(timeline)?.at(-1);
    if (timeline > 1 && !histories.has(timeline)) findings.push({ kind: 'history-missing', timeline });
    if (first === undefined || origin === undefined) continue;
    const begin = segmentNumber(origin.switchLsn, segmentBytes);
    const parent = runs
      .get(origin.timeline)
      ?.filter((run) => run.first < begin)
      .at(-1);
    // A log that was first archived after the switch has nothing of the time before, and misses nothing.
    if (parent === undefined) continue;
    if (parent.last < begin - 1n)
      findings.push({ kind: 'gap', timeline: origin.timeline, first: parent.last + 1n, last: begin - 1n });
    if (first.first > begin) findings.push({ kind: 'gap', timeline, first: begin, last: first.first - 1n });
  }
  return findings;
}

/** undefined where the object doesn't tell. */
async function segmentBytesOf(reading: Reading, key: string, bytes: number): Promise<number | undefined> {
  try {
    return (await readTrailer(reading, key, bytes)).trailer.bytes;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

async function readHistory(
  { repository }: Reading,
  key: string,
  timeline: number,
  histories: Map<number, TimelineHistory>,
  findings: WalFinding[],
): Promise<void> {
  try {
    const history = parseHistory((await repository.readText(key)) ?? '', key);
    histories.set(timeline, history);
    if (history.length === 0) findings.push({ kind: 'history-damaged', key, message: `${key} tells of no timeline` });
  } catch (error) {
    if (!isDamage(error)) throw error;
    findings.push({ kind: 'history-damaged', key, message: error.message });
  }
}

const isDamage = (error: unknown): error is HoldfastError =>
  error instanceof HoldfastError && error.type === 'ObjectDamaged';

/** Reads segments some at a time, while the listing goes on no further than that. */
class Depth {
  readonly #reading: Reading;
  readonly #options: AuditOptions;
  readonly #findings: WalFinding[];
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #read = 0;

  constructor(reading: Reading, options: AuditOptions, findings: WalFinding[]) {
    this.#reading = reading;
    this.#options = options;
    this.#findings = findings;
  }

  async look(key: string): Promise<void> {
    if (!this.#options.deep) return;
    if (this.#failure !== undefined) await this.end();
    const running: Promise<void> = this.#verify(key).finally(() => this.#running.delete(running));
    this.#running.add(running);
    if (this.#running.size >= (this.#options.together ?? 2)) await Promise.race(this.#running);
  }

  async end(): Promise<number> {
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#read;
  }

  async #verify(key: string): Promise<void> {
    try {
      await verifySegment(this.#reading, key);
    } catch (error) {
      if (isDamage(error)) this.#findings.push({ kind: 'damaged', key, message: error.message });
      else this.#failure ??= { error };
    }
    this.#read += 1;
    this.#options.onProgress?.(this.#read);
  }
}
