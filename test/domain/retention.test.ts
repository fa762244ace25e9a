import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGood, type Backup } from '../../src/domain/catalog.ts';
import type { Keep } from '../../src/domain/config.ts';
import { judge, type Verdict } from '../../src/domain/retention.ts';
import { expectGolden } from '../golden.ts';
import { backup, databaseRecord } from './samples.ts';

const now = new Date('2026-11-21T12:00:00Z');
const nobody: ReadonlyMap<string, string> = new Map();

type Marks = string;

/**
 * One backup a day, newest last, each written as its databases: `a` dumped, `-a` failed, `(a)` skipped; then `!` for
 * partial, `#` for one that a later check found damaged, `+` for one that passed a drill and `X` for one that failed it.
 */
function history(...days: readonly Marks[]): Backup[] {
  return days.map((marks, index) => {
    const startedAt = new Date(now.getTime() - 36_000_000 - (days.length - 1 - index) * 86_400_000).toISOString();
    const databases = [...marks.matchAll(/(-?)(\(?)([a-z])/g)].map(([, failed, skipped, name = '']) =>
      databaseRecord(name, failed === '-' ? 'failed' : skipped === '(' ? 'skipped' : 'dumped'),
    );
    const status = marks.includes('!') ? 'partial' : 'complete';
    const id = `b-${startedAt.slice(0, 10).replaceAll('-', '')}`;
    return backup(
      { id, startedAt, databases, status },
      marks.includes('#') ? 'failed' : 'none',
      marks.includes('+') ? 'passed' : marks.includes('X') ? 'failed' : 'none',
    );
  });
}

const shown = (verdicts: readonly Verdict[]) =>
  verdicts
    .map(({ backup: { manifest, verification }, keep }) => {
      const what = `${manifest.status}${verification === 'failed' ? ', damaged' : ''}`;
      const of = manifest.databases
        .map(({ name, status }) => (status === 'dumped' ? name : `${name} ${status}`))
        .join(', ');
      return `${keep.length === 0 ? 'goes ' : 'stays'} ${manifest.id} (${what}: ${of})${keep.map((reason) => `\n        ${reason}`).join('')}\n`;
    })
    .join('');

const week = ['a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b', 'a b'];

describe('the verdicts', () => {
  test.each<[string, Backup[], Keep, ReadonlyMap<string, string>?]>([
    ['last-7', history(...week), { last: 7 }],
    ['days-3', history(...week), { days: 3 }],
    ['last-or-days', history(...week), { last: 2, days: 4 }],
    ['none', [], { last: 7 }],
    ['one', history('a b'), { last: 1 }],
    ['all-older-than-days', history(...week).slice(0, 3), { days: 1 }],
    ['partial-in-a-row-of-their-own', history('a b', 'a b', 'a -b !', 'a -b !', 'a b', 'a -b !'), { last: 2 }],
    ['nothing-good-at-all', history('a -b !', '-a b !', 'a -b !', '-a -b !'), { last: 1 }],
    ['newest-is-damaged', history('a b', 'a b', 'a b #'), { last: 1 }],
    ['everything-is-damaged', history('a b #', 'a b #'), { last: 1 }],
    ['a-database-fails-for-days', history('a b', 'a b', 'a -b !', 'a -b !', 'a -b !'), { last: 1 }],
    ['a-database-was-left-out', history('a b', 'a b', 'a (b)', 'a (b)'), { last: 1 }],
    ['a-database-was-dropped', history('a b', 'a b', 'a', 'a'), { last: 1 }],
    ['a-new-database-fails', history('a', 'a', 'a -c !'), { last: 1 }],
    ['a-dropped-database-came-back-and-fails', history('a b', 'a', 'a', 'a -b !'), { last: 1 }],
    ['being-read', history('a', 'a', 'a'), { last: 1 }, new Map([['b-20261119', 'restore/jigga/x1']])],
    ['partial-one-holds-the-newest-copy', history('a b', '-a b !', 'a -b !'), { last: 1 }],
    ['passed-a-drill-long-ago', history('a', 'a +', 'a', 'a +', 'a X', 'a', 'a'), { last: 1 }],
    ['passed-a-drill-and-was-found-damaged', history('a +', 'a', 'a + #', 'a'), { last: 1 }],
  ])('on %s are these', (name, backups, keep, inUse = nobody) => {
    expectGolden(import.meta.url, `retention-${name}.txt`, shown(judge(backups, keep, { now, inUse })));
  });

  test('keep a backup from the future: a clock that was wrong deletes nothing', () => {
    const [old, future] = [backup({ id: 'old' }), backup({ id: 'future', startedAt: '2031-01-01T00:00:00.000Z' })];
    expect(judge([old, future], { days: 1 }, { now, inUse: nobody }).map(({ keep }) => keep.length > 0)).toEqual([
      true,
      true,
    ]);
  });
});

describe('over any history', () => {
  const record = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('dumped', 'failed', 'skipped'));
  const anyBackup = fc
    .record({
      hour: fc.integer({ min: 0, max: 500 }),
      records: fc.uniqueArray(record, { maxLength: 3, selector: ([name]) => name }),
      verification: fc.constantFrom('none', 'passed', 'failed'),
      drill: fc.constantFrom('none', 'passed', 'failed'),
    })
    .map(({ hour, records, verification, drill }) => {
      const startedAt = new Date(now.getTime() - hour * 3_600_000).toISOString();
      const status = records.some(([, outcome]) => outcome === 'failed') ? ('partial' as const) : ('complete' as const);
      const databases = records.map(([name, outcome]) => databaseRecord(name, outcome));
      return backup({ id: `b-${String(1000 - hour)}`, startedAt, databases, status }, verification, drill);
    });
  const backups = fc.uniqueArray(anyBackup, { maxLength: 12, selector: ({ manifest }) => manifest.id });
  const count = fc.integer({ min: 1, max: 8 });
  const keep = fc.oneof(
    fc.record({ last: count }),
    fc.record({ days: count }),
    fc.record({ last: count, days: count }),
  );
  const inUse = fc
    .uniqueArray(fc.integer({ min: 500, max: 1000 }), { maxLength: 4 })
    .map((ids) => new Map(ids.map((id) => [`b-${String(id)}`, 'restore/x'])));
  const kept = (verdicts: readonly Verdict[]) =>
    verdicts.filter((verdict) => verdict.keep.length > 0).map((verdict) => verdict.backup);
  const newest = (list: readonly Backup[]) =>
    [...list].sort((a, b) => (a.manifest.startedAt < b.manifest.startedAt ? 1 : -1));

  test('every backup has one verdict, newest first, whatever the order they came in', () => {
    fc.assert(
      fc.property(backups, keep, inUse, (list, rule, reading) => {
        const verdicts = judge(list, rule, { now, inUse: reading });
        expect(verdicts.map((verdict) => verdict.backup)).toEqual(newest(list));
        expect(shown(judge(list.toReversed(), rule, { now, inUse: reading }))).toBe(shown(verdicts));
      }),
    );
  });

  test('the newest good backup stays', () => {
    fc.assert(
      fc.property(backups, keep, (list, rule) => {
        const [first] = newest(list.filter(isGood));
        fc.pre(first !== undefined);
        expect(kept(judge(list, rule, { now, inUse: nobody }))).toContain(first);
      }),
    );
  });

  test('for each database that the newest good backup or a later one knows, its newest whole holder stays', () => {
    fc.assert(
      fc.property(backups, keep, (list, rule) => {
        const sorted = newest(list);
        const good = sorted.findIndex(isGood);
        const staying = kept(judge(list, rule, { now, inUse: nobody }));
        for (const { manifest } of good === -1 ? sorted : sorted.slice(0, good + 1)) {
          for (const { name } of manifest.databases) {
            const holder = sorted.find(
              (other) =>
                other.verification !== 'failed' &&
                other.manifest.databases.some((held) => held.name === name && held.status === 'dumped'),
            );
            if (holder) expect(staying).toContain(holder);
          }
        }
      }),
    );
  });

  test('what a restore reads stays', () => {
    fc.assert(
      fc.property(backups, keep, inUse, (list, rule, reading) => {
        const staying = kept(judge(list, rule, { now, inUse: reading }));
        for (const one of list) if (reading.has(one.manifest.id)) expect(staying).toContain(one);
      }),
    );
  });

  test('the last one that passed a drill stays', () => {
    fc.assert(
      fc.property(backups, keep, (list, rule) => {
        const proven = newest(list).find(({ drill, verification }) => drill === 'passed' && verification !== 'failed');
        fc.pre(proven !== undefined);
        expect(kept(judge(list, rule, { now, inUse: nobody }))).toContain(proven);
      }),
    );
  });

  test('keep.last gives its reason to exactly that many good ones, the newest, however many partial ones there are', () => {
    fc.assert(
      fc.property(backups, count, (list, last) => {
        const good = newest(list.filter(isGood));
        const reason = `among the last ${String(last)} complete backups`;
        const given = judge(list, { last }, { now, inUse: nobody }).filter((verdict) => verdict.keep.includes(reason));
        expect(given.map((verdict) => verdict.backup)).toEqual(good.slice(0, last));
      }),
    );
  });

  test('without databases to protect keep.last keeps exactly min(N, all) good ones', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), count, (length, last) => {
        const list = history(...Array.from({ length }, () => 'a'));
        expect(kept(judge(list, { last }, { now, inUse: nobody }))).toHaveLength(Math.min(length, last));
      }),
    );
  });

  test('keep.days keeps every backup that is younger', () => {
    fc.assert(
      fc.property(backups, count, (list, days) => {
        const staying = kept(judge(list, { days }, { now, inUse: nobody }));
        const since = new Date(now.getTime() - days * 86_400_000).toISOString();
        for (const one of list) if (one.manifest.startedAt > since) expect(staying).toContain(one);
      }),
    );
  });

  test('who keeps more never removes more', () => {
    fc.assert(
      fc.property(backups, keep, keep, (list, one, two) => {
        const more = Object.fromEntries(
          (['last', 'days'] as const).flatMap((member) => {
            const values = [one, two].flatMap((rule: Keep) => rule[member] ?? []);
            return values.length === 0 ? [] : [[member, Math.max(...values)]];
          }),
        );
        const staying = new Set(kept(judge(list, more, { now, inUse: nobody })));
        for (const rule of [one, two])
          for (const stays of kept(judge(list, rule, { now, inUse: nobody }))) expect(staying.has(stays)).toBe(true);
      }),
    );
  });

  test('partial and damaged backups never take the place of complete ones', () => {
    fc.assert(
      fc.property(backups, keep, (list, rule) => {
        const all = kept(judge(list, rule, { now, inUse: nobody })).filter(isGood);
        const alone = kept(judge(list.filter(isGood), rule, { now, inUse: nobody }));
        expect(all).toEqual(expect.arrayContaining(newest(alone).slice(0, 1)));
        const byRule = (verdicts: readonly Verdict[]) =>
          verdicts.flatMap((verdict) =>
            verdict.keep.some((reason) => /^among|^younger/.test(reason)) && isGood(verdict.backup)
              ? [verdict.backup]
              : [],
          );
        expect(byRule(judge(list, rule, { now, inUse: nobody }))).toEqual(
          byRule(judge(list.filter(isGood), rule, { now, inUse: nobody })),
        );
      }),
    );
  });
});
