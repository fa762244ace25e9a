import { describe, expect, test } from '@jest/globals';
import { drillClusterName, drillCnpgSpec } from '../../src/domain/cnpg-drill-spec.ts';
import { parseUsableConfig } from '../../src/domain/config.ts';

const check = { database: 'app', sql: 'SELECT 1', expect: '1' };
const config = (policies: object) =>
  parseUsableConfig({
    installation: 'lab',
    repositories: { nas: { directory: '/backup' }, offsite: { directory: '/offsite' } },
    clusters: {
      logto: {
        cnpg: { namespace: 'production', name: 'logto-postgres' },
        drill: { storage: { size: '50Gi', storageClass: 'fast' } },
      },
    },
    policies,
  });
const daily = { cluster: 'logto', method: 'cnpg', checks: [check] };
const dump = { cluster: 'logto', method: 'pg_dumpall', repository: 'nas', checks: [{ ...check, sql: 'SELECT 2' }] };

describe('a drill of a policy of method cnpg', () => {
  test('recovers everything into a Cluster whose name follows from its source, as large as drills are to be', () => {
    const { recovery } = drillCnpgSpec(config({ daily: { ...daily, repository: 'nas' } }), 'daily');
    expect(recovery.argument).toMatchObject({
      target: { kind: 'latest' },
      into: { name: 'logto-postgres-drill', storage: { size: '50Gi', storageClass: 'fast' } },
    });
  });

  test('asks the checks of its own policy', () => {
    expect(drillCnpgSpec(config({ daily, dump }), 'daily').recovery.checks).toEqual([check]);
  });

  test('puts its evidence where its policy says, else where another policy of the cluster writes', () => {
    const placed = (policies: object) => drillCnpgSpec(config(policies), 'daily').repository.name;
    expect(placed({ daily: { ...daily, repository: 'offsite' }, dump })).toBe('offsite');
    expect(placed({ daily, dump })).toBe('nas');
    expect(() => placed({ daily })).toThrow('nothing says where the evidence of a drill of policy daily goes');
  });

  test('has a name that CloudNativePG takes, whatever its source is called', () => {
    expect(drillClusterName('a'.repeat(63))).toHaveLength(50);
    expect(drillClusterName(`${'a'.repeat(43)}-b`)).toBe(`${'a'.repeat(43)}-drill`);
  });
});
