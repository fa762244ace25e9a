import { describe, expect, test } from '@jest/globals';
import type { CustomObjectsApi } from '@kubernetes/client-node';
import { listBackups, readBackup } from '../../src/kubernetes/cnpg/backup.ts';
import { readCluster } from '../../src/kubernetes/cnpg/cluster.ts';
import { readRecoverability } from '../../src/kubernetes/cnpg/recoverability.ts';
import { readRetention } from '../../src/kubernetes/cnpg/retention.ts';
import { removeSnapshotBackup } from '../../src/kubernetes/cnpg/snapshots.ts';

const place = { namespace: 'production', name: 'logto' };
const metadata = { ...place, uid: 'u' };
/** Answers everything with the same object. */
const answering = (answer: unknown) => ({
  custom: {
    getNamespacedCustomObject: () => Promise.resolve(answer),
    listNamespacedCustomObject: () => Promise.resolve(answer),
    patchNamespacedCustomObject: () => Promise.resolve({}),
  } as unknown as CustomObjectsApi,
});
const byPlugin = {
  metadata,
  spec: {
    instances: 1,
    plugins: [{ name: 'barman-cloud.cloudnative-pg.io', parameters: { barmanObjectName: 'store' } }],
  },
  status: {},
};
const way = { method: 'plugin' as const, plugin: 'barman-cloud.cloudnative-pg.io' };

describe('an object of a version that nobody here knows', () => {
  test.each([
    [
      'a Cluster',
      () => readCluster(answering({ metadata, spec: { instances: 'many' } }), place),
      'Cluster production/logto is not what this version understands: spec.instances: expected number, found "many"',
    ],
    [
      'a Backup',
      () => readBackup(answering({ metadata, spec: {} }), place),
      'Backup production/logto is not what this version understands: spec.cluster: expected object, found nothing',
    ],
    [
      'one of several Backups',
      () => listBackups(answering({ items: [{ metadata: { namespace: 'production', name: 'odd' }, spec: 7 }] }), place),
      'Backup production/odd is not what this version understands: spec: expected object, found 7',
    ],
    [
      'a list of Backups',
      () => listBackups(answering('words'), place),
      'the list of Backups of namespace production is not what this version understands: (top): expected object, found a string',
    ],
    [
      'a VolumeSnapshot without a name',
      () => removeSnapshotBackup(answering({ items: [{}] }), { metadata }),
      'VolumeSnapshot (without a name) is not what this version understands: metadata: expected object, found nothing',
    ],
    [
      "an ObjectStore's retention",
      () => readRetention(answering({ spec: { retentionPolicy: 30 } }), byPlugin, way),
      'ObjectStore production/store is not what this version understands: spec.retentionPolicy: expected string, found 30',
    ],
    [
      "an ObjectStore's windows",
      () => readRecoverability(answering({ status: { serverRecoveryWindow: [] } }), byPlugin),
      'ObjectStore production/store is not what this version understands: status.serverRecoveryWindow: expected object, found an empty list',
    ],
  ])('is told by its name and its field: %s', async (_, read, message) => {
    await expect(read()).rejects.toMatchObject({
      type: 'KubernetesNotUnderstood',
      message,
      hint: expect.stringContaining('CustomResourceDefinition') as unknown,
    });
  });
});
