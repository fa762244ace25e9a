import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judgeSnapshots, type Snapshot } from '../../src/domain/snapshot-retention.ts';

const now = new Date('2026-11-21T12:00:00Z');
const taken = (daysAgo: number, going = false): Snapshot => ({
  name: `s-${String(daysAgo)}`,
  stoppedAt: new Date(now.getTime() - daysAgo * 86_400_000).toISOString(),
  going,
});
const staying = (snapshots: readonly Snapshot[], window: string | null) =>
  judgeSnapshots(snapshots, window, now).flatMap(({ snapshot, keep }) => (keep.length > 0 ? [snapshot.name] : []));

describe('volume snapshots', () => {
  test('of the window stay, and the one from which its first moments are recovered', () => {
    const daily = [1, 2, 3, 4, 5, 6, 7.5, 8.5, 9.5].map((days) => taken(days));
    expect(staying(daily, '7d')).toEqual(['s-1', 's-2', 's-3', 's-4', 's-5', 's-6', 's-7.5']);
  });

  test('that are all older than the window keep their newest', () => {
    expect(staying([taken(40), taken(50)], '7d')).toEqual(['s-40']);
  });

  test('without a window all stay', () => {
    expect(staying([taken(400), taken(1)], null)).toEqual(['s-1', 's-400']);
  });

  test('whose deletion has begun go, and stand for nothing', () => {
    expect(staying([taken(1, true), taken(9), taken(10)], '7d')).toEqual(['s-9']);
    expect(judgeSnapshots([taken(1, true)], null, now)).toEqual([{ snapshot: taken(1, true), keep: [] }]);
  });

  test('leave no moment of the window without one from before it, as far as there ever was one', () => {
    const anAge = fc.double({ min: 0, max: 60, noNaN: true });
    fc.assert(
      fc.property(fc.uniqueArray(anAge, { maxLength: 30 }), fc.integer({ min: 1, max: 30 }), (ages, days) => {
        const snapshots = ages.map((age) => taken(age));
        const kept = judgeSnapshots(snapshots, `${String(days)}d`, now)
          .filter(({ keep }) => keep.length > 0)
          .map(({ snapshot }) => Date.parse(snapshot.stoppedAt));
        const begin = now.getTime() - days * 86_400_000;
        for (const moment of [begin, ...snapshots.map(({ stoppedAt }) => Date.parse(stoppedAt))].filter(
          (at) => at >= begin,
        )) {
          const could = snapshots.map(({ stoppedAt }) => Date.parse(stoppedAt)).filter((at) => at <= moment);
          if (could.length > 0) expect(kept).toContain(Math.max(...could));
        }
      }),
    );
  });
});
