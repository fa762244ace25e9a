/**
 * Records histories of the runs that need Kubernetes, as record-histories.ts does for the others. To be run by hand in
 * the network of the cluster that `npm run e2e` brings up: `npm run record:cluster`.
 */
import { openKubernetes, type Namespace } from '../parts/kubernetes.ts';
import { startWorld, type World } from '../parts/world.ts';
import { archived, barmanSection, clusterKind, clusterSpec, storeKeys } from '../test/e2e/cluster/cnpg-backed-up.ts';
import { untilFollowUp } from '../test/e2e/runs.ts';
import type { CnpgRecoveryPlan } from '../src/domain/cnpg-recovery-facts.ts';
import { keepHistory } from './keep-history.ts';

const kubernetes = openKubernetes();
const bucket = await kubernetes.s3.makeBucket('recorded');
try {
  await kubernetes.withNamespace('recorded', async (namespace) => {
    const world = await startWorld();
    try {
      await record(world, namespace);
    } finally {
      await world.stop();
    }
  });
} finally {
  await bucket.remove();
}

async function record(world: World, namespace: Namespace): Promise<void> {
  const backup = { barmanObjectStore: barmanSection(kubernetes, bucket.name) };
  const spec = clusterSpec(kubernetes, { backup });
  await namespace.apply([storeKeys(kubernetes), { ...clusterKind, metadata: { name: 'main' }, spec }]);
  await namespace.waitUntilHealthy('main');
  await world.configure({
    clusters: { main: { cnpg: { namespace: namespace.name, name: 'main' } } },
    policies: { daily: { cluster: 'main', method: 'cnpg' } },
  });
  await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
  const begin = (name: string, type: string, argument: unknown) =>
    world.client.workflow.start(type, { workflowId: `recorded/${name}`, taskQueue: 'holdfast', args: [argument] });

  const taken = await begin('backup-cnpg', 'backup', { policy: 'daily' });
  await taken.result();
  await keepHistory(world, 'backup-cnpg', taken.workflowId);
  await archived(namespace, 'main-1');
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
