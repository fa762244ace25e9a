import { describe, expect, it } from '@jest/globals';
import { copyReport } from '../../../src/domain/restore-report.ts';
import { compareContents, type FoundContents } from '../../../src/postgres/restore/compare.ts';
import type { DatabaseRecord } from '../../../src/domain/manifest.ts';

const record: Pick<DatabaseRecord, 'tables' | 'extensions'> = {
  tables: [
    ['public', 'orders', 12],
    ['public', 'odd "name"', 0],
    ['public', 'parted', null],
  ],
  extensions: [{ name: 'citext', version: '1.6', schema: 'public' }],
};

const equal: FoundContents = {
  tables: [
    { schema: 'public', name: 'orders' },
    { schema: 'public', name: 'odd "name"' },
    { schema: 'public', name: 'parted' },
  ],
  rows: new Map([
    ['"public"."orders"', 12],
    ['"public"."odd ""name"""', 0],
  ]),
  extensions: [
    { name: 'plpgsql', version: '1.0', schema: 'pg_catalog' },
    { name: 'citext', version: '1.6', schema: 'public' },
  ],
  invalidIndexes: [],
  incompleteIndexes: [],
  unvalidatedConstraints: [],
};

const compare = (found: Partial<FoundContents>, othersMayBeThere = false) =>
  compareContents(record, { ...equal, ...found }, { othersMayBeThere });

describe('comparing with the record', () => {
  it('finds equal what is equal', () => {
    expect(compare({})).toMatchObject({
      ok: true,
      tablesCompared: 3,
      rowsCompared: 12,
      differences: [],
      differenceCount: 0,
    });
    expect(compare({}).notes).toEqual([expect.stringContaining('no row counts for 1 of 3 tables')]);
  });

  it('names a table that is missing, is there too, or has other rows', () => {
    const tables = [...equal.tables.filter(({ name }) => name !== 'parted'), { schema: 'x', name: 'more' }];
    const rows = new Map([
      ['"public"."orders"', 11],
      ['"public"."odd ""name"""', 0],
    ]);
    expect(compare({ tables, rows })).toMatchObject({
      ok: false,
      differences: [
        { object: 'table "public"."orders"', expected: '12 rows', found: '11 rows' },
        { object: 'table "public"."parted"', expected: 'a table', found: 'nothing' },
        { object: 'table "x"."more"', expected: 'nothing', found: 'a table' },
      ],
    });
  });

  it('finds it different where a table holds no rows that held some', () => {
    expect(compare({ rows: new Map() }).differences).toHaveLength(2);
  });

  it('names an extension that is missing, lies elsewhere, or is there too', () => {
    const differences = (extensions: FoundContents['extensions']) => compare({ extensions }).differences;
    expect(differences([])).toEqual([{ object: 'extension citext', expected: 'version 1.6', found: 'nothing' }]);
    expect(differences([{ name: 'citext', version: '1.6', schema: 'x' }])).toEqual([
      { object: 'extension citext', expected: 'in schema public', found: 'in schema x' },
    ]);
    expect(differences([...equal.extensions, { name: 'hstore', version: '1.8', schema: 'public' }])).toHaveLength(1);
  });

  it('notes another version of an extension: a dump asks for none', () => {
    const found = compare({ extensions: [{ name: 'citext', version: '1.8', schema: 'public' }] });
    expect(found.ok).toBe(true);
    expect(found.notes).toContain('extension citext was 1.6 and is 1.8 here: the target brings that version');
  });

  it('takes an invalid index for a difference, and what a source may have had so for a note', () => {
    expect(compare({ invalidIndexes: ['public.i'] })).toMatchObject({
      ok: false,
      differences: [{ object: 'index public.i' }],
    });
    const noted = compare({ incompleteIndexes: ['public.p'], unvalidatedConstraints: ['c on t', 'd on t'] });
    expect(noted.ok).toBe(true);
    expect(noted.notes.slice(1)).toEqual([
      'constraints that are not validated, as in the source: c on t, d on t',
      'partitioned indexes that lack a partition’s, as in the source: public.p',
    ]);
  });

  it('minds no others where the database wasn’t empty', () => {
    const tables = [...equal.tables, { schema: 'x', name: 'more' }];
    expect(compare({ tables }, true).ok).toBe(true);
    expect(compare({ tables, rows: new Map() }, true).ok).toBe(false);
  });

  it('lists fifty differences and counts all', () => {
    const tables = [
      ...equal.tables,
      ...Array.from({ length: 100_000 }, (_, i) => ({ schema: 'x', name: `t${String(i)}` })),
    ];
    const report = compare({ tables });
    expect(report.differences).toHaveLength(50);
    expect(report.differenceCount).toBe(100_000);
    expect(JSON.stringify(report).length).toBeLessThan(10_000);
    expect(copyReport(report).differences).toHaveLength(50);
    expect(copyReport(report).differences.at(-1)).toBe('and 99,951 more');
  });
});
