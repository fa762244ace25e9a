import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BaseBackup } from '../../src/domain/base-manifest.ts';
import { stateOn, stopOf, timelinesWith } from '../../src/domain/base-state.ts';
import {
  judgePhysical,
  removalOrder,
  windowMs,
  type PhysicalFacts,
  type PhysicalKeep,
  type PhysicalVerdicts,
} from '../../src/domain/physical-retention.ts';
import { basesOf, trackTo } from '../../src/domain/recovery-window.ts';
import { segmentAlong, timelinesOf } from '../../src/domain/timeline-path.ts';
import { buildArchive, type Archived } from '../../src/domain/wal-archive.ts';
import { parseSegmentName, segmentName, segmentStart } from '../../src/domain/wal.ts';
import { expectGolden } from '../golden.ts';
import { archive, archived, base, left, system } from './physical-samples.ts';
import { anyLife, type Life } from './wal-histories.ts';

const policy = 'infra-base';
const now = new Date('2026-11-21T12:00:00Z');
const facts = (
  bases: readonly BaseBackup[],
  archives: readonly Archived[],
  keep: PhysicalKeep | null,
  more: Partial<PhysicalFacts> = {},
): PhysicalFacts => ({
  now,
  bases,
  archives,
  policies: new Map([[policy, keep]]),
  inUse: new Map(),
  unreadable: new Set(),
  underway: [],
  ...more,
});

const shown = ({ bases, wal }: PhysicalVerdicts) =>
  [
    ...bases.map(
      ({ base: { manifest }, keep }) =>
        `${keep.length === 0 ? 'goes ' : 'stays'} ${manifest.id} (${manifest.type}, ${manifest.serverFinishedAt.slice(0, 10)})${keep.map((reason) => `\n        ${reason}`).join('')}\n`,
    ),
    ...wal.flatMap(({ systemIdentifier, remove, keep, histories }) => [
      `WAL of ${systemIdentifier}\n`,
      ...keep.map(
        ({ first, last, segments, reason }) => `  stays ${first} to ${last} (${String(segments)}): ${reason}\n`,
      ),
      ...remove.map(
        ({ first, last, segments, reason }) => `  goes  ${first} to ${last} (${String(segments)}): ${reason}\n`,
      ),
      ...(histories.length === 0 ? [] : [`  histories go: ${histories.map(String).join(', ')}\n`]),
    ]),
  ].join('');

const date = (daysAgo: number) => new Date(now.getTime() - 36_000_000 - daysAgo * 86_400_000).toISOString();
/** A full backup every week, increments on the days between; five segments a day. */
const month = Array.from({ length: 28 }, (_, index) => {
  const daysAgo = 27 - index;
  return base({
    id: `b${String(index).padStart(2, '0')}`,
    segment: 3 + index * 5,
    at: date(daysAgo),
    ...(index % 7 === 0 ? {} : { parent: `b${String(index - 1).padStart(2, '0')}` }),
    ...(index === 9 ? { drill: 'passed' as const } : {}),
  });
});
const wholeMonth = [archived(archive(['1:2-145']), { '1:145': '2026-11-21T11:00:00Z' })];
const fulls = month
  .filter((_, index) => index % 7 === 0 || index > 25)
  .map((one) => ({ ...one, manifest: { ...one.manifest, type: 'full' as const, parent: null } }));

