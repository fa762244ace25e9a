import { describe, expect, test } from '@jest/globals';
import { recoveryWindows, type WindowFacts } from '../../src/domain/recovery-window.ts';
import { renderWindow } from '../../src/domain/render-window.ts';
import { expectGolden } from '../golden.ts';
import { archive, archived, base, left } from './physical-samples.ts';

const now = new Date('2026-11-21T12:00:00Z');
const day = (date: number, hour = 2) =>
  `2026-11-${String(date).padStart(2, '0')}T${String(hour).padStart(2, '0')}:00:05.000Z`;
const other = '7500000000000000000';

const shapes: Readonly<Record<string, Omit<WindowFacts, 'cluster'>>> = {
  empty: { bases: [], archives: [] },
  'wal-without-a-base': { bases: [], archives: [archived(archive(['1:2-9']), { '1:9': day(21, 10) })] },
  'one-base': {
    bases: [base({ id: 'b1', segment: 3, at: day(20) })],
    archives: [archived(archive(['1:2-14']), { '1:14': '2026-11-21T11:30:00Z' })],
  },
  'one-base-of-this-second': {
    bases: [base({ id: 'b1', segment: 3, at: day(20) })],
    archives: [archived(archive(['1:3-3']))],
  },
  'times-unknown': {
    bases: [base({ id: 'b1', segment: 3, at: day(15) }), base({ id: 'b2', segment: 30, at: day(18) })],
    archives: [archived(archive(['1:2-60']))],
  },
  'two-gaps': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(14) }),
      base({ id: 'b2', segment: 20, at: day(16) }),
      base({ id: 'b3', segment: 52, at: day(19) }),
    ],
    archives: [
      archived(archive(['1:2-29,33-33,50-70']), {
        '1:29': day(17),
        '1:33': day(17, 9),
        '1:70': '2026-11-21T11:30:00Z',
      }),
    ],
  },
  'a-gap-and-no-new-base': {
    bases: [base({ id: 'b1', segment: 3, at: day(14) })],
    archives: [archived(archive(['1:2-20,30-40']), { '1:20': day(17), '1:40': '2026-11-21T11:30:00Z' })],
  },
  'two-timelines': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(14) }),
      base({ id: 'b2', segment: 40, at: day(18), timeline: 2 }),
      base({ id: 'b3', segment: 45, at: day(19), timeline: 2, parent: 'b2' }),
    ],
    archives: [
      archived(archive(['1:2-29', '2:30-60'], { 2: [left(1, 30)] }), {
        '1:29': day(17),
        '2:60': '2026-11-21T11:30:00Z',
      }),
    ],
  },
  'a-branch-with-a-base-of-its-own': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(14) }),
      base({ id: 'lost', segment: 35, at: day(18) }),
      base({ id: 'b3', segment: 40, at: day(19), timeline: 2 }),
    ],
    archives: [
      archived(archive(['1:2-36', '2:30-60'], { 2: [left(1, 30)] }), {
        '1:36': day(18, 9),
        '2:60': '2026-11-21T11:30:00Z',
      }),
    ],
  },
  'a-history-that-is-missing': {
    bases: [base({ id: 'b1', segment: 3, at: day(14) }), base({ id: 'b2', segment: 40, at: day(18), timeline: 2 })],
    archives: [archived(archive(['1:2-29', '2:30-60']), { '1:29': day(17) })],
  },
  'a-cluster-made-anew': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(10) }),
      base({ id: 'b2', segment: 3, at: day(18), systemIdentifier: other }),
    ],
    archives: [
      archived(archive(['1:2-20']), { '1:20': day(13) }),
      archived(archive(['1:1-40'], {}, other), { '1:40': '2026-11-21T11:30:00Z' }),
    ],
  },
  'bases-that-hold-their-wal': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(18), includesWal: true }),
      base({ id: 'b2', segment: 9, at: day(19), includesWal: true, timeline: 2 }),
    ],
    archives: [],
  },
  'broken-ones': {
    bases: [
      base({ id: 'b1', segment: 3, at: day(14), segments: 3 }),
      base({ id: 'b2', segment: 10, at: day(15), verification: 'failed' }),
      base({ id: 'b3', segment: 12, at: day(16), parent: 'gone' }),
      base({ id: 'b4', segment: 14, at: day(17), parent: 'b2' }),
      base({ id: 'b5', segment: 20, at: day(18) }),
      base({ id: 'b6', segment: 70, at: day(20) }),
    ],
    archives: [archived(archive(['1:2-4,6-60']), { '1:60': day(20, 1) })],
  },
  'hundreds-of-bases': {
    bases: Array.from({ length: 400 }, (_, index) =>
      base({
        id: `b${String(index)}`,
        segment: 3 + index * 4,
        at: new Date(Date.parse('2026-10-12T02:00:05Z') + index * 8_640_000).toISOString(),
        ...(index % 7 === 0 ? {} : { parent: `b${String(index - 1)}` }),
      }),
    ),
    archives: [archived(archive(['1:2-1610']), { '1:1610': '2026-11-21T11:30:00Z' })],
  },
};

describe('the windows', () => {
  test.each(Object.keys(shapes))('of %s are drawn and told', (name) => {
    const windows = recoveryWindows({ cluster: 'infra', bases: [], archives: [], ...shapes[name] });
    const text = renderWindow(windows, now);
    for (const line of text.split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
      expect(line).toMatch(/^[\x20-\x7e]*$/);
    }
    expectGolden(import.meta.url, `window-${name}.txt`, text);
  });

  test('are JSON, and the same whatever the order of the backups', () => {
    const facts = { cluster: 'infra', archives: [], ...shapes['two-gaps'], bases: shapes['two-gaps']?.bases ?? [] };
    const windows = recoveryWindows(facts);
    expect(JSON.parse(JSON.stringify(windows))).toEqual(windows);
    expect(recoveryWindows({ ...facts, bases: facts.bases.toReversed() })).toEqual(windows);
    expectGolden(import.meta.url, 'window-two-gaps.json', JSON.stringify(windows, null, 2));
  });

  test('begin where a base is consistent and end where the last whole segment does', () => {
    const { systems } = recoveryWindows({ cluster: 'infra', bases: [], archives: [], ...shapes['one-base'] });
    expect(systems[0]?.windows).toEqual([
      {
        from: { time: day(20), lsn: '0/3000158', base: 'b1' },
        to: { time: '2026-11-21T11:30:00Z', lsn: '0/F000000', timeline: 1 },
        bases: ['b1'],
        timelines: [1],
        alone: false,
      },
    ]);
  });
});
