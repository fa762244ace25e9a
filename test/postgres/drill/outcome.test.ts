import { describe, expect, test } from '@jest/globals';
import { HoldfastError } from '../../../src/domain/errors.ts';
import { listed, type ClusterReport, type RestoredDatabase } from '../../../src/domain/restore-report.ts';
import { foundIn } from '../../../src/postgres/drill/amcheck.ts';
import { checkName, judgeAnswer } from '../../../src/postgres/drill/checks.ts';
import {
  ageSeconds,
  blames,
  clusterChecks,
  dataOfLogical,
  judged,
  laterOf,
} from '../../../src/postgres/drill/outcome.ts';
import { tablespacesOf } from '../../../src/postgres/drill/tablespaces.ts';
import { splitStatements } from '../../../src/postgres/restore/statements.ts';
import { databaseRecord, told } from '../../domain/samples.ts';

const answer = (value: string | null, columns = 1) => ({ value, columns });

describe('the answer to a check', () => {
  test('passes only as the one value, exactly', () => {
    const judge = (...rows: ReturnType<typeof answer>[]) => judgeAnswer('c', rows, '42');
    expect(judge(answer('42'))).toEqual({ name: 'c', outcome: 'passed', detail: "answered '42'" });
    const said = [
      [],
      [answer('42'), answer('42')],
      [answer('42', 2)],
      [answer(null)],
      [answer('42 ')],
      [answer('42.0')],
    ];
    expect(said.map((rows) => judge(...rows)).map(({ outcome, detail }) => `${outcome}: ${detail}`)).toEqual([
      "failed: answered no row, expected '42'",
      "failed: answered more than one row, expected '42'",
      "failed: answered 2 columns, expected '42'",
      "failed: answered NULL, expected '42'",
      "failed: answered '42 ', expected '42'",
      "failed: answered '42.0', expected '42'",
    ]);
  });

  test('that is long or has line breaks is told on one line, cut', () => {
    const { detail } = judgeAnswer('c', [answer(`a\nb\u202e${'x'.repeat(500)}`)], '1');
    expect(detail).toMatch(/^answered 'a b\ufffdx+…', expected '1'$/);
    expect(checkName({ database: 'app', sql: '  SELECT\n  count(*)\n FROM t ' })).toBe('app: SELECT count(*) FROM t');
    expect(checkName({ database: 'app', sql: 'x'.repeat(300) })).toHaveLength(100);
  });
});

describe('what pg_amcheck says', () => {
  test('is shown by its first lines', () => {
    expect(foundIn('', '')).toBe('pg_amcheck failed and said nothing');
    expect(foundIn('a\n  b\n\n', 'c\nd\ne\nf')).toBe('a; b; c; d; and 2 more lines');
  });
});

describe('who is to blame', () => {
  test('for damage the backup, for a store that is away or a tool that is missing nobody', () => {
    const of = (type: ConstructorParameters<typeof HoldfastError>[0], message = 'x') =>
      blames(new HoldfastError(type, message, 'y'))?.type;
    expect([of('ObjectDamaged'), of('VerificationFailed'), of('WalMissing'), of('PlanHopeless')]).toEqual([
      'ObjectDamaged',
      'VerificationFailed',
      'WalMissing',
      'PlanHopeless',
    ]);
    expect([of('StoreUnavailable'), of('ToolMissing'), of('NoSuchBackup'), of('Unexpected')]).toEqual(
      Array(4).fill(undefined),
    );
    expect(of('RestoreFailed', 'it died: could not extend file: No space left on device')).toBeUndefined();
    expect(blames(new Error('x'))).toBeUndefined();
  });
});

const restored = (name: string, more: Partial<RestoredDatabase> = {}): RestoredDatabase => ({
  name,
  status: 'restored',
  reason: null,
  seconds: 1,
  report: { ok: true, tablesCompared: 2, rowsCompared: 30, differences: [], differenceCount: 0, errors: [], notes: [] },
  ...more,
});

const report = (databases: readonly RestoredDatabase[]): ClusterReport => ({
  ok: true,
  globals: {
    created: listed([]),
    altered: listed([]),
    kept: listed([]),
    tablespacesCreated: listed([]),
    errors: listed([]),
    notes: listed([]),
  },
  databases,
});