describe('the verdicts', () => {
  test.each<[string, PhysicalFacts]>([
    ['nothing', facts([], [], { last: 1 })],
    ['a-window-of-7-days-over-increments', facts(month, wholeMonth, { window: '7d' })],
    ['last-2', facts(fulls, wholeMonth, { last: 2 })],
    [
      'a-hold-and-gfs',
      facts(fulls, wholeMonth, {
        last: 1,
        gfs: { weekly: 3 },
        holds: [
          { base: 'b00', reason: 'before the migration' },
          { base: 'b07', reason: 'over', until: '2026-11-01T00:00:00Z' },
        ],
      }),
    ],
    ['being-read', facts(fulls, wholeMonth, { last: 1 }, { inUse: new Map([['b14', 'recover/infra/x1']]) })],
    [
      'one-under-way',
      facts(fulls, wholeMonth, { last: 1 }, { underway: [{ systemIdentifier: system, startLsn: '0/80000028' }] }),
    ],
    [
      'one-under-way-from-nobody-knows-where',
      facts(fulls, wholeMonth, { last: 1 }, { underway: [{ systemIdentifier: system, startLsn: null }] }),
    ],
    ['no-keep', facts(fulls, wholeMonth, null)],
    ['a-manifest-that-can-not-be-read', facts(fulls, wholeMonth, { last: 1 }, { unreadable: new Set([system]) })],
    [
      'two-timelines',
      facts(
        [
          ...fulls.slice(0, 3),
          base({ id: 'lost', segment: 82, at: date(11) }),
          base({ id: 'new', segment: 90, at: date(5), timeline: 2 }),
        ],
        [
          archived(archive(['1:2-84', '2:80-120'], { 2: [left(1, 80)] }), {
            '1:84': date(10.5),
            '2:120': '2026-11-21T11:00:00Z',
          }),
        ],
        { window: '7d' },
      ),
    ],
    [
      'a-cluster-made-anew',
      facts(
        [...fulls.slice(0, 2), base({ id: 'new', segment: 4, at: date(9), systemIdentifier: '7500000000000000000' })],
        [
          archived(archive(['1:2-60']), { '1:60': date(12) }),
          archived(archive(['1:2-60'], {}, '7500000000000000000'), { '1:60': '2026-11-21T11:00:00Z' }),
        ],
        { window: '7d' },
      ),
    ],
    ['wal-before-the-first-base-is-taken', facts([], [archived(archive(['1:2-60']))], { window: '7d' })],
    [
      'a-gap-that-breaks-the-newest',
      facts(
        [...fulls.slice(0, 2), base({ id: 'broken', segment: 50, segments: 3, at: date(2) })],
        [archived(archive(['1:2-50,52-60']))],
        { last: 1 },
      ),
    ],
  ])('on %s are these', (name, given) => {
    expectGolden(import.meta.url, `physical-retention-${name}.txt`, shown(judgePhysical(given)) || 'nothing');
  });

  test('count a month of a window as 31 days', () => {
    expect(['1d', '2w', '1m'].map((window) => windowMs(window) / 86_400_000)).toEqual([1, 14, 31]);
    expect(() => windowMs('7h')).toThrow(RangeError);
  });
});

