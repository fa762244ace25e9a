import { describe, expect, test } from '@jest/globals';
import type { CustomObjectsApi } from '@kubernetes/client-node';
import type { Cluster } from '../../../src/kubernetes/cnpg/cluster.ts';
import { readRecoverability } from '../../../src/kubernetes/cnpg/recoverability.ts';

const cluster = (spec: Partial<Cluster['spec']>, status: Cluster['status'] = {}): Cluster => ({
  metadata: { name: 'logto', namespace: 'production', uid: 'u' },
  spec: { instances: 1, ...spec },
  status,
});
const plugin = (parameters: Record<string, string>) => ({
  plugins: [{ name: 'barman-cloud.cloudnative-pg.io', isWALArchiver: true, parameters }],
});
const times = { firstRecoverabilityPoint: '2026-10-22T00:00:11Z', lastSuccessfulBackupTime: '2026-11-21T00:00:31Z' };
/** An API that holds one ObjectStore named store. */
const custom = {
  getNamespacedCustomObject: ({ plural, name }: { plural: string; name: string }) =>
    plural === 'objectstores' && name === 'store'
      ? Promise.resolve({ spec: {}, status: { serverRecoveryWindow: { logto: times, other: {} } } })
      : Promise.reject(new Error(`asked for ${plural} ${name}`)),
} as unknown as CustomObjectsApi;

describe('from when on CloudNativePG can recover', () => {
  test('says the Cluster, with in-tree Barman', async () => {
    const barman = cluster(
      { backup: { barmanObjectStore: {} } },
      {
        firstRecoverabilityPoint: '2026-10-22T00:00:11Z',
        lastSuccessfulBackup: '2026-11-21T00:00:31Z',
        conditions: [{ type: 'ContinuousArchiving', status: 'True', message: 'it works' }],
      },
    );
    expect(await readRecoverability({ custom }, barman)).toEqual({
      way: { method: 'barmanObjectStore' },
      since: '2026-10-22T00:00:11Z',
      lastBackupAt: '2026-11-21T00:00:31Z',
      archiving: { works: true, message: 'it works' },
    });
  });

  test('says the ObjectStore, with the plugin, under the name that the Cluster has there', async () => {
    const found = await readRecoverability({ custom }, cluster(plugin({ barmanObjectName: 'store' })));
    expect(found).toMatchObject({
      since: times.firstRecoverabilityPoint,
      lastBackupAt: times.lastSuccessfulBackupTime,
    });
    const renamed = cluster(plugin({ barmanObjectName: 'store', serverName: 'new' }));
    expect(await readRecoverability({ custom }, renamed)).toMatchObject({ since: null, lastBackupAt: null });
  });

  test('says nobody where nothing was set up', async () => {
    expect(await readRecoverability({ custom }, cluster({}))).toEqual({
      way: null,
      since: null,
      lastBackupAt: null,
      archiving: null,
    });
  });
});
