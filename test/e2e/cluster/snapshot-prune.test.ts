import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { CustomObjectsApi } from '@kubernetes/client-node';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import { start } from '../runs.ts';
import { cnpg } from './cnpg-objects.ts';

const kubernetes = openKubernetes();
const snapshots = 'snapshot.storage.k8s.io/v1';
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  name: 'volumesnapshots.snapshot.storage.k8s.io',
};
const day = 24 * 60 * 60_000;

describe('volume snapshots of CloudNativePG', () => {
  let namespace: Namespace;
  let world: World;
  let isOurs = false;
  /** When each was taken. */
  const stopped = new Map<string, string>();

  beforeAll(async () => {
    [namespace, world] = await Promise.all([kubernetes.makeNamespace('snapshots'), startWorld()]);
    // The bed has no driver that takes snapshots, and so nobody who brings their definition.
    isOurs = (await namespace.get(definition)) === undefined;
    if (isOurs) await namespace.apply([snapshotDefinition]);
    // It takes a moment until it is served.
    while ((await left(snapshots, 'VolumeSnapshot').catch(() => undefined)) === undefined) await sleep(200);
    const policy = { cluster: 'db', method: 'cnpg', window: '7d', cnpg: { method: 'volumeSnapshot' } };
    await world.configure({
      clusters: { db: { cnpg: { namespace: namespace.name, name: 'db' } } },
      policies: { weekly: policy, other: policy },
    });
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    if (isOurs) await namespace.delete(definition);
  });

  /** As CloudNativePG leaves one that it took so many days ago, with a snapshot of each of its two volumes. */
  async function taken(name: string, days: number, { policy = 'weekly', installation = 'world', half = false } = {}) {
    const labels = { 'holdfast/policy': policy, 'holdfast/installation': installation };
    await namespace.apply([
      {
        apiVersion: cnpg,
        kind: 'Backup',
        metadata: { name, labels: { ...labels, ...(half ? { 'holdfast/removing': 'true' } : {}) } },
        // Without a driver the operator refuses the method itself.
        spec: { cluster: { name: 'db' }, method: 'barmanObjectStore' },
      },
      ...(half ? ['wal'] : ['data', 'wal']).map((volume) => ({
        apiVersion: snapshots,
        kind: 'VolumeSnapshot',
        metadata: { name: `${name}-${volume}`, labels: { 'cnpg.io/backupName': name } },
        spec: { source: { persistentVolumeClaimName: `db-1-${volume}` } },
      })),
    ]);
    stopped.set(name, new Date(Date.now() - days * day).toISOString().replace(/\.\d+Z$/, 'Z'));
  }

  /** What was done stands in the status. The operator, which knows no such Cluster, leaves what is over alone. */
  async function untilCompleted(): Promise<void> {
    const custom = kubernetes.config.makeApiClient(CustomObjectsApi);
    for (let left = [...stopped]; left.length > 0;) {
      for (const [name, stoppedAt] of left)
        await custom.patchNamespacedCustomObjectStatus({
          group: 'postgresql.cnpg.io',
          version: 'v1',
          plural: 'backups',
          namespace: namespace.name,
          name,
          body: [{ op: 'add', path: '/status', value: { phase: 'completed', method: 'volumeSnapshot', stoppedAt } }],
        });
      await sleep(2_000);
      const all = await namespace.list({ apiVersion: cnpg, kind: 'Backup' });
      left = all.flatMap(({ metadata, status }) => {
        const name = metadata?.name ?? '';
        return status?.['phase'] === 'completed' ? [] : [[name, stopped.get(name) ?? ''] as [string, string]];
      });
    }
  }

  const prune = async (more: object): Promise<unknown> =>
    (await start(world, 'prune', { policy: 'weekly', ...more })).result();
  const left = async (apiVersion: string, kind: string) =>
    (await namespace.list({ apiVersion, kind })).map(({ metadata }) => metadata?.name).sort();

  test('go as soon as the policy’s window does not need them, with what was half gone, and nobody else’s', async () => {
    await taken('old', 20);
    await taken('begins-the-window', 9);
    await taken('within', 3);
    await taken('newest', 1);
    await taken('half-gone', 2, { half: true });
    await taken('of-another-policy', 30, { policy: 'other' });
    await taken('of-another-installation', 30, { installation: 'elsewhere' });
    await untilCompleted();
    const kept = ['begins-the-window', 'newest', 'of-another-installation', 'of-another-policy', 'within'];
    const before = await left(snapshots, 'VolumeSnapshot');

    expect(await prune({ dryRun: true })).toMatchObject({
      removed: expect.arrayContaining(['half-gone', 'old']),
      kept: 3,
    });
    expect(await left(snapshots, 'VolumeSnapshot')).toEqual(before);

    expect(await prune({})).toMatchObject({ removed: expect.arrayContaining(['half-gone', 'old']), kept: 3 });
    expect(await left(cnpg, 'Backup')).toEqual(kept);
    expect(await left(snapshots, 'VolumeSnapshot')).toEqual(kept.flatMap((name) => [`${name}-data`, `${name}-wal`]));

    expect(await prune({})).toMatchObject({ removed: [], kept: 3 });
  });
});

const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const snapshotDefinition = {
  apiVersion: definition.apiVersion,
  kind: definition.kind,
  metadata: {
    name: definition.name,
    // Groups of Kubernetes' own are only taken with a word about who approved them.
    annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' },
  },
  spec: {
    group: 'snapshot.storage.k8s.io',
    scope: 'Namespaced',
    names: {
      plural: 'volumesnapshots',
      singular: 'volumesnapshot',
      kind: 'VolumeSnapshot',
      listKind: 'VolumeSnapshotList',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } } },
      },
    ],
  },
};
