import { z } from 'zod';
import type { TimelineHistory } from './timeline.ts';
import {
  formatLsn,
  lsnSchema,
  parseLsn,
  parseSegmentName,
  segmentBytesSchema,
  segmentName,
  timelineDigits,
  type SegmentId,
} from './wal.ts';

/**
 * What lies of a cluster's write-ahead log in a repository, per system identifier: a cluster that is made anew, or
 * upgraded, begins a log of its own and never meets its past.
 *
 * `<cluster>/wal/<system identifier>/<timeline>/<segment>.zst` (or `.gz`), a partial segment with `.partial` before the
 * ending; `<cluster>/wal/<system identifier>/<timeline>.history`.
 */
export const walDirectory = (cluster: string, systemIdentifier: string) => `${cluster}/wal/${systemIdentifier}`;

export const walSegmentKey = (
  cluster: string,
  systemIdentifier: string,
  timeline: number,
  segment: string,
  ending: 'zst' | 'gz' | 'partial.zst' | 'partial.gz',
) => `${walDirectory(cluster, systemIdentifier)}/${timelineDigits(timeline)}/${segment}.${ending}`;

export const walHistoryKey = (cluster: string, systemIdentifier: string, timeline: number) =>
  `${walDirectory(cluster, systemIdentifier)}/${timelineDigits(timeline)}.history`;

/** Segments without a gap between them: both ends belong to it. */
export interface SegmentRun {
  readonly first: bigint;
  readonly last: bigint;
}

/** The names that lie in the repository, read; nothing is said of their bytes. */
export interface WalArchive {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  /** By timeline, in rising order, runs that don't touch. Partial segments don't count. */
  readonly segments: ReadonlyMap<number, readonly SegmentRun[]>;
  readonly histories: ReadonlyMap<number, TimelineHistory>;
}

/** An archive, and when some of its segments ended. */
export interface Archived {
  readonly archive: WalArchive;
  /** By segment name: the server's time at its end; null or not there: unknown. Few or many may be given. */
  readonly times: ReadonlyMap<string, string | null>;
}

/** Merges numbers, in any order and as often as they come, into runs that don't touch, in rising order. */
export function runsOf(numbers: Iterable<bigint>): SegmentRun[] {
  const sorted = [...numbers].sort(rising);
  return mergeRuns(sorted.map((number) => ({ first: number, last: number })));
}

/** Merges runs that touch or overlap, in any order. */
export function mergeRuns(runs: readonly SegmentRun[]): SegmentRun[] {
  const merged: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of [...runs].sort((a, b) => rising(a.first, b.first))) {
    const before = merged.at(-1);
    if (before === undefined || first > before.last + 1n) merged.push({ first, last });
    else if (last > before.last) before.last = last;
  }
  return merged;
}

const rising = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

/** What a run lacks of another: the holes, in rising order. */
export function missingOf(wanted: SegmentRun, runs: readonly SegmentRun[]): SegmentRun[] {
  const missing: SegmentRun[] = [];
  let next = wanted.first;
  for (const { first, last } of runs) {
    if (last < next) continue;
    if (first > wanted.last) break;
    if (first > next) missing.push({ first: next, last: first - 1n });
    next = last + 1n;
  }
  if (next <= wanted.last) missing.push({ first: next, last: wanted.last });
  return missing;
}

/** The run that a segment belongs to. */
export const runWith = (runs: readonly SegmentRun[], number: bigint) =>
  runs.find(({ first, last }) => first <= number && number <= last);

export const runLength = ({ first, last }: SegmentRun) => Number(last - first) + 1;

const storedEnding = /\.(zst|gz)$/;

/**
 * The whole segment that an object holds, by the last part of its key; undefined for anything else: partial segments,
 * histories, names of another segment size.
 */
export function storedSegment(key: string, segmentBytes: number): SegmentId | undefined {
  const name = key.slice(key.lastIndexOf('/') + 1);
  return storedEnding.test(name) ? parseSegmentName(name.replace(storedEnding, ''), segmentBytes) : undefined;
}

