import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  adoptArgument,
  backupArgument,
  parseArgument,
  pruneArgument,
  restoreArgument,
} from '../../src/domain/arguments.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import { expectGolden } from '../golden.ts';
import { told } from './samples.ts';

const gatus = { cluster: 'jigga', database: 'gatus' };

describe('an argument', () => {
  test('that is right comes back with its defaults', () => {
    expect(parseArgument('backup', backupArgument, { policy: 'daily' })).toEqual({ policy: 'daily' });
    expect(parseArgument('prune', pruneArgument, { policy: 'daily' })).toEqual({ policy: 'daily', dryRun: false });
    expect(parseArgument('restore', restoreArgument, { cluster: 'jigga' })).toEqual({
      cluster: 'jigga',
      backup: 'latest',
      properties: 'live',
      missingRoles: 'fail',
    });
    const whole = { ...gatus, backup: 'b-20261121-020000.sql.gz', into: 'gatus_2', onto: 'lab', properties: 'backup' };
    expect(
      parseArgument('restore', restoreArgument, { ...whole, missingRoles: 'create', requestedBy: 'alice' }),
    ).toEqual({
      ...whole,
      backup: 'b-20261121-020000',
      missingRoles: 'create',
      requestedBy: 'alice',
    });
  });

  test.each(['host=evil', "o'brien", '"quoted"', '$(id)', '-rf', 'two\nlines', 'ä'.repeat(31), '🐘'.repeat(15), ' '])(
    'may name a database %p: PostgreSQL has such names',
    (database) => {
      expect(parseArgument('restore', restoreArgument, { cluster: 'jigga', database }).database).toBe(database);
    },
  );

  test('that is wrong is InvalidArgument with paths, expectations and an example', () => {
    const cases: readonly (readonly [string, unknown])[] = [
      ['nothing', undefined],
      ['null', null],
      ['a number', 5],
      ['true', true],
      ['a text', 'jigga'],
      ['JSON in a text', '{"cluster":"jigga"}'],
      ['a list', [{ cluster: 'jigga' }]],
      ['an empty object', {}],
      ['an unknown member', { ...gatus, databse: 'gatus' }],
      ['a member named __proto__', JSON.parse('{"cluster":"jigga","__proto__":{"into":"x"}}')],
      ['a cluster that is null', { cluster: null }],
      ['a cluster that is a path', { cluster: '../../etc/passwd' }],
      ['a backup that is a path', { cluster: 'jigga', backup: '../../etc/passwd' }],
      ['a backup that is empty', { cluster: 'jigga', backup: '' }],
      ['a backup that is a number', { cluster: 'jigga', backup: 20261121 }],
      ['a database without a name', { cluster: 'jigga', database: '' }],
      ['a database of 64 bytes', { cluster: 'jigga', database: 'ä'.repeat(32) }],
      ['a database with NUL', { cluster: 'jigga', database: 'a\0b' }],
      ['a database with half a character', { cluster: 'jigga', database: 'a\ud800b' }],
      ['into without database', { cluster: 'jigga', into: 'copy' }],
      ['into without a name', { ...gatus, into: '' }],
      ['onto a path', { ...gatus, onto: '/tmp' }],
      ['properties of nobody', { ...gatus, properties: 'mine' }],
      ['roles that are a list', { ...gatus, missingRoles: ['app'] }],
      ['tables without a place for them', { ...gatus, tables: ['public.orders'] }],
      ['tables with two places', { ...gatus, tables: ['public.orders'], into: 'copy', intoSchema: 'rescued' }],
      ['tables of no database', { cluster: 'jigga', tables: ['public.orders'], into: 'copy' }],
      ['a table without its schema', { ...gatus, tables: ['orders'], into: 'copy' }],
      ['a table with two dots', { ...gatus, tables: ['a.b.c'], into: 'copy' }],
      ['no tables', { ...gatus, tables: [], into: 'copy' }],
      ['schemas that are a text', { ...gatus, schemas: 'shop', intoSchema: 'rescued' }],
      ['a schema for nothing', { ...gatus, intoSchema: 'rescued' }],
      ['a permission for what is vouched for', { ...gatus, allow: ['server-side'] }],
      ['a permission that is none', { ...gatus, foreign: true, allow: ['everything'] }],
      ['a long requester', { ...gatus, requestedBy: 'a'.repeat(201) }],
      [
        'everything at once',
        { cluster: 5, backup: 5, database: 5, into: 5, onto: 5, properties: 5, missingRoles: 5, a: 1 },
      ],
    ];
    const answers = cases.map(
      ([title, value]) => `# ${title}\n${told(() => parseArgument('restore', restoreArgument, value))}`,
    );
    const others = [
      `# backup\n${told(() => parseArgument('backup', backupArgument, { policy: 'Daily' }))}`,
      `# adopt\n${told(() => parseArgument('adopt', adoptArgument, { policy: 'daily', dump: '../x', by: '' }))}`,
      `# prune\n${told(() => parseArgument('prune', pruneArgument, { policy: 'daily', dryRun: 'yes' }))}`,
    ];
    expectGolden(import.meta.url, 'arguments.txt', [...answers, ...others].join('\n'));
  });

  test('names tables by "schema.table", or apart where a name holds a dot', () => {
    const tables = ['public.orders', { schema: 'a.b', table: 'c' }];
    expect(
      parseArgument('restore', restoreArgument, { cluster: 'jigga', database: 'gatus', tables, intoSchema: 'rescued' })
        .tables,
    ).toEqual([
      { schema: 'public', table: 'orders' },
      { schema: 'a.b', table: 'c' },
    ]);
  });

  test('of any value is taken or refused as InvalidArgument, shortly and in well-formed text', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }),
        (value) => {
          try {
            parseArgument('restore', restoreArgument, value);
          } catch (error) {
            if (!(error instanceof HoldfastError)) throw error;
            expect(error.type).toBe('InvalidArgument');
            expect(error.message.length).toBeLessThan(5000);
            expect(error.message).not.toMatch(/\p{Cs}/u);
          }
        },
      ),
    );
  });
});
