import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { gfsReasons, type Gfs } from '../../src/domain/gfs.ts';
import { expectGolden } from '../golden.ts';

const daily = (days: number, from = '2026-11-21T23:30:00Z') =>
  Array.from({ length: days }, (_, index) => new Date(Date.parse(from) - index * 86_400_000));

describe('grandfather-father-son', () => {
  test('keeps the newest of each day, week, month and year, in UTC', () => {
    const times = daily(430);
    const reasons = gfsReasons(times, { daily: 3, weekly: 3, monthly: 3, yearly: 2 });
    const text = times.flatMap((time, index) => {
      const given = reasons[index] ?? [];
      return given.length === 0 ? [] : [`${time.toISOString()}\n${given.map((reason) => `  ${reason}\n`).join('')}`];
    });
    expectGolden(import.meta.url, 'gfs.txt', text.join(''));
  });

  test('counts days that have a backup: a pause costs no old ones', () => {
    const times = [...daily(1), ...daily(2, '2026-09-01T02:00:00Z')];
    expect(gfsReasons(times, { daily: 3 }).every((reasons) => reasons.length === 1)).toBe(true);
  });

  test('gives at most as many reasons as it is told, and more when it is told more', () => {
    const count = fc.integer({ min: 0, max: 5 });
    const times = fc
      .array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 40 })
      .map((hours) => hours.sort((a, b) => a - b).map((hour) => new Date(Date.UTC(2026, 10, 21) - hour * 3_600_000)));
    fc.assert(
      fc.property(times, fc.record({ daily: count, weekly: count, monthly: count, yearly: count }), (list, gfs) => {
        const reasons = gfsReasons(list, gfs);
        const more: Gfs = {
          daily: gfs.daily + 1,
          weekly: gfs.weekly + 1,
          monthly: gfs.monthly + 1,
          yearly: gfs.yearly + 1,
        };
        const total = gfs.daily + gfs.weekly + gfs.monthly + gfs.yearly;
        expect(reasons.flat().length).toBeLessThanOrEqual(total);
        gfsReasons(list, more).forEach((given, index) => {
          expect(given.length).toBeGreaterThanOrEqual(reasons[index]?.length ?? 0);
        });
      }),
    );
  });
});
