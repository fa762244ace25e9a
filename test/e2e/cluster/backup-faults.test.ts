import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CoreV1Api, CustomObjectsApi } from '@kubernetes/client-node';
import type { WorkflowHandle } from '@temporalio/client';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { CnpgBackupResult } from '../../../src/workflows/backup.ts';
import { start } from '../runs.ts';
import { inTreeCluster, storeSecret } from './cnpg-objects.ts';
import { backupsOf, beginSlowly, hurried, primaryOf } from './slow-backup.ts';

const kubernetes = openKubernetes();

describe('a backup by CloudNativePG, taken from the primary', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('faults'),
      startWorld(),
      kubernetes.s3.makeBucket('faults'),
    ]);
    const db = inTreeCluster(kubernetes, 'db', { bucket, instances: 2 });
    // Nobody waits three minutes for sessions that a backup holds open.
    await namespace.apply([
      storeSecret(kubernetes),
      { ...db, spec: { ...db.spec, smartShutdownTimeout: 1, switchoverDelay: 30, stopDelay: 30 } },
    ]);
    await namespace.waitUntilHealthy('db');
    const policy = { cluster: 'db', method: 'cnpg', cnpg: { target: 'primary' } };
    await world.configure({
      clusters: { db: { cnpg: { namespace: namespace.name, name: 'db' } } },
      policies: { deleted: policy, switched: policy },
    });
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  const primary = () => primaryOf(namespace, 'db');
  const begin = (policy: string) => beginSlowly(world, namespace, { cluster: 'db', policy });
  const end = (run: WorkflowHandle) => hurried<CnpgBackupResult>(namespace, 'db', run);

  /** The one that the run names is good, and all are over. */
  async function expectGood(policy: string, { name, beginWal, endWal }: CnpgBackupResult): Promise<void> {
    expect({ beginWal, endWal }).toEqual({ beginWal: expect.any(String), endWal: expect.any(String) });
    const phases = (await backupsOf(namespace, policy)).map(({ metadata, status }) => [
      metadata?.name,
      status?.['phase'],
    ]);
    expect(phases).toContainEqual([name, 'completed']);
    for (const [, phase] of phases) expect(['completed', 'failed']).toContain(phase);
    await namespace.waitUntilHealthy('db');
  }

  test('comes to a good end where the pod of the primary is deleted meanwhile', async () => {
    const run = await begin('deleted');
    const core = kubernetes.config.makeApiClient(CoreV1Api);
    await core.deleteNamespacedPod({ name: await primary(), namespace: namespace.name, gracePeriodSeconds: 1 });
    await expectGood('deleted', await end(run));
  });

  test('comes to a good end where the primary is switched meanwhile', async () => {
    await namespace.waitUntilHealthy('db');
    const old = await primary();
    const run = await begin('switched');
    const other = old === 'db-1' ? 'db-2' : 'db-1';
    // As `kubectl cnpg promote` does.
    await kubernetes.config.makeApiClient(CustomObjectsApi).patchNamespacedCustomObjectStatus({
      group: 'postgresql.cnpg.io',
      version: 'v1',
      plural: 'clusters',
      namespace: namespace.name,
      name: 'db',
      body: [
        { op: 'replace', path: '/status/targetPrimary', value: other },
        { op: 'replace', path: '/status/phase', value: 'Switchover in progress' },
      ],
    });
    await expectGood('switched', await end(run));
    expect(await primary()).not.toBe(old);
    // And the next run is as any other.
    const next = await end(await start(world, 'backup', { policy: 'switched' }));
    expect((await backupsOf(namespace, 'switched')).map(({ metadata }) => metadata?.name)).toContain(next.name);
  });
});
