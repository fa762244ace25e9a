import fc from 'fast-check';
import type { BaseBackup } from '../../src/domain/base-manifest.ts';
import type { TimelineSwitch } from '../../src/domain/timeline.ts';
import { buildArchive, type Archived } from '../../src/domain/wal-archive.ts';
import { segmentName, segmentNumber } from '../../src/domain/wal.ts';
import { base, left, segmentBytes } from './physical-samples.ts';

/** Random lives of a cluster: what it wrote, backed up and lost, and how often it began anew. */
export interface Life {
  readonly bases: readonly BaseBackup[];
  readonly archives: readonly Archived[];
  readonly now: Date;
  readonly events: readonly Event[];
}

type Event =
  | { readonly kind: 'wal'; readonly segments: number; readonly hours: number; readonly timed: boolean }
  | { readonly kind: 'gap'; readonly segments: number }
  | {
      readonly kind: 'base';
      readonly increment: boolean;
      readonly includesWal: boolean;
      readonly segments: number;
      readonly verification: BaseBackup['verification'];
      readonly drill: BaseBackup['drill'];
    }
  /** A new timeline, from here or some segments back; the old one goes on a little. */
  | { readonly kind: 'switch'; readonly back: number; readonly tail: number; readonly offset: number }
  | { readonly kind: 'anew' };

const small = (max: number) => fc.integer({ min: 0, max });
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wal' as const),
      segments: fc.integer({ min: 1, max: 4 }),
      hours: fc.integer({ min: 1, max: 40 }),
      timed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('gap' as const), segments: fc.integer({ min: 1, max: 2 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('base' as const),
      increment: fc.boolean(),
      includesWal: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
      segments: fc.integer({ min: 1, max: 2 }),
      verification: fc.constantFrom(
        'none' as const,
        'none' as const,
        'none' as const,
        'passed' as const,
        'failed' as const,
      ),
      drill: fc.constantFrom('none' as const, 'none' as const, 'passed' as const, 'failed' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('switch' as const),
      back: small(4),
      tail: small(3),
      offset: fc.constantFrom(0, 0x8000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'anew' as const }) },
);

interface System {
  readonly id: string;
  readonly keys: string[];
  readonly times: Map<string, string | null>;
  readonly histories: Map<number, TimelineSwitch[]>;
}

const newSystem = (count: number): System => ({
  id: String(7_400_000_000_000_000_000n + BigInt(count)),
  keys: [],
  times: new Map(),
  histories: new Map(),
});

function live(events: readonly Event[]): Life {
  const systems = [newSystem(0)];
  const bases: BaseBackup[] = [];
  let [timeline, newestTimeline, segment, ms] = [1, 1, 2, Date.UTC(2026, 9, 1)];
  const current = () => systems.at(-1) ?? newSystem(0);
  const write = (on: number, number: number, timed: boolean) => {
    const { keys, times } = current();
    const name = segmentName(on, BigInt(number), segmentBytes);
    keys.push(`${name}.zst`);
    if (timed) times.set(name, new Date(ms).toISOString());
  };
  for (const one of events) {
    ms += 1_800_000;
    switch (one.kind) {
      case 'wal':
        for (let count = 0; count < one.segments; count += 1) {
          ms += one.hours * 3_600_000;
          write(timeline, segment, one.timed);
          segment += 1;
        }
        break;
      case 'gap':
        segment += one.segments;
        break;
      case 'base': {
        const { id } = current();
        const parent = bases.findLast(({ manifest }) => manifest.server.systemIdentifier === id);
        const begun = segment;
        for (let count = 1; count < one.segments; count += 1, segment += 1) write(timeline, segment, true);
        ms += 600_000;
        bases.push(
          base({
            id: `b${String(bases.length)}`,
            segment: begun,
            segments: one.segments,
            at: new Date(ms).toISOString(),
            timeline,
            systemIdentifier: id,
            includesWal: one.includesWal,
            verification: one.verification,
            drill: one.drill,
            ...(one.increment && parent !== undefined ? { parent: parent.manifest.id } : {}),
          }),
        );
        break;
      }
      case 'switch': {
        const { histories } = current();
        const known = histories.get(timeline) ?? [];
        const begun = segmentNumber(known.at(-1)?.switchLsn ?? 0n, segmentBytes);
        const at = Math.max(segment - one.back, Number(begun) + 1, 3);
        for (let count = 0; count < one.tail; count += 1) write(timeline, segment + count, true);
        newestTimeline += 1;
        histories.set(newestTimeline, [...known, left(timeline, at, one.offset)]);
        [timeline, segment] = [newestTimeline, at];
        break;
      }
      case 'anew':
        systems.push(newSystem(systems.length));
        [timeline, newestTimeline, segment] = [1, 1, 2];
    }
  }
  return {
    bases,
    archives: systems.map(({ id, keys, times, histories }) => ({
      archive: buildArchive({ systemIdentifier: id, segmentBytes, keys, histories }),
      times,
    })),
    now: new Date(ms + 3_600_000),
    events,
  };
}

export const anyLife: fc.Arbitrary<Life> = fc.array(event, { minLength: 1, maxLength: 40 }).map(live);
