import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { CnpgBackupResult } from '../../../src/workflows/backup.ts';
import { start } from '../runs.ts';
import { cnpg, inTreeCluster, pluginCluster, storeSecret } from './cnpg-objects.ts';
import { useKubernetes } from './kubeconfigs.ts';

const kubernetes = openKubernetes();

describe('backups that CloudNativePG keeps in an object store', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('retention'),
      startWorld(),
      kubernetes.s3.makeBucket('retention'),
    ]);
    await namespace.apply([
      storeSecret(kubernetes),
      inTreeCluster(kubernetes, 'intree', { bucket }),
      ...pluginCluster(kubernetes, 'plugged', { bucket, retention: '7d' }),
    ]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    await Promise.all(['intree', 'plugged'].map((name) => namespace.waitUntilHealthy(name)));
    const at = namespace.name;
    await world.configure({
      clusters: {
        intree: { cnpg: { namespace: at, name: 'intree' } },
        plugged: { cnpg: { namespace: at, name: 'plugged' } },
      },
      policies: {
        'intree-daily': { cluster: 'intree', method: 'cnpg', window: '14d' },
        'plugged-daily': { cluster: 'plugged', method: 'cnpg', window: '14d' },
      },
    });
    await world.startWorker();
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  const cluster = { apiVersion: cnpg, kind: 'Cluster', name: 'intree' };
  const store = { apiVersion: 'barmancloud.cnpg.io/v1', kind: 'ObjectStore', name: 'plugged' };
  const asked = async <T>(...args: readonly string[]): Promise<T> => {
    const { stdout, stderr } = await world.holdfast(...args, '--json');
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as T;
  };

  test('are kept as long as the policy says, once it was applied, wherever CloudNativePG reads that', async () => {
    const applied = () => asked<{ readonly retention: readonly object[] }>('apply');
    expect((await applied()).retention).toEqual([
      expect.objectContaining({ policy: 'intree-daily', window: '14d', change: 'updated', before: null }),
      expect.objectContaining({ policy: 'plugged-daily', window: '14d', change: 'updated', before: '7d' }),
    ]);
    expect((await namespace.get(cluster))?.spec?.['backup']).toMatchObject({ retentionPolicy: '14d' });
    expect((await namespace.get(store))?.spec).toMatchObject({ retentionPolicy: '14d' });
    expect((await applied()).retention).toEqual([
      expect.objectContaining({ change: 'unchanged' }),
      expect.objectContaining({ change: 'unchanged' }),
    ]);
  });

  test('are taken in each way, and say from when on the cluster can be recovered', async () => {
    const [intree, plugged] = (await Promise.all(
      ['intree-daily', 'plugged-daily'].map(async (policy): Promise<unknown> =>
        (await start(world, 'backup', { policy })).result(),
      ),
    )) as [CnpgBackupResult, CnpgBackupResult];
    expect(intree).toMatchObject({ method: 'barmanObjectStore', instance: 'intree-1', pruned: [] });
    expect(plugged).toMatchObject({ method: 'plugin', instance: 'plugged-1', pruned: [] });
    for (const { name, beginWal, endWal, backupId } of [intree, plugged]) {
      expect({ name, beginWal, endWal, backupId }).toEqual({
        name: expect.stringMatching(/-daily-\d{8}-\d{6}$/),
        beginWal: expect.stringMatching(/^[0-9A-F]{24}$/),
        endWal: expect.stringMatching(/^[0-9A-F]{24}$/),
        backupId: expect.any(String),
      });
    }
    // The operator writes it some time after the backup.
    await namespace.waitUntil(cluster, ({ status }: Seen) => status?.['firstRecoverabilityPoint'] !== undefined, {
      what: 'the Cluster says from when on it can be recovered',
    });
    await namespace.waitUntil(
      store,
      ({ status }: Seen) => JSON.stringify(status ?? {}).includes('lastSuccessfulBackupTime'),
      { what: 'the ObjectStore says from when on the cluster can be recovered' },
    );
    const told = [
      { cluster: 'intree', way: { method: 'barmanObjectStore' } },
      { cluster: 'plugged', way: { method: 'plugin' } },
    ].map((one) => ({
      ...one,
      since: expect.stringMatching(/^\d{4}-/),
      lastBackupAt: expect.stringMatching(/^\d{4}-/),
      archiving: { works: true },
    }));
    expect((await asked<{ readonly cnpg: object }>('window')).cnpg).toMatchObject(told);
    expect((await asked<{ readonly cnpg: object }>('status')).cnpg).toMatchObject(told);
    const { stdout } = await world.holdfast('status');
    expect(stdout).toMatch(/BY CLOUDNATIVEPG +RECOVERABLE SINCE +LAST GOOD BACKUP +WAL ARCHIVING/);
    expect(stdout).toMatch(/intree +\d{4}-[^N]+ ago +works/);
    expect(stdout).toMatch(/plugged +\d{4}-[^N]+ ago +works/);
  });
});