describe('a restored logical backup', () => {
  const manifest = {
    databases: [databaseRecord('app'), databaseRecord('old', 'skipped'), databaseRecord('gatus')],
    roles: [{ name: 'app', superuser: false, canLogin: true }],
  };
  const outcomes = (databases: readonly RestoredDatabase[], roles = ['app']) =>
    clusterChecks(report(databases), manifest, new Set(roles)).map(({ name, outcome, detail }) => [
      name,
      outcome,
      detail,
    ]);

  test('passes when everything that the backup holds is there and equal', () => {
    expect(outcomes([restored('app'), restored('gatus')])).toEqual([
      ['roles and tablespaces', 'passed', '1 role'],
      ['databases', 'passed', '2 databases'],
      ['row counts', 'passed', '60 rows in 4 tables, as in the manifest'],
    ]);
  });

  test('fails by name for what is missing or differs', () => {
    const differs = {
      ...restored('gatus'),
      report: {
        ...restored('gatus').report,
        ok: false,
        differences: [{ object: 'table "public"."orders"', expected: '3 rows', found: '2 rows' }],
        differenceCount: 1,
      } as RestoredDatabase['report'],
    };
    expect(outcomes([restored('app', { status: 'failed', reason: 'no', report: null }), differs], [])).toEqual([
      ['roles and tablespaces', 'failed', "role 'app' is missing"],
      ['databases', 'failed', "'app': no"],
      ['row counts', 'failed', `'gatus': table "public"."orders": expected 3 rows, found 2 rows`],
    ]);
    expect(judged('x', ['1', '2', '3', '4', '5', '6', '7'], '').detail).toBe('1; 2; 3; 4; 5; and 2 more');
  });

  test('is as old as the earliest snapshot in it', () => {
    const at = (snapshotAt: string | null) => ({ ...databaseRecord('x'), snapshotAt });
    const startedAt = '2026-11-21T02:00:00Z';
    const databases = [at('2026-11-21T01:59:58.5Z'), at(null), at('2026-11-21T01:59:57Z')];
    expect(dataOfLogical({ databases, startedAt })).toBe('2026-11-21T01:59:57Z');
    expect(dataOfLogical({ databases: [at(null)], startedAt })).toBe(startedAt);
    expect(ageSeconds('2026-11-21T01:59:57Z', new Date('2026-11-21T02:00:00Z'))).toBe(3);
    expect(ageSeconds('2026-11-21T02:00:05Z', new Date('2026-11-21T02:00:00Z'))).toBe(0);
    expect(ageSeconds(null, new Date())).toBeNull();
  });

  test('of a base backup is as old as the last transaction, unless the backup ended later', () => {
    const [ended, later] = ['2026-11-21T02:00:00Z', '2026-11-21T02:00:00.000001+00'];
    expect([laterOf(null, ended), laterOf('2026-11-20 02:00:00Z', ended)]).toEqual([ended, ended]);
    expect(laterOf('2026-11-21T02:00:01Z', ended)).toBe('2026-11-21T02:00:01Z');
    expect(laterOf(later, ended)).toBe(ended);
  });
});

describe('the tablespaces of a backup', () => {
  const of = (sql: string) =>
    tablespacesOf(splitStatements(sql), { tablespaces: [{ name: 'fast', location: '/fast' }] });

  test('are those of the manifest and every one that the globals would make', () => {
    expect(
      of(`CREATE TABLESPACE fast LOCATION '/fast';
          CREATE /* x */ TABLESPACE "Odd ""Name" OWNER postgres LOCATION E'/o;dd';
          ALTER TABLESPACE fast SET (seq_page_cost=1);
          COMMENT ON TABLESPACE fast IS 'CREATE TABLESPACE no LOCATION ''/no''';`),
    ).toEqual(['fast', 'Odd "Name']);
  });

  test('are refused where a statement does not tell which one it makes', () => {
    expect(told(() => of(`CREATE TABLESPACE '/x';`))).toContain('a tablespace whose name can');
  });
});
