import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HoldfastError } from '../../src/domain/errors.ts';
import { parseRecoverArgument } from '../../src/domain/recover-argument.ts';
import {
  describeTarget,
  microsOf,
  parseInstant,
  recoveryTargetSchema,
  targetAsWritten,
  type RecoveryTarget,
} from '../../src/domain/recovery-target.ts';
import { expectGolden } from '../golden.ts';

describe('a time', () => {
  test.each([
    ['2025-10-30T14:00:00+09:00', '2025-10-30T14:00:00+09:00', '2025-10-30T05:00:00.000Z'],
    ['2025-10-30 14:00:00.123456+09', '2025-10-30T14:00:00.123456+09:00', '2025-10-30T05:00:00.123Z'],
    ['2025-10-30T14:00Z', '2025-10-30T14:00:00Z', '2025-10-30T14:00:00.000Z'],
    ['2025-10-30T14:00:00-0330', '2025-10-30T14:00:00-03:30', '2025-10-30T17:30:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('%s is read', (text, written, utc) => {
    const parsed = parseInstant(text);
    expect(parsed?.text).toBe(written);
    expect(new Date(Number((parsed?.micros ?? 0n) / 1000n)).toISOString()).toBe(utc);
  });

  test.each([
    '2025-10-30T14:00:00',
    '2025-10-30',
    '2025-02-30T14:00:00Z',
    '2025-02-29T00:00:00Z',
    '2025-13-01T00:00:00Z',
    '2025-10-30T24:00:00Z',
    '2025-10-30T14:60:00Z',
    '2025-10-30T14:00:60Z',
    '2025-10-30T14:00:00.1234567Z',
    '2025-10-30T14:00:00+16:00',
    '2025-10-30T14:00:00+09:60',
    '2025-10-30T14:00:00 Asia/Tokyo',
    'yesterday',
    "2025-10-30T14:00:00Z'; --",
    '',
  ])('%p is refused', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test('keeps its microseconds, whatever its offset', () => {
    const moment = fc.date({ min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(
        moment,
        fc.integer({ min: 0, max: 999 }),
        fc.integer({ min: -900, max: 900 }),
        (date, micros, minutes) => {
          const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 23);
          const two = (value: number) => String(value).padStart(2, '0');
          const size = Math.abs(minutes);
          const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
          const text = `${local}${String(micros).padStart(3, '0')}${offset}`;
          expect(microsOf(text)).toBe(BigInt(date.getTime()) * 1000n + BigInt(micros));
          expect(parseInstant(text)?.text).toBe(text);
        },
      ),
    );
  });
});

const good: readonly (readonly [unknown, RecoveryTarget])[] = [
  ['latest', { kind: 'latest', timeline: 'latest' }],
  [{ latest: true }, { kind: 'latest', timeline: 'latest' }],
  [
    { immediate: true, timeline: 3 },
    { kind: 'immediate', timeline: 3 },
  ],
  [
    { time: '2025-10-30T14:00:00+09:00' },
    { kind: 'time', at: '2025-10-30T14:00:00+09:00', inclusive: true, timeline: 'latest' },
  ],
  [
    { lsn: '0/3000148', inclusive: false, timeline: 'latest' },
    { kind: 'lsn', lsn: '0/3000148', inclusive: false, timeline: 'latest' },
  ],
  [{ lsn: '0/0300a148' }, { kind: 'lsn', lsn: '0/300A148', inclusive: true, timeline: 'latest' }],
  [{ xid: '1234' }, { kind: 'xid', xid: '1234', inclusive: true, timeline: 'latest' }],
  [{ xid: 1234 }, { kind: 'xid', xid: '1234', inclusive: true, timeline: 'latest' }],
  [{ name: "o'brien's migration" }, { kind: 'name', name: "o'brien's migration", timeline: 'latest' }],
];

describe('a target', () => {
  test.each(good)('%j is read, and comes back as it was written', (value, target) => {
    expect(recoveryTargetSchema.parse(value)).toEqual(target);
    expect(recoveryTargetSchema.parse(targetAsWritten(target))).toEqual(target);
  });

  test('is described on one line', () => {
    const lines = good.flatMap(([, target]) => [describeTarget(target), describeTarget({ ...target, timeline: 2 })]);
    expectGolden(import.meta.url, 'recovery-targets.txt', lines.join('\n'));
  });
});

describe('the argument of recover', () => {
  const parsed = (more: object, target: unknown = 'latest') =>
    parseRecoverArgument({ cluster: 'infra', target, ...more });

  test('that is right comes back with its defaults', () => {
    expect(parsed({})).toEqual({ cluster: 'infra', target: { kind: 'latest', timeline: 'latest' }, tablespaces: {} });
    const whole = {
      backup: 'infra-base-20261121-020000',
      beside: { directory: '/srv/copy', port: 5433 },
      tablespaces: { fast: '/srv/fast', "o'brien": '/srv/other' },
      requestedBy: 'alice',
    };
    expect(parsed(whole)).toMatchObject(whole);
    expect(parsed({ inPlace: true }).inPlace).toBe(true);
    expect(parsed({ backup: 'latest' }).backup).toBeUndefined();
  });

  test('that is wrong is InvalidArgument with paths, expectations and an example', () => {
    const wrong: readonly (readonly [string, unknown])[] = [
      ['nothing', undefined],
      ['no target', { cluster: 'infra' }],
      ['an empty target', { cluster: 'infra', target: {} }],
      ['a target in one word', { cluster: 'infra', target: 'newest' }],
      ['two kinds', { cluster: 'infra', target: { latest: true, xid: '5' } }],
      ['a kind that is false', { cluster: 'infra', target: { latest: false } }],
      ['an unknown kind', { cluster: 'infra', target: { date: '2025-10-30' } }],
      ['a time without an offset', { cluster: 'infra', target: { time: '2025-10-30T14:00:00' } }],
      ['a day that doesn’t exist', { cluster: 'infra', target: { time: '2025-02-30T14:00:00Z' } }],
      ['a place that is none', { cluster: 'infra', target: { lsn: '3000148' } }],
      ['a transaction in hexadecimal', { cluster: 'infra', target: { xid: '0x4d2' } }],
      ['a transaction that is octal to PostgreSQL', { cluster: 'infra', target: { xid: '0123' } }],
      ['a transaction that is nobody’s', { cluster: 'infra', target: { xid: 2 } }],
      ['a name that is too long', { cluster: 'infra', target: { name: 'ä'.repeat(32) } }],
      ['a name with a line break', { cluster: 'infra', target: { name: 'a\nb' } }],
      ['a timeline in words', { cluster: 'infra', target: { latest: true, timeline: 'newest' } }],
      ['timeline 0', { cluster: 'infra', target: { latest: true, timeline: 0 } }],
      ['inclusive where it means nothing', { cluster: 'infra', target: { latest: true, inclusive: false } }],
      ['in place and beside', { cluster: 'infra', target: 'latest', inPlace: true, beside: {} }],
      ['in place that is false', { cluster: 'infra', target: 'latest', inPlace: false }],
      ['a relative directory', { cluster: 'infra', target: 'latest', beside: { directory: 'data' } }],
      ['a directory with ..', { cluster: 'infra', target: 'latest', beside: { directory: '/srv/../etc' } }],
      ['the root', { cluster: 'infra', target: 'latest', beside: { directory: '/' } }],
      ['a port of the system’s', { cluster: 'infra', target: 'latest', beside: { port: 80 } }],
      [
        'two tablespaces in one directory',
        { cluster: 'infra', target: 'latest', tablespaces: { a: '/srv/a', b: '/srv/a/b' } },
      ],
      [
        'a tablespace in the copy’s directory',
        { cluster: 'infra', target: 'latest', beside: { directory: '/srv/a' }, tablespaces: { a: '/srv/a' } },
      ],
      ['a backup that is a path', { cluster: 'infra', target: 'latest', backup: '../x' }],
      ['an unknown member', { cluster: 'infra', target: 'latest', database: 'app' }],
    ];
    const texts = wrong.map(([name, value]) => {
      try {
        parseRecoverArgument(value);
      } catch (error) {
        if (error instanceof HoldfastError) return `${name}\n  ${error.type}: ${error.message}\n`;
        throw error;
      }
      return `${name}\n  was taken\n`;
    });
    expectGolden(import.meta.url, 'recover-arguments.txt', texts.join(''));
  });
});
