import { describe, expect, test } from '@jest/globals';
import { partSize, type PartWishes } from '../../src/storage/s3/part-sizes.ts';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;
const wishes = (more: Partial<PartWishes> = {}): PartWishes => ({
  maxParts: 10_000,
  partSize: null,
  expectedBytes: undefined,
  ...more,
});

function total(of: PartWishes): number {
  let bytes = 0;
  for (let number = 1; ; number += 1) {
    const size = partSize(number, of);
    if (size === undefined) return bytes;
    bytes += size;
  }
}

describe('the parts of an upload', () => {
  test('have one size as long as the expectation holds', () => {
    for (const expectedBytes of [undefined, 0, 10 * gibibyte, 500 * gibibyte, 4_000 * gibibyte]) {
      const of = wishes({ expectedBytes });
      const size = partSize(1, of) ?? 0;
      expect(size).toBeGreaterThanOrEqual(8 * mebibyte);
      expect(size % mebibyte).toBe(0);
      const needed = Math.ceil((expectedBytes ?? 0) / size);
      expect(needed).toBeLessThanOrEqual(5_000);
      for (let number = 1; number <= Math.max(needed, 5_000); number += 1) expect(partSize(number, of)).toBe(size);
    }
  });

  test('are small where no more is needed: a worker holds four', () => {
    expect(partSize(1, wishes({ expectedBytes: 30 * gibibyte }))).toBe(8 * mebibyte);
    expect(partSize(1, wishes({ expectedBytes: 100 * gibibyte }))).toBeLessThanOrEqual(32 * mebibyte);
  });

  test('grow where the expectation was too small, to 128 MiB at most', () => {
    const of = wishes();
    const sizes = Array.from({ length: 10_000 }, (_, i) => partSize(i + 1, of) ?? 0);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    expect(sizes.at(-1)).toBe(128 * mebibyte);
    expect(total(of)).toBeGreaterThan(450 * gibibyte);
    expect(total(wishes({ maxParts: 1_000 }))).toBeGreaterThan(40 * gibibyte);
  });

  test('take twice what was expected, and more', () => {
    for (const expectedBytes of [20, 800, 2_000].map((size) => size * gibibyte)) {
      expect(total(wishes({ expectedBytes }))).toBeGreaterThanOrEqual(2 * expectedBytes);
    }
  });

  test('stay as they are configured, and end at the limit', () => {
    const of = wishes({ partSize: 5 * mebibyte, maxParts: 100, expectedBytes: 900 * gibibyte });
    expect([1, 50, 100, 101].map((number) => partSize(number, of))).toEqual([
      5 * mebibyte,
      5 * mebibyte,
      5 * mebibyte,
      undefined,
    ]);
  });
});
