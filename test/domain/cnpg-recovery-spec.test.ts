import { describe, expect, test } from '@jest/globals';
import { recoverCnpgSpec } from '../../src/domain/cnpg-recovery-spec.ts';
import { parseUsableConfig } from '../../src/domain/config.ts';
import { parseRecoverArgument } from '../../src/domain/recover-argument.ts';
import { told } from './samples.ts';

const check = { database: 'app', sql: 'select 1', expect: '1' };
const config = (recovery?: object, more: object = {}) =>
  parseUsableConfig({
    installation: 'prod',
    repositories: { nas: { directory: '/backup' } },
    clusters: {
      logto: { cnpg: { namespace: 'production', name: 'logto-postgres', ...(recovery ? { recovery } : {}) } },
      infra: { server: { host: 'db' } },
    },
    policies: {
      'logto-prod': { cluster: 'logto', method: 'cnpg', checks: [check] },
      'infra-base': { cluster: 'infra', method: 'base', repository: 'nas' },
      ...more,
    },
  });
const spec = (argument: object = {}, recovery?: object, more: object = {}) =>
  recoverCnpgSpec(config(recovery, more), parseRecoverArgument({ cluster: 'logto', target: 'latest', ...argument }));

describe('a recovery of a cluster that CloudNativePG runs', () => {
  test('has the checks of its policies, and no repository where none of them has one', () => {
    expect(spec()).toMatchObject({
      kind: 'cnpg',
      repository: null,
      checks: [check],
      gone: null,
      deadlineMs: 86_400_000,
    });
    const dump = { cluster: 'logto', method: 'pg_dumpall', repository: 'nas' };
    expect(spec({}, undefined, { 'logto-dump': dump })).toMatchObject({
      repository: { name: 'nas', directory: '/backup' },
    });
  });

  test('knows what the Cluster was, for when it is gone; other runs are not told', () => {
    const written = { instances: 3, storage: { size: '20Gi' } };
    const found = spec({}, { spec: written, deadline: '2h' });
    expect(found).toMatchObject({ gone: { spec: written }, deadlineMs: 7_200_000 });
    expect(found?.source.cnpg).not.toHaveProperty('recovery');
    expect(spec({}, { manifest: '/etc/holdfast/logto.yaml' })).toMatchObject({
      gone: { manifest: '/etc/holdfast/logto.yaml' },
    });
    expect(() => config({ spec: written, manifest: '/a.yaml' })).toThrow('at most one of manifest, spec');
  });

  test.each([
    ['inPlace', { inPlace: true }],
    ['beside', { beside: { port: 5444 } }],
    ['tablespaces', { tablespaces: { fast: '/srv/fast' } }],
  ])('has no %s', (member, argument) => {
    expect(told(() => spec(argument))).toContain(`InvalidArgument: ${member} is not for cluster logto`);
  });

  test('is of no other kind of cluster, which in turn has no into', () => {
    const other = (more: object) =>
      recoverCnpgSpec(config(), parseRecoverArgument({ cluster: 'infra', target: 'latest', ...more }));
    expect(other({})).toBeUndefined();
    expect(told(() => other({ into: { name: 'copy' } }))).toContain('into is for clusters that CloudNativePG runs');
  });
});
