import { describe, expect, test } from '@jest/globals';
import { findBackup, isGood, newestFirst, type Backup, type Catalog, type Wanted } from '../../src/domain/catalog.ts';
import { expectGolden } from '../golden.ts';
import { backup, databaseRecord, told } from './samples.ts';

const on = (day: number, more: Parameters<typeof backup>[0] = {}, verification?: Backup['verification']) =>
  backup(
    { id: `b-202611${String(day)}-020000`, startedAt: `2026-11-${String(day)}T02:00:00.000Z`, ...more },
    verification,
  );
const catalogOf = (...backups: Backup[]): Catalog => ({ backups, unreadable: [] });
const find = (catalog: Catalog, wanted: Partial<Wanted>) =>
  findBackup(catalog, { cluster: 'jigga', backup: 'latest', ...wanted }).manifest.id;

const both = [databaseRecord('gatus'), databaseRecord('app')];
const withoutApp = [databaseRecord('gatus'), databaseRecord('app', 'failed'), databaseRecord('old', 'skipped')];

describe('a good backup', () => {
  test('is complete and wasn’t found damaged', () => {
    expect(isGood(on(21))).toBe(true);
    expect(isGood(on(21, {}, 'passed'))).toBe(true);
    expect(isGood(on(21, {}, 'failed'))).toBe(false);
    expect(isGood(on(21, { status: 'partial' }))).toBe(false);
  });
});

describe('the order of backups', () => {
  test('is newest first, however the times are written', () => {
    const times = ['2026-11-21T02:00:00Z', '2026-11-21T02:00:00.500Z', '2026-11-21T02:00Z', '2026-11-20T23:59:59.999Z'];
    const sorted = newestFirst(times.map((startedAt, index) => backup({ id: `b${String(index)}`, startedAt })));
    expect(sorted.map(({ manifest }) => manifest.id)).toEqual(['b1', 'b2', 'b0', 'b3']);
  });

  test('of the same moment is by id, and leaves what was given alone', () => {
    const given = [on(21, { id: 'a' }), on(21, { id: 'b' }), on(21, { id: 'a' })];
    expect(newestFirst(given).map(({ manifest }) => manifest.id)).toEqual(['b', 'a', 'a']);
    expect(given.map(({ manifest }) => manifest.id)).toEqual(['a', 'b', 'a']);
  });
});

describe('the backup that a restore means', () => {
  const catalog = catalogOf(
    on(17, { databases: both }),
    on(19, { databases: both }),
    on(20, { databases: withoutApp, status: 'partial' }),
    on(21, { databases: both }, 'failed'),
    on(22, { cluster: 'infra' }),
  );

  test('by latest is the newest good one of that cluster', () => {
    expect(find(catalog, {})).toBe('b-20261119-020000');
    expect(find(catalog, { cluster: 'infra' })).toBe('b-20261122-020000');
  });

  test('by latest for one database is the newest that holds it whole, be it partial for others', () => {
    expect(find(catalog, { database: 'gatus' })).toBe('b-20261120-020000');
    expect(find(catalog, { database: 'app' })).toBe('b-20261119-020000');
  });

  test('by id is that one, also where it is partial or was found damaged', () => {
    expect(find(catalog, { backup: 'b-20261117-020000' })).toBe('b-20261117-020000');
    expect(find(catalog, { backup: 'b-20261120-020000' })).toBe('b-20261120-020000');
    expect(find(catalog, { backup: 'b-20261121-020000', database: 'app' })).toBe('b-20261121-020000');
  });

  test('that isn’t there is NoSuchBackup, which says what there is', () => {
    const many = Array.from({ length: 25 }, (_, index) => databaseRecord(`db${String(index)}`));
    const unreadable = [{ manifestKey: 'x.manifest.json', reason: 'not JSON' }];
    const cases: readonly (readonly [string, Catalog, Partial<Wanted>])[] = [
      ['latest of an empty repository', catalogOf(), {}],
      ['latest beside a manifest that can’t be read', { backups: [], unreadable }, {}],
      ['latest where all are partial', { backups: [on(20, { status: 'partial' })], unreadable }, {}],
      ['latest of a database that nobody dumped', catalog, { database: 'vaultwarden' }],
      ['an unknown id', catalog, { backup: 'b-20261101-020000' }],
      ["another cluster's id", catalog, { backup: 'b-20261122-020000' }],
      ['a database that failed', catalog, { backup: 'b-20261120-020000', database: 'app' }],
      ['a database that was left out', catalog, { backup: 'b-20261120-020000', database: 'old' }],
      ['a database that it doesn’t know', catalog, { backup: 'b-20261119-020000', database: 'nope' }],
      [
        'a failure without a reason',
        catalogOf(on(21, { databases: [{ ...databaseRecord('app', 'failed'), reason: null }] })),
        { backup: 'b-20261121-020000', database: 'app' },
      ],
      [
        'a database of a backup of many',
        catalogOf(on(21, { databases: many })),
        { backup: 'b-20261121-020000', database: 'x' },
      ],
      ['more backups than are listed', catalogOf(...[11, 12, 13, 14, 15, 16].map((day) => on(day))), { backup: 'b' }],
    ];
    const answers = cases.map(([title, from, wanted]) => `# ${title}\n${told(() => find(from, wanted))}`);
    expectGolden(import.meta.url, 'catalog.txt', answers.join('\n'));
  });
});
