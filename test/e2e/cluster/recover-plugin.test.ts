import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { CnpgRecoveryPlan } from '../../../src/domain/cnpg-recovery-facts.ts';
import type { RecoverClusterResult } from '../../../src/workflows/recover-cluster.ts';
import { start, untilFollowUp } from '../runs.ts';
import { barmanSection, clusterKind, clusterSpec, rowsAroundAMoment } from './cnpg-backed-up.ts';
import { storeKeys } from './store-for-pods.ts';

const kubernetes = openKubernetes();
const plugin = 'barman-cloud.cloudnative-pg.io';

describe('a cluster that CloudNativePG backs up by the Barman Cloud plugin, and lets no superuser in', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('recover-plugin'),
      startWorld(),
      kubernetes.s3.makeBucket('recover-plugin'),
    ]);
    const plugins = [{ name: plugin, isWALArchiver: true, parameters: { barmanObjectName: 'store' } }];
    await namespace.apply([
      storeKeys(kubernetes),
      {
        apiVersion: 'barmancloud.cnpg.io/v1',
        kind: 'ObjectStore',
        metadata: { name: 'store' },
        spec: { configuration: barmanSection(kubernetes, bucket.name) },
      },
      {
        ...clusterKind,
        metadata: { name: 'shop' },
        spec: clusterSpec(kubernetes, { plugins, enableSuperuserAccess: false }),
      },
    ]);
    await namespace.waitUntilHealthy('shop');
    await world.configure({
      clusters: { shop: { cnpg: { namespace: namespace.name, name: 'shop' } } },
      policies: { 'shop-daily': { cluster: 'shop', method: 'cnpg' } },
    });
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  test('is recovered to a time between two transactions by the plugin, and archives by it once it is promoted', async () => {
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
    await (await start(world, 'backup', { policy: 'shop-daily' })).result();
    const moment = await rowsAroundAMoment(namespace, 'shop-1');
    const run = await start(world, 'recover', { cluster: 'shop', target: { time: moment }, into: { name: 'copy' } });
    const { standing, planText } = await untilFollowUp<CnpgRecoveryPlan>(run);
    expect(planText).toContain('by ObjectStore `store`');
    expect(standing).toContain('### Recovered, as asked');
    expect(standing).toMatch(/the last transaction was committed at 20/);
    const sql = 'SELECT count(*), max(n) FROM kept';
    expect(await namespace.psql({ pod: 'copy-1', database: 'app', sql })).toBe('100|100');
    await run.signal('promote', { by: 'alice', reason: 'looked at it' });
    const { done } = (await run.result()) as RecoverClusterResult;
    expect(done.join('\n')).toContain('its WAL is archived under copy');
    expect((await namespace.get({ ...clusterKind, name: 'copy' }))?.spec).toMatchObject({
      plugins: [{ name: plugin, parameters: { barmanObjectName: 'store', serverName: 'copy' } }],
    });
  });
});
