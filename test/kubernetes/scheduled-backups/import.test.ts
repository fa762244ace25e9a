import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parse, parseAllDocuments } from 'yaml';
import { parseUsableConfig, type Config } from '../../../src/domain/config.ts';
import { importScheduledBackups } from '../../../src/kubernetes/scheduled-backups/import.ts';
import type { Outcome } from '../../../src/kubernetes/scheduled-backups/imported.ts';
import { importYaml } from '../../../src/kubernetes/scheduled-backups/yaml.ts';
import { expectGolden } from '../../golden.ts';
import { listedFrom, namespacesOf } from '../discovery/manifests.ts';

const text = readFileSync(new URL('fixtures/several.yaml', import.meta.url), 'utf8');
const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
const nothing = { clusters: {}, policies: {} };
const found = (known: Pick<Config, 'clusters' | 'policies'> = nothing, from = objects) =>
  importScheduledBackups(listedFrom(from), known);
const printed = (known?: Config, from = objects) =>
  importYaml(found(known, from), {
    namespaces: namespacesOf(objects),
    into: known === undefined ? undefined : '/etc/holdfast/holdfast.yaml',
  });
const outcomes = (known?: Config): Record<string, Outcome> =>
  Object.fromEntries(found(known).imported.map(({ namespace, name, outcome }) => [`${namespace}/${name}`, outcome]));

const logto = { cnpg: { namespace: 'production', name: 'logto-postgres' } };
const configured = (policies: object, clusters: object = { logto }) =>
  parseUsableConfig({
    installation: 'homelab',
    repositories: { nas: { directory: '/backup' } },
    clusters,
    policies,
  });

describe('ScheduledBackups', () => {
  test('become a configuration that is valid as it is', () => {
    expectGolden(import.meta.url, 'several.yaml', printed());
    const { clusters, policies } = parseUsableConfig(parse(printed()));
    expect(Object.keys(clusters)).toEqual(Object.keys(found().clusters));
    expect(Object.keys(policies)).toEqual(Object.keys(found().policies));
  });

  test('become the same in whatever order they were listed', () => {
    expect(printed(undefined, [...objects].reverse())).toBe(printed());
  });

  test('become what a configuration lacks, under names that it has not yet', () => {
    const known = configured({
      'logto-nightly': {
        cluster: 'logto',
        method: 'cnpg',
        cnpg: { method: 'plugin', target: 'primary' },
        schedule: '0 0 * * *',
      },
      snapshots: { cluster: 'logto', method: 'pg_dumpall', repository: 'nas' },
      'logto-monthly': { cluster: 'logto', method: 'cnpg', cnpg: { method: 'barmanObjectStore' }, window: '14d' },
    });
    expectGolden(import.meta.url, 'beside.yaml', printed(known));
    expect(found(known).clusters).not.toHaveProperty('logto');
  });

  test('that are no more are said to be none', () => {
    expectGolden(
      import.meta.url,
      'none.yaml',
      importYaml(importScheduledBackups(listedFrom([]), nothing), { namespaces: ['production'], into: undefined }),
    );
  });

  test('that this version does not understand are named', () => {
    expect(found().unread).toEqual([
      expect.objectContaining({
        what: 'ScheduledBackup production/strange',
        why: expect.stringContaining('spec.schedule: expected string, found 7') as unknown,
      }),
    ]);
  });
});

describe('a policy does the work of a ScheduledBackup', () => {
  const plugin = { cluster: 'logto', method: 'cnpg', cnpg: { method: 'plugin' } };

  test.each([
    ['has its name, at another time', { nightly: { ...plugin, schedule: '30 4 * * *' } }, 'nightly'],
    ['has its name with the namespace', { 'production-nightly': plugin }, 'production-nightly'],
    [
      'says the same under another name',
      { other: { ...plugin, cnpg: { method: 'plugin', target: 'primary' }, schedule: '0 0 * * *' } },
      'other',
    ],
    ["goes the Cluster's own way, which is the same", { nightly: { cluster: 'logto', method: 'cnpg' } }, 'nightly'],
  ])('where it %s', (_, policies, policy) => {
    expect(outcomes(configured(policies))['production/nightly']).toEqual({ kind: 'known', policy });
  });

  test.each([
    ['goes another way', { nightly: { ...plugin, cnpg: { method: 'volumeSnapshot' } } }],
    ['is of another method', { nightly: { cluster: 'logto', method: 'pg_dumpall', repository: 'nas' } }],
    ['runs at another time under another name', { other: { ...plugin, schedule: '30 4 * * *' } }],
    ['takes it from another instance', { other: { ...plugin, schedule: '0 0 * * *' } }],
  ])('but not where it %s', (_, policies) => {
    expect(outcomes(configured(policies))['production/nightly']).toMatchObject({ kind: 'policy' });
  });

  test('of one only: of two that say the same, each needs its own', () => {
    const again = objects.flatMap((object) => {
      if (object.metadata?.namespace !== 'production' || object.metadata.name !== 'nightly') return [object];
      const twin = structuredClone(object);
      if (twin.metadata !== undefined) twin.metadata.name = 'twice';
      return [object, twin];
    });
    const known = configured({
      other: { ...plugin, cnpg: { method: 'plugin', target: 'primary' }, schedule: '0 0 * * *' },
    });
    const kinds = found(known, again).imported.flatMap(({ namespace, name, outcome }) =>
      namespace === 'production' && ['nightly', 'twice'].includes(name) ? [outcome.kind] : [],
    );
    expect(kinds).toEqual(['known', 'policy']);
  });

  test('that no import could have written, too', () => {
    const known = configured(
      { restless: { cluster: 'api', method: 'cnpg', cnpg: { method: 'barmanObjectStore' }, schedule: '*/5 * * * *' } },
      { api: { cnpg: { namespace: 'example-api-prod', name: 'example-api-db-prod' } } },
    );
    expect(outcomes(known)['example-api-prod/restless']).toEqual({ kind: 'known', policy: 'restless' });
  });
});
