import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { durationMs, durationSchema, parseDurationMs } from '../../src/domain/duration.ts';

describe('a duration', () => {
  test.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['2w', 1_209_600_000],
    ['520w', 314_496_000_000],
  ])('%s is %d milliseconds', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
    expect(durationMs(text)).toBe(ms);
    expect(durationSchema.parse(text)).toBe(text);
  });

  test.each(['', '0s', '5', 'm', '5 m', '1.5h', '-1h', '1y', '1H', '5m\n', '1h30m', '1000000s', '9999w'])(
    '%p is none',
    (text) => {
      expect(parseDurationMs(text)).toBeUndefined();
      expect(durationSchema.safeParse(text).success).toBe(false);
      expect(() => durationMs(text)).toThrow(new RangeError(`not a duration: ${text}`));
    },
  );

  test('that is taken fits into a timer and into a date', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[1-9][0-9]{0,5}[smhdw]$/), (text) => {
        const ms = parseDurationMs(text);
        fc.pre(ms !== undefined);
        expect(Number.isSafeInteger(ms)).toBe(true);
        expect(() => new Date(Date.UTC(2026, 0) + ms).toISOString()).not.toThrow();
        expect(ms).toBeLessThanOrEqual(10 * 366 * 86_400_000);
      }),
    );
  });
});
