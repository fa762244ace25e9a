import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  archiveFromJson,
  archiveToJson,
  buildArchive,
  mergeRuns,
  missingOf,
  runsOf,
  runWith,
  storedSegment,
  walArchiveSchema,
} from '../../src/domain/wal-archive.ts';
import { archive, left, segmentBytes, system } from './physical-samples.ts';

const numbers = fc.array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 60 });

describe('runs', () => {
  test('hold exactly the numbers that they were made of, in order, and don’t touch', () => {
    fc.assert(
      fc.property(numbers, (list) => {
        const runs = runsOf(list);
        const held = runs.flatMap(({ first, last }) =>
          Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index)),
        );
        expect(held).toEqual([...new Set(list)].sort((a, b) => (a < b ? -1 : 1)));
        runs.slice(1).forEach((run, index) => {
          expect(run.first > (runs[index]?.last ?? 0n) + 1n).toBe(true);
        });
      }),
    );
  });

  test('merged in any order are the same', () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        expect(mergeRuns([...runsOf(a), ...runsOf(b)])).toEqual(runsOf([...b, ...a]));
      }),
    );
  });

  test('and what is missing of a stretch are together the stretch', () => {
    fc.assert(
      fc.property(numbers, fc.bigInt({ min: 0n, max: 60n }), fc.bigInt({ min: 0n, max: 20n }), (list, first, more) => {
        const last = first + more;
        const missing = missingOf({ first, last }, runsOf(list));
        for (let number = first; number <= last; number += 1n)
          expect(runWith(missing, number) !== undefined).toBe(!list.includes(number));
        for (const run of missing) expect(run.first >= first && run.last <= last).toBe(true);
      }),
    );
  });
});

describe('an archive', () => {
  test('is made of whole segments, by their keys, and of nothing else', () => {
    const name = '000000010000000000000042';
    const keys = [
      `infra/wal/${system}/00000001/${name}.zst`,
      '000000010000000000000043.gz',
      '000000020000000000000043.zst',
      '000000010000000000000044.partial.zst',
      '000000010000000000000045',
      '000000010000000000000046.zst.tmp',
      '000000010000000000000147.zst',
      '00000002.history',
    ];
    const built = buildArchive({ systemIdentifier: system, segmentBytes, keys });
    expect([...built.segments]).toEqual([
      [1, [{ first: 0x42n, last: 0x43n }]],
      [2, [{ first: 0x43n, last: 0x43n }]],
    ]);
    expect(storedSegment('000000010000000000000044.partial.gz', segmentBytes)).toBeUndefined();
  });

  test('is the same after it went through JSON', () => {
    const made = archive(['1:2-9,11-20', '3:20-40'], { 3: [left(1, 18), left(2, 20)] });
    const json: unknown = JSON.parse(JSON.stringify(archiveToJson(made)));
    expect(archiveFromJson(walArchiveSchema.parse(json))).toEqual(made);
  });

  test('in JSON has runs of one timeline, of segments of its size', () => {
    const json = archiveToJson(archive(['1:2-9']));
    const withRun = (first: string, last: string) => ({ ...json, segments: [{ first, last }] });
    expect(walArchiveSchema.safeParse(json).success).toBe(true);
    for (const run of [
      withRun('000000010000000000000009', '000000010000000000000002'),
      withRun('000000010000000000000002', '000000020000000000000009'),
      withRun('000000010000000000000100', '000000010000000000000101'),
      withRun('nonsense', '000000020000000000000009'),
    ])
      expect(walArchiveSchema.safeParse(run).success).toBe(false);
  });

  test('of 100,000 segments is built quickly enough to be built at every look', () => {
    const built = archive(['1:1-50000,50002-100001']);
    expect(built.segments.get(1)).toHaveLength(2);
  });
});
