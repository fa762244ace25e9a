/**
 * Records histories of the runs that need Kubernetes, as record-histories.ts does for the others. To be run by hand in
 * the network of the cluster that `npm run e2e` brings up: `npm run record:cluster`.
 */
import { openKubernetes, type Namespace } from '../parts/kubernetes.ts';
import { startWorld, type World } from '../parts/world.ts';
import { archived, barmanSection, clusterKind, clusterSpec } from '../test/e2e/cluster/cnpg-backed-up.ts';
import { untilFollowUp } from '../test/e2e/runs.ts';
import { serveToPods, type ServedToPods } from '../test/e2e/cluster/serve-to-pods.ts';
import { storeForPods, storeKeys } from '../test/e2e/cluster/store-for-pods.ts';
import type { CnpgRecoveryPlan } from '../src/domain/cnpg-recovery-facts.ts';
import { keepHistory } from './keep-history.ts';

const kubernetes = openKubernetes();
const bucket = await kubernetes.s3.makeBucket('recorded');
try {
  await kubernetes.withNamespace('recorded', async (namespace) => {
    const world = await startWorld();
    const front = await serveToPods(world.temporal.address, kubernetes.s3.endpoint);
    try {
      await record(world, namespace, front);
    } finally {
      await world.stop();
      front.server.close();
    }
  });
} finally {
  await bucket.remove();
}

async function record(world: World, namespace: Namespace, temporal: ServedToPods): Promise<void> {
  const backup = { barmanObjectStore: barmanSection(kubernetes, bucket.name) };
  const spec = clusterSpec(kubernetes, { backup });
  await namespace.apply([storeKeys(kubernetes), { ...clusterKind, metadata: { name: 'main' }, spec }]);
  await namespace.waitUntilHealthy('main');
  const cnpg = { namespace: namespace.name, name: 'main' };
  const { store, workerPod } = storeForPods(kubernetes, world, { bucket: bucket.name, prefix: 'dumps', temporal });
  await world.configure({
    repositories: { nas: { directory: world.repository }, store },
    clusters: { main: { cnpg }, drilled: { cnpg }, beside: { cnpg, backup: { on: 'pod' } } },
    policies: {
      daily: { cluster: 'main', method: 'cnpg' },
      drilled: { cluster: 'drilled', method: 'cnpg', repository: 'nas' },
      dump: { cluster: 'beside', method: 'pg_dumpall', repository: 'store' },
    },
    kubernetes: { workerPod },
  });
  await world.holdfast('repositories', 'init', 'store');
  await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
  const begin = (name: string, type: string, argument: unknown) =>
    world.client.workflow.start(type, { workflowId: `recorded/${name}`, taskQueue: 'holdfast', args: [argument] });

  const taken = await begin('backup-cnpg', 'backup', { policy: 'daily' });
  await taken.result();
  await keepHistory(world, 'backup-cnpg', taken.workflowId);
  const dumped = await begin('backup-in-pod', 'backup', { policy: 'dump' });
  await dumped.result();
  await keepHistory(world, 'backup-in-pod', dumped.workflowId);
  await (await begin('backup-drilled', 'backup', { policy: 'drilled' })).result();
  await archived(namespace, 'main-1');
  const drilled = await begin('drill-cnpg', 'drill', { policy: 'drilled' });
  await drilled.result();
  await keepHistory(world, 'drill-cnpg', drilled.workflowId);
  for (const [name, verb] of [
    ['recover-cluster-thrown-away', 'throw-away'],
    ['recover-cluster-promoted', 'promote'],
  ] as const) {
    const run = await begin(name, 'recover', { cluster: 'main', target: 'latest' });
    await untilFollowUp<CnpgRecoveryPlan>(run);
    await run.signal(verb, { by: 'alice', reason: 'recorded' });
    await run.result();
    await keepHistory(world, name, run.workflowId);
  }
}