/** An archive from the keys (or bare names) of what lies in it; what holds no whole segment doesn't count. */
export function buildArchive(input: {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly keys: Iterable<string>;
  readonly histories?: ReadonlyMap<number, TimelineHistory>;
}): WalArchive {
  const numbers = new Map<number, bigint[]>();
  for (const key of input.keys) {
    const segment = storedSegment(key, input.segmentBytes);
    if (segment === undefined) continue;
    const known = numbers.get(segment.timeline);
    if (known) known.push(segment.number);
    else numbers.set(segment.timeline, [segment.number]);
  }
  const timelines = [...numbers].sort(([a], [b]) => a - b);
  return {
    systemIdentifier: input.systemIdentifier,
    segmentBytes: input.segmentBytes,
    segments: new Map(timelines.map(([timeline, list]) => [timeline, runsOf(list)])),
    histories: input.histories ?? new Map(),
  };
}

const timelineSchema = z.number().int().positive().max(0xffffffff);
const segmentText = z.string().regex(/^[0-9A-F]{24}$/, "must be a segment's name, 24 hexadecimal digits");

/** An archive as JSON, for what goes through a workflow: runs by the names of their first and last segments. */
export const walArchiveSchema = z
  .object({
    systemIdentifier: z.string().regex(/^[0-9]{1,20}$/),
    segmentBytes: segmentBytesSchema,
    segments: z.array(z.object({ first: segmentText, last: segmentText })),
    histories: z.array(
      z.object({
        timeline: timelineSchema,
        switches: z.array(z.object({ timeline: timelineSchema, switchLsn: lsnSchema })),
      }),
    ),
  })
  .superRefine((archive, context) => {
    for (const [index, { first, last }] of archive.segments.entries()) {
      const ends = [first, last].map((name) => parseSegmentName(name, archive.segmentBytes));
      const [from, to] = ends;
      if (from?.timeline !== to?.timeline || from === undefined || to === undefined || from.number > to.number)
        context.addIssue({
          code: 'custom',
          path: ['segments', index],
          message: 'must be a run of one timeline, in segments of the size that segmentBytes says',
        });
    }
  });

export type WalArchiveJson = Readonly<z.infer<typeof walArchiveSchema>>;

export const archiveToJson = (archive: WalArchive): WalArchiveJson => ({
  systemIdentifier: archive.systemIdentifier,
  segmentBytes: archive.segmentBytes,
  segments: [...archive.segments].flatMap(([timeline, runs]) =>
    runs.map(({ first, last }) => ({
      first: segmentName(timeline, first, archive.segmentBytes),
      last: segmentName(timeline, last, archive.segmentBytes),
    })),
  ),
  histories: [...archive.histories].map(([timeline, switches]) => ({
    timeline,
    switches: switches.map(({ timeline: left, switchLsn }) => ({ timeline: left, switchLsn: formatLsn(switchLsn) })),
  })),
});

/** For JSON that passed walArchiveSchema. */
export function archiveFromJson(json: WalArchiveJson): WalArchive {
  const runs = new Map<number, SegmentRun[]>();
  for (const { first, last } of json.segments) {
    const from = parseSegmentName(first, json.segmentBytes);
    const to = parseSegmentName(last, json.segmentBytes);
    if (from && to)
      runs.set(from.timeline, [...(runs.get(from.timeline) ?? []), { first: from.number, last: to.number }]);
  }
  return {
    systemIdentifier: json.systemIdentifier,
    segmentBytes: json.segmentBytes,
    segments: new Map([...runs].sort(([a], [b]) => a - b).map(([timeline, list]) => [timeline, mergeRuns(list)])),
    histories: new Map(
      json.histories.map(({ timeline, switches }) => [
        timeline,
        switches.map(({ timeline: left, switchLsn }) => ({ timeline: left, switchLsn: parseLsn(switchLsn) })),
      ]),
    ),
  };
}
