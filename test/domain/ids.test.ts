import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  backupId,
  backupIdSchema,
  besideName,
  bytesQueue,
  clusterName,
  controlQueue,
  evidenceDirectory,
  joinKey,
  leaseWorkflowId,
  logicalDirectory,
  nameSchema,
  policyName,
  repositoryName,
  runRecordKey,
  scheduleId,
  scheduledWorkflowId,
  shortRunId,
  siteQueue,
  stamp,
  startedWorkflowId,
} from '../../src/domain/ids.ts';

const bytes = (text: string) => new TextEncoder().encode(text).length;
const run = fc.stringMatching(/^[0-9a-f]{8}$/);
const role = fc.constantFrom('new' as const, 'old' as const);
/** As PostgreSQL holds it: 1 to 63 bytes of UTF-8, anything but NUL. */
const databaseName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 63 })
  .filter((name) => bytes(name) <= 63 && !name.includes('\0'));

describe('a name', () => {
  test.each(['a', '0', 'jigga-daily', 'a'.repeat(63), 'constructor'])('%p is one', (name) => {
    expect([clusterName(name), policyName(name), repositoryName(name)]).toEqual([name, name, name]);
  });

  test.each(['', 'A', '-a', 'a-', 'a.b', 'a/b', '..', 'a b', 'a\n', 'ä', '__proto__', 'a'.repeat(64)])(
    '%p is none',
    (name) => {
      expect(nameSchema.safeParse(name).success).toBe(false);
    },
  );
});

describe('ids, queues and keys', () => {
  test('are made in one way', () => {
    expect([
      controlQueue,
      bytesQueue('main'),
      siteQueue('main'),
      leaseWorkflowId('jigga'),
      scheduleId('homelab', 'daily'),
      scheduledWorkflowId('daily'),
      startedWorkflowId('restore', 'jigga', 'x1'),
      logicalDirectory('jigga'),
      evidenceDirectory('jigga', 'b1'),
      runRecordKey('jigga', 'r1'),
    ]).toEqual([
      'holdfast',
      'holdfast/main',
      'holdfast/main/control',
      'cluster/jigga',
      'homelab/daily',
      'backup/daily',
      'restore/jigga/x1',
      'jigga/logical',
      'jigga/evidence/b1',
      'jigga/runs/r1.json',
    ]);
  });

  test('join without empty parts', () => {
    expect([joinKey('', 'a.sql.gz'), joinKey('x/y', 'a'), joinKey('', '')]).toEqual(['a.sql.gz', 'x/y/a', '']);
  });
});

describe('a stamp', () => {
  test('is what cron jobs of this field always wrote, in UTC', () => {
    expect(stamp(new Date('2026-11-21T02:00:00+09:00'))).toBe('20261120-170000');
  });

  const seconds = fc.integer({ min: 0, max: 253_402_300_799 });

  test('leads back to its second', () => {
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999 }), (second, ms) => {
        const back = stamp(new Date(second * 1000 + ms)).replace(
          /^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/,
          '$1-$2-$3T$4:$5:$6Z',
        );
        expect(Date.parse(back)).toBe(second * 1000);
      }),
    );
  });

  test('sorts as time does', () => {
    fc.assert(
      fc.property(seconds, seconds, (a, b) => {
        expect(Math.sign(a - b)).toBe(
          Math.sign(
            Number(stamp(new Date(a * 1000)) > stamp(new Date(b * 1000))) -
              Number(stamp(new Date(a * 1000)) < stamp(new Date(b * 1000))),
          ),
        );
      }),
    );
  });
});

describe("a backup's id", () => {
  const at = new Date('2026-11-21T02:00:00Z');

  test('is prefix and stamp, and counts on where a name is taken', () => {
    expect([backupId('postgres-backup', at), backupId('postgres-backup', at, 2)]).toEqual([
      'postgres-backup-20261121-020000',
      'postgres-backup-20261121-020000-2',
    ]);
  });

  test.each([
    ['latest', 'latest'],
    ['postgres-backup-20261121-020000', 'postgres-backup-20261121-020000'],
    ['postgres-backup-20261121-020000.sql.gz', 'postgres-backup-20261121-020000'],
    ['postgres-backup-20261121-020000.sql.zst', 'postgres-backup-20261121-020000'],
    ['postgres-backup-20261121-020000.sql', 'postgres-backup-20261121-020000'],
  ])('%p means %p', (given, meant) => {
    expect(backupIdSchema.parse(given)).toBe(meant);
  });

  test.each([
    '',
    '..',
    '.hidden',
    '../../etc/passwd',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'a\0b',
    'a b',
    'a\n',
    '-rf',
    'a'.repeat(201),
  ])('can’t be %p', (given) => {
    expect(backupIdSchema.safeParse(given).success).toBe(false);
  });

  test('is never a path, whatever is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (given) => {
        const parsed = backupIdSchema.safeParse(given);
        if (parsed.success) expect(parsed.data).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
      }),
    );
  });

  test('that was made by any policy is one that can be given', () => {
    const prefix = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);
    fc.assert(
      fc.property(prefix, fc.integer({ min: 1, max: 99 }), (text, turn) => {
        const id = backupId(text, at, turn);
        expect(backupIdSchema.parse(id)).toBe(id);
        expect(backupIdSchema.parse(`${id}.sql.gz`)).toBe(id);
      }),
    );
  });
});

describe("a run's short id", () => {
  test('is eight hex digits, the same for the same run and another for another', () => {
    expect(shortRunId('restore/jigga', 'r1')).toMatch(/^[0-9a-f]{8}$/);
    expect(shortRunId('restore/jigga', 'r1')).toBe(shortRunId('restore/jigga', 'r1'));
    expect(shortRunId('restore/jigga', 'r2')).not.toBe(shortRunId('restore/jigga', 'r1'));
  });
});

describe('the name of a database beside another', () => {
  test('says which it is and whose', () => {
    expect([besideName('gatus', 'new', 'a1b2c3d4'), besideName('gatus', 'old', 'a1b2c3d4')]).toEqual([
      'gatus_new_a1b2c3d4',
      'gatus_old_a1b2c3d4',
    ]);
  });

  test('of 63 bytes of UTF-8 is cut at a character', () => {
    const name = besideName('ä'.repeat(31), 'new', 'a1b2c3d4');
    expect(name).toBe(`${'ä'.repeat(25)}_new_a1b2c3d4`);
    expect(bytes(name)).toBe(63);
    expect(besideName('\u{1f418}'.repeat(15), 'old', 'a1b2c3d4')).toBe(`${'\u{1f418}'.repeat(12)}_old_a1b2c3d4`);
  });

  test('fits into PostgreSQL, is valid UTF-8, and is the same each time', () => {
    fc.assert(
      fc.property(databaseName, role, run, (database, as, id) => {
        const name = besideName(database, as, id);
        expect(bytes(name)).toBeLessThanOrEqual(63);
        expect(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new TextEncoder().encode(name))).toBe(
          name,
        );
        expect(name).toBe(besideName(database, as, id));
        expect(database.startsWith(name.slice(0, -13))).toBe(true);
      }),
    );
  });

  test('differs between the copy and the old one, and between runs', () => {
    fc.assert(
      fc.property(databaseName, run, run, (database, one, two) => {
        expect(besideName(database, 'new', one)).not.toBe(besideName(database, 'old', one));
        fc.pre(one !== two);
        expect(besideName(database, 'new', one)).not.toBe(besideName(database, 'new', two));
      }),
    );
  });
});
