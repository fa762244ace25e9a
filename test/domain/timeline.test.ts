import { describe, expect, test } from '@jest/globals';
import { parseHistory } from '../../src/domain/timeline.ts';
import { told } from './samples.ts';

const name = '00000003.history';

describe('a history file', () => {
  test('tells where each timeline was left', () => {
    const text =
      '1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore 2026-11-21 02:00:00+00\n';
    expect(parseHistory(text, name)).toEqual([
      { timeline: 1, switchLsn: 0x3000148n },
      { timeline: 2, switchLsn: 0x5000000n },
    ]);
  });

  test('may be without a last line end, a reason, or any line', () => {
    expect(parseHistory('1 0/3000148', name)).toEqual([{ timeline: 1, switchLsn: 0x3000148n }]);
    expect(parseHistory('', name)).toEqual([]);
    expect(parseHistory('1\t0/3000148\r\n', name)).toEqual([{ timeline: 1, switchLsn: 0x3000148n }]);
  });

  test.each([
    ['a line that is none', '1\t0/3000148\nnonsense\n'],
    ['a place that is none', '1\t3000148\treason\n'],
    ['a timeline that doesn’t rise', '2\t0/3000148\n1\t0/5000000\n'],
    ['the same timeline twice', '1\t0/3000148\n1\t0/5000000\n'],
    ['a place that falls', '1\t0/5000000\n2\t0/3000148\n'],
  ])('with %s is damaged, and named', (_, text) => {
    expect(told(() => parseHistory(text, name))).toMatch(/^ObjectDamaged: 00000003.history, line [12],/);
  });
});
