import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { startKubernetesFront, type KubernetesFront } from '../../../../parts/kubernetes-front.ts';
import { openKubernetes, type Namespace, type Seen } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import type { CnpgBackupResult } from '../../../../src/workflows/backup.ts';
import { failureOf, start } from '../../runs.ts';
import { killApiServer, repair } from './api-server.ts';
import { places } from '../bed/places.mjs';
import { inTreeCluster, storeSecret } from '../cnpg-objects.ts';
import { untilSeen } from '../held-backup.ts';
import { backupsOf, beginSlowly, hurried } from '../slow-backup.ts';

const kubernetes = openKubernetes();
/** Only the API server of the cluster that `npm run e2e` makes is there to be killed. */
const isOurs = kubernetes.kubeconfigFile.startsWith(places.state);
const operator = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  namespace: 'cnpg-system',
  name: 'cnpg-controller-manager',
};

describe('a backup by CloudNativePG', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  let front: KubernetesFront;

  beforeAll(async () => {
    [namespace, world, bucket, front] = await Promise.all([
      kubernetes.makeNamespace('alone'),
      startWorld(),
      kubernetes.s3.makeBucket('alone'),
      startKubernetesFront(kubernetes.config),
    ]);
    await namespace.apply([storeSecret(kubernetes), inTreeCluster(kubernetes, 'db', { bucket })]);
    await namespace.waitUntilHealthy('db');
    await world.configure({
      clusters: { db: { cnpg: { namespace: namespace.name, name: 'db' } } },
      policies: { daily: { cluster: 'db', method: 'cnpg' }, orphan: { cluster: 'db', method: 'cnpg' } },
    });
    const file = join(world.directory, 'front.kubeconfig');
    await front.writeKubeconfig(file);
    await world.startWorker({ environment: { KUBECONFIG: file } });
  });
  afterAll(async () => {
    await world.stop();
    await front.stop();
    await namespace.remove();
    await bucket.remove();
  });

  (isOurs ? test : testNothing)(
    'is the only one, and good, though the API server is killed meanwhile and comes back',
    async () => {
      const run = await beginSlowly(world, namespace, { cluster: 'db', policy: 'daily' });
      await untilSeen(front, /^GET .*\/backups\/daily-[^/]+: 200$/, run);
      killApiServer();
      try {
        await untilSeen(front, /^GET .*\/backups\/daily-[^/]+: none$/, run);
      } finally {
        await repair();
      }
      const { name } = await hurried<CnpgBackupResult>(namespace, 'db', run);
      const all = await backupsOf(namespace, 'daily');
      expect(all.map(({ metadata, status }) => [metadata?.name, status?.['phase']])).toEqual([[name, 'completed']]);
    },
  );

  test('is not asked for while no operator runs, and the run says why', async () => {
    const { apiVersion, kind, ...metadata } = operator;
    const scale = (replicas: number) => namespace.apply([{ apiVersion, kind, metadata, spec: { replicas } }]);
    const untilThere = (replicas: number | undefined) =>
      namespace.waitUntil(operator, ({ status }: Seen) => status?.['readyReplicas'] === replicas, {
        what: `${String(replicas ?? 0)} operators are ready`,
      });
    await scale(0);
    try {
      await untilThere(undefined);
      const run = await start(world, 'backup', { policy: 'orphan' });
      expect(await failureOf(run)).toMatchObject({
        type: 'KubernetesUnavailable',
        message: expect.stringContaining('failed calling webhook'),
        hint: expect.stringContaining('see whether it runs'),
      });
      expect(await backupsOf(namespace, 'orphan')).toEqual([]);
    } finally {
      await scale(1);
      await untilThere(1);
    }
  });
});

function testNothing(name: string): void {
  test(`${name}: left out, this cluster is not ours to disturb`, () => {
    expect(isOurs).toBe(false);
  });
}
