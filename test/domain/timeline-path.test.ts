import { describe, expect, test } from '@jest/globals';
import {
  ancestry,
  coveredRuns,
  gapsOf,
  segmentNames,
  segmentsFor,
  timelineAt,
  timelineOfSegment,
  type TimelinePath,
} from '../../src/domain/timeline-path.ts';
import type { WalArchive } from '../../src/domain/wal-archive.ts';
import { segmentName } from '../../src/domain/wal.ts';
import { archive, left, segmentBytes } from './physical-samples.ts';

const at = (segment: number, offset = 0) => BigInt(segment) * BigInt(segmentBytes) + BigInt(offset);
const name = (timeline: number, segment: number) => segmentName(timeline, BigInt(segment), segmentBytes);
const pathTo = (of: WalArchive, timeline: number): TimelinePath => {
  const path = ancestry(of, timeline);
  if (path === undefined) throw new Error(`no path to ${String(timeline)}`);
  return path;
};

describe('the way to a timeline', () => {
  const histories = { 2: [left(1, 8)], 3: [left(1, 8), left(2, 12)] };

  test('goes through every timeline that its history tells of', () => {
    const made = archive(['1:2-7', '2:8-11', '3:12-20'], histories);
    expect(ancestry(made, 1)).toEqual([{ timeline: 1, from: 0n, to: null }]);
    expect(ancestry(made, 3)).toEqual([
      { timeline: 1, from: 0n, to: at(8, 0x8000) },
      { timeline: 2, from: at(8, 0x8000), to: at(12, 0x8000) },
      { timeline: 3, from: at(12, 0x8000), to: null },
    ]);
  });

  test('is unknown without its history, or with one that is no history of it', () => {
    expect(ancestry(archive(['2:8-11']), 2)).toBeUndefined();
    expect(ancestry(archive([], { 2: [] }), 2)).toBeUndefined();
    expect(ancestry(archive([], { 2: [left(3, 8)] }), 2)).toBeUndefined();
  });

  test('gives each byte to one timeline: the place of a switch is the next one’s', () => {
    const path = pathTo(archive([], histories), 3);
    expect([at(8, 0x7fff), at(8, 0x8000), at(12, 0x8000)].map((place) => timelineAt(path, place))).toEqual([1, 2, 3]);
  });

  test('reads the segment of a switch from the next timeline’s file, as PostgreSQL does', () => {
    const path = pathTo(archive([], { ...histories, 4: [left(1, 8, 0)] }), 3);
    expect([7n, 8n, 11n, 12n].map((number) => timelineOfSegment(path, number, segmentBytes))).toEqual([1, 2, 2, 3]);
    const boundary = pathTo(archive([], { 4: [left(1, 8, 0)] }), 4);
    expect([7n, 8n].map((number) => timelineOfSegment(boundary, number, segmentBytes))).toEqual([1, 4]);
    const twice = pathTo(archive([], { 3: [left(1, 8, 10), left(2, 8, 20)] }), 3);
    expect([7n, 8n].map((number) => timelineOfSegment(twice, number, segmentBytes))).toEqual([1, 3]);
  });
});

describe('the segments for a stretch', () => {
  const made = archive(['1:2-8', '2:8-20'], { 2: [left(1, 8)] });
  const path = pathTo(made, 2);

  test('are named along the way, timeline by timeline', () => {
    const found = segmentsFor(made, path, at(7, 5), at(9, 1));
    expect(found.found && [...segmentNames(found.runs, segmentBytes)]).toEqual([name(1, 7), name(2, 8), name(2, 9)]);
  });

  test('end with the last byte: the next segment’s beginning doesn’t need the next segment', () => {
    expect(segmentsFor(made, path, at(20), at(21))).toMatchObject({ found: true });
    expect(segmentsFor(made, path, at(20), at(21, 1))).toEqual({ found: false, missing: name(2, 21) });
    expect(segmentsFor(made, path, at(30), at(30))).toEqual({ found: true, runs: [] });
  });

  test('are refused by the first one’s name that is missing', () => {
    expect(segmentsFor(made, path, at(1), at(9))).toEqual({ found: false, missing: name(1, 1) });
    const holed = archive(['1:2-8', '2:9-12,14-20'], { 2: [left(1, 8)] });
    expect(segmentsFor(holed, path, at(3), at(20))).toEqual({ found: false, missing: name(2, 8) });
    expect(segmentsFor(holed, path, at(9), at(20))).toEqual({ found: false, missing: name(2, 13) });
  });

  test('don’t come from what a timeline went on to write after it was left', () => {
    const abandoned = archive(['1:2-30', '2:8-9'], { 2: [left(1, 8)] });
    expect(coveredRuns(abandoned, path)).toEqual([{ first: 2n, last: 9n }]);
    expect(coveredRuns(abandoned, pathTo(abandoned, 1))).toEqual([{ first: 2n, last: 30n }]);
  });
});

describe('gaps', () => {
  const gaps = (made: WalArchive) =>
    gapsOf(made).map(({ timeline, first, last }) => `${String(timeline)}:${String(first)}-${String(last)}`);

  test.each<[string, WalArchive, string[]]>([
    ['nothing', archive([]), []],
    ['one run', archive(['1:5-9']), []],
    ['two runs', archive(['1:5-9,12-14,16-17']), ['1:10-11', '1:15-15']],
    ['a switch without a gap', archive(['1:2-7', '2:8-9'], { 2: [left(1, 8)] }), []],
    ['the rest of the old timeline missing', archive(['1:2-5', '2:8-9'], { 2: [left(1, 8)] }), ['1:6-7']],
    ['the beginning of the new timeline missing', archive(['1:2-7', '2:10-12'], { 2: [left(1, 8)] }), ['2:8-9']],
    ['both missing', archive(['1:2-5', '2:10-12'], { 2: [left(1, 8)] }), ['1:6-7', '2:8-9']],
    ['a new timeline of which nothing is archived yet', archive(['1:2-5'], { 2: [left(1, 8)] }), []],
    ['an archive that begins after the switch', archive(['2:10-12'], { 2: [left(1, 8)] }), []],
    [
      'a hole around a switch, with the old timeline going on',
      archive(['1:2-5,9-12', '2:8-9'], { 2: [left(1, 8)] }),
      ['1:6-8'],
    ],
    [
      'two timelines that leave the same one',
      archive(['1:2-4', '2:6-7', '3:8-9'], { 2: [left(1, 6)], 3: [left(1, 8)] }),
      ['1:5-7'],
    ],
    ['a timeline whose history is missing', archive(['1:2-4', '2:8-9']), []],
  ])('of %s', (_, made, expected) => {
    expect(gaps(made)).toEqual(expected);
  });
});
