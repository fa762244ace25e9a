import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatLsn,
  historyName,
  parseLsn,
  parseSegmentName,
  segmentBytesSchema,
  segmentName,
  segmentNumber,
  segmentStart,
} from '../../src/domain/wal.ts';
import { told } from './samples.ts';

const sizes = [1 << 20, 1 << 24, 1 << 26, 1 << 30];
const size = fc.constantFrom(...sizes);
const lsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe('a place in the log', () => {
  test('is written as PostgreSQL writes it, and read in either case', () => {
    expect(formatLsn(0x16b3748n)).toBe('0/16B3748');
    expect(formatLsn(0x16_b374_d848n)).toBe('16/B374D848');
    expect(parseLsn('16/b374d848')).toBe(0x16_b374_d848n);
    expect(parseLsn('FFFFFFFF/FFFFFFFF')).toBe((1n << 64n) - 1n);
  });

  test('is the same after it was written and read', () => {
    fc.assert(fc.property(lsn, (place) => parseLsn(formatLsn(place)) === place));
  });

  test.each(['', '16', '16/', '/1', '0x1/2', '1/2/3', '123456789/0', '1/G', ' 1/2', '1/2 '])('is not %p', (text) => {
    expect(told(() => parseLsn(text))).toMatch(/^InvalidArgument: .*is no place in the write-ahead log/);
  });
});

describe('a segment', () => {
  test.each([
    [1 << 20, 'FFF00000', '0000000100000000000000FF', '000000010000000100000000', 0xfffn],
    [1 << 24, 'FF000000', '0000000100000000000000FF', '000000010000000100000000', 0xffn],
    [1 << 30, 'C0000000', '000000010000000000000003', '000000010000000100000000', 3n],
  ])('of %d bytes wraps into the next id where 4 GiB end', (bytes, low, last, next, number) => {
    const place = parseLsn(`0/${low}`);
    expect(segmentNumber(place, bytes)).toBe(number);
    expect(segmentName(1, number, bytes)).toBe(bytes === 1 << 20 ? '000000010000000000000FFF' : last);
    expect(segmentName(1, number + 1n, bytes)).toBe(next);
    expect(parseSegmentName(next, bytes)).toEqual({ timeline: 1, number: number + 1n });
    expect(segmentStart(number + 1n, bytes)).toBe(1n << 32n);
  });

  test('has the same name after it was read and named again, whatever its size', () => {
    const timeline = fc.integer({ min: 1, max: 0xffffffff });
    fc.assert(
      fc.property(timeline, lsn, size, (line, place, bytes) => {
        const number = segmentNumber(place, bytes);
        const name = segmentName(line, number, bytes);
        expect(name).toMatch(/^[0-9A-F]{24}$/);
        expect(parseSegmentName(name, bytes)).toEqual({ timeline: line, number });
        expect(segmentStart(number, bytes) <= place && place < segmentStart(number + 1n, bytes)).toBe(true);
      }),
    );
  });

  test('of a name that no segment of the size has is none', () => {
    const cases: readonly (readonly [string, number])[] = [
      ['000000010000000000000100', 1 << 24],
      ['000000010000000000000004', 1 << 30],
      ['000000010000000000001000', 1 << 20],
      ['000000000000000000000001', 1 << 24],
      ['00000001000000000000000g', 1 << 24],
      ['000000010000000000000042.partial', 1 << 24],
      ['00000001.history', 1 << 24],
      ['', 1 << 24],
    ];
    for (const [name, bytes] of cases) expect(parseSegmentName(name, bytes)).toBeUndefined();
    expect(parseSegmentName('0000000100000000000000FF', 1 << 24)).toEqual({ timeline: 1, number: 255n });
  });

  test('is of a power of two between 1 MiB and 1 GiB', () => {
    expect(sizes.every((bytes) => segmentBytesSchema.safeParse(bytes).success)).toBe(true);
    for (const bytes of [0, 1 << 19, 3 << 20, 2 ** 31, 1.5])
      expect(segmentBytesSchema.safeParse(bytes).success).toBe(false);
  });
});

test('a history file is named by its timeline', () => {
  expect(historyName(0x1a)).toBe('0000001A.history');
});