const number = fc.integer({ min: 1, max: 5 });
const keeps: fc.Arbitrary<PhysicalKeep> = fc.record(
  {
    last: number,
    days: fc.integer({ min: 1, max: 30 }),
    window: fc.integer({ min: 1, max: 30 }).map((days) => `${String(days)}d`),
    gfs: fc.record({ daily: number, weekly: number, monthly: number, yearly: number }, { requiredKeys: [] }),
    holds: fc.array(
      fc.record({ base: fc.integer({ min: 0, max: 20 }).map((id) => `b${String(id)}`), reason: fc.constant('held') }),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
);

const judged = (life: Life, keep: PhysicalKeep, inUse: readonly string[] = []) =>
  judgePhysical(
    facts(life.bases, life.archives, keep, { now: life.now, inUse: new Map(inUse.map((id) => [id, 'recover/x'])) }),
  );

/** What is left when everything that may go has gone. */
function pruned(life: Life, { bases, wal }: PhysicalVerdicts): Life {
  const archives = life.archives.map(({ archive: before, times }) => {
    const verdict = wal.find(({ systemIdentifier }) => systemIdentifier === before.systemIdentifier);
    const keys = (verdict?.keep ?? []).flatMap(({ timeline, first, last }) => {
      const [from, to] = [first, last].map((name) => parseSegmentName(name, before.segmentBytes)?.number ?? 0n);
      const names: string[] = [];
      for (let at = from ?? 0n; at <= (to ?? -1n); at += 1n)
        names.push(`${segmentName(timeline, at, before.segmentBytes)}.zst`);
      return names;
    });
    const gone = verdict?.histories ?? [];
    const histories = new Map([...before.histories].filter(([timeline]) => !gone.includes(timeline)));
    return { archive: buildArchive({ ...before, keys, histories }), times };
  });
  return { ...life, bases: bases.filter(({ keep }) => keep.length > 0).map((verdict) => verdict.base), archives };
}

/** Along every timeline: each segment with its time that some base leads to. */
function recoverable({ bases, archives }: Life, through: readonly BaseBackup[] = bases): Map<string, number> {
  const points = new Map<string, number>();
  for (const { archive: of, times } of archives) {
    const own = basesOf(bases, of.systemIdentifier);
    for (const timeline of timelinesOf(of)) {
      const track = trackTo(of, own, timeline);
      if (track === undefined) continue;
      for (const one of own) {
        const state = stateOn(track, own, one);
        if (state.state !== 'usable' || !through.includes(one)) continue;
        for (let at = (stopOf(one.manifest) - 1n) / BigInt(of.segmentBytes); at <= state.run.last; at += 1n) {
          const time = times.get(segmentAlong(track.path, at, of.segmentBytes));
          if (time && stopOf(one.manifest) < segmentStart(at + 1n, of.segmentBytes))
            points.set(`${of.systemIdentifier} to ${String(timeline)} at ${String(at)}`, Date.parse(time));
        }
      }
    }
  }
  return points;
}

/** Restores at least to its own end. */
function restorable({ archives, bases }: Life, one: BaseBackup): boolean {
  const of = archives.find(
    ({ archive: { systemIdentifier } }) => systemIdentifier === one.manifest.server.systemIdentifier,
  );
  if (of === undefined) return false;
  const own = basesOf(bases, of.archive.systemIdentifier);
  return timelinesWith(of.archive, own).some((timeline) => {
    const track = trackTo(of.archive, own, timeline);
    return track !== undefined && ['usable', 'alone'].includes(stateOn(track, own, one).state);
  });
}

const runs = { numRuns: 200 };

describe('over any life of a cluster', () => {
  test('every base that stays is restorable to its own end, if it was', () => {
    fc.assert(
      fc.property(anyLife, keeps, (life, keep) => {
        const after = pruned(life, judged(life, keep));
        for (const one of after.bases) if (restorable(life, one)) expect(restorable(after, one)).toBe(true);
      }),
      runs,
    );
  });

  test('every moment of the window that could be recovered still can', () => {
    fc.assert(
      fc.property(anyLife, keeps, fc.integer({ min: 1, max: 30 }), (life, keep, days) => {
        const after = recoverable(pruned(life, judged(life, { ...keep, window: `${String(days)}d` })));
        const begin = life.now.getTime() - days * 86_400_000;
        for (const [point, time] of recoverable(life)) if (time >= begin) expect([...after.keys()]).toContain(point);
      }),
      runs,
    );
  });

  test('everything after a base that a recovery reads still can be recovered', () => {
    fc.assert(
      fc.property(anyLife, keeps, fc.integer({ min: 0, max: 12 }), (life, keep, index) => {
        const read = life.bases[index];
        fc.pre(read !== undefined);
        const after = pruned(life, judged(life, keep, [read.manifest.id]));
        expect(after.bases).toContain(read);
        const still = recoverable(after, [read]);
        for (const point of recoverable(life, [read]).keys()) expect([...still.keys()]).toContain(point);
      }),
      runs,
    );
  });

  test('no chain is broken, wherever the removal is stopped', () => {
    fc.assert(
      fc.property(anyLife, keeps, fc.integer({ min: 0, max: 20 }), (life, keep, stopped) => {
        const going = judged(life, keep).bases.flatMap((verdict) => (verdict.keep.length === 0 ? [verdict.base] : []));
        const order = removalOrder(going);
        expect(new Set(order)).toEqual(new Set(going));
        const removed = new Set(order.slice(0, stopped));
        const there = life.bases.filter((one) => !removed.has(one));
        for (const { manifest } of there)
          if (life.bases.some((one) => one.manifest.id === manifest.parent))
            expect(there.some((one) => one.manifest.id === manifest.parent)).toBe(true);
      }),
      runs,
    );
  });

  test('what had a good base keeps the newest one, and the last that passed a drill', () => {
    fc.assert(
      fc.property(anyLife, keeps, (life, keep) => {
        const after = pruned(life, judged(life, keep));
        const good = life.bases.filter((one) => restorable(life, one));
        const newest = good.at(-1);
        if (newest !== undefined) expect(after.bases).toContain(newest);
        const proven = life.bases.findLast(
          ({ drill, verification }) => drill === 'passed' && verification !== 'failed',
        );
        if (proven !== undefined) expect(after.bases).toContain(proven);
      }),
      runs,
    );
  });

  test('every segment gets exactly one verdict', () => {
    fc.assert(
      fc.property(anyLife, keeps, (life, keep) => {
        for (const { systemIdentifier, remove, keep: staying } of judged(life, keep).wal) {
          const of = life.archives.find((one) => one.archive.systemIdentifier === systemIdentifier)?.archive;
          const ranges = [...remove, ...staying];
          const covered = ranges.reduce((sum, { segments }) => sum + segments, 0);
          const there = [...(of?.segments.values() ?? [])]
            .flat()
            .reduce((sum, { first, last }) => sum + Number(last - first) + 1, 0);
          expect(covered).toBe(there);
          const sorted = ranges.map(({ first, last }) => [first, last] as const).sort(([a], [b]) => (a < b ? -1 : 1));
          sorted.slice(1).forEach(([first], index) => {
            expect(first > (sorted[index]?.[1] ?? '')).toBe(true);
          });
        }
      }),
      runs,
    );
  });

  test('who keeps more never removes more', () => {
    fc.assert(
      fc.property(anyLife, keeps, keeps, (life, one, two) => {
        const most = (a: number | undefined, b: number | undefined) =>
          a === undefined && b === undefined ? undefined : Math.max(a ?? 0, b ?? 0);
        const days = most(one.window ? parseInt(one.window) : undefined, two.window ? parseInt(two.window) : undefined);
        const more: PhysicalKeep = {
          last: most(one.last, two.last),
          days: most(one.days, two.days),
          window: days === undefined ? undefined : `${String(days)}d`,
          gfs: {
            daily: most(one.gfs?.daily, two.gfs?.daily),
            weekly: most(one.gfs?.weekly, two.gfs?.weekly),
            monthly: most(one.gfs?.monthly, two.gfs?.monthly),
            yearly: most(one.gfs?.yearly, two.gfs?.yearly),
          },
          holds: [...(one.holds ?? []), ...(two.holds ?? [])],
        };
        const all = pruned(life, judged(life, more));
        for (const keep of [one, two]) {
          const less = pruned(life, judged(life, keep));
          for (const kept of less.bases) expect(all.bases).toContain(kept);
          for (const [index, { archive: of }] of less.archives.entries())
            for (const [timeline, list] of of.segments)
              for (const { first, last } of list)
                expect(
                  all.archives[index]?.archive.segments
                    .get(timeline)
                    ?.some((run) => run.first <= first && last <= run.last),
                ).toBe(true);
        }
      }),
      runs,
    );
  });

  test('a second prune finds nothing more to remove', () => {
    fc.assert(
      fc.property(anyLife, keeps, (life, keep) => {
        const once = pruned(life, judged(life, keep));
        const twice = judged(once, keep);
        expect(twice.bases.filter((verdict) => verdict.keep.length === 0)).toEqual([]);
        expect(twice.wal.flatMap(({ remove }) => remove)).toEqual([]);
      }),
      runs,
    );
  });

  test('a system whose manifests can’t all be read loses no WAL', () => {
    fc.assert(
      fc.property(anyLife, keeps, (life, keep) => {
        const unreadable = new Set(life.archives.map(({ archive: { systemIdentifier } }) => systemIdentifier));
        const { wal } = judgePhysical(facts(life.bases, life.archives, keep, { now: life.now, unreadable }));
        expect(wal.flatMap(({ remove, histories }) => [...remove, ...histories])).toEqual([]);
      }),
    );
  });
});
