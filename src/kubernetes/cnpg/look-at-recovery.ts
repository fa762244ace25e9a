import type { V1Pod } from '@kubernetes/client-node';
import { readableLog } from '../../domain/cnpg-log.ts';
import type { SeenPod, SeenRecovery } from '../../domain/cnpg-recovery-standing.ts';
import type { Kubernetes } from '../connection.ts';
import { asked } from '../failures.ts';
import { isDead, isHealthy, readCluster, type ClusterName } from './cluster.ts';

const recoveringRoles = ['full-recovery', 'snapshot-recovery'];
const tailLines = 500;

/**
 * A Cluster that CloudNativePG is recovering: its own words, its pods with the ends of their logs, its volume claims, and
 * what the API server warns of where there is no pod yet. Fails as readCluster does. Logs and warnings that may not be
 * read are left out: they explain, and decide nothing.
 */
export async function lookAtRecovery(
  kubernetes: Pick<Kubernetes, 'core' | 'custom'>,
  place: ClusterName,
): Promise<SeenRecovery> {
  const { core } = kubernetes;
  const { namespace, name } = place;
  const labelSelector = `cnpg.io/cluster=${name}`;
  const [cluster, pods, claims] = await Promise.all([
    readCluster(kubernetes, place),
    asked(`list pods of namespace ${namespace}`, core.listNamespacedPod({ namespace, labelSelector })),
    asked(
      `list volume claims of namespace ${namespace}`,
      core.listNamespacedPersistentVolumeClaim({ namespace, labelSelector }),
    ),
  ]);
  const inOrder = [...pods.items].sort((a, b) => created(a) - created(b));
  const seen = await Promise.all(inOrder.map((pod) => seenPod(core, namespace, pod)));
  return {
    what: `Cluster ${namespace}/${name}`,
    phase: cluster.status.phase ?? null,
    reason: cluster.status.phaseReason ?? null,
    healthy: isHealthy(cluster),
    dead: isDead(cluster),
    pods: seen,
    claims: claims.items.map(({ metadata, status }) => ({
      name: metadata?.name ?? '',
      phase: status?.phase ?? 'Pending',
    })),
    warnings: seen.length > 0 ? [] : await warningsOf(core, namespace, name),
  };
}

const created = ({ metadata }: V1Pod) => metadata?.creationTimestamp?.getTime() ?? 0;

async function seenPod(
  core: Kubernetes['core'],
  namespace: string,
  { metadata, spec, status }: V1Pod,
): Promise<SeenPod> {
  const name = metadata?.name ?? '';
  const recovers = recoveringRoles.includes(metadata?.labels?.['cnpg.io/jobRole'] ?? '');
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = containers.map(({ state }) => state?.waiting).find((state) => isTrouble(state?.reason));
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const phase = status?.phase ?? 'Pending';
  const container = spec?.containers.find((one) => recoveringRoles.includes(one.name))?.name;
  return {
    name,
    recovers,
    phase,
    waiting: waiting === undefined ? null : { reason: waiting.reason ?? '', message: waiting.message ?? '' },
    unschedulable:
      scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
        ? (scheduled.message ?? 'no node fits')
        : null,
    log: recovers && phase !== 'Pending' ? await logOf(core, { namespace, name, container: container ?? '' }) : [],
  };
}

/** What every pod waits for, for a moment. */
const usual = ['PodInitializing', 'ContainerCreating'];
const isTrouble = (reason: string | undefined) => reason !== undefined && !usual.includes(reason);

async function logOf(
  core: Kubernetes['core'],
  pod: { readonly namespace: string; readonly name: string; readonly container: string },
): Promise<readonly string[]> {
  const { container, ...named } = pod;
  try {
    const text: unknown = await core.readNamespacedPodLog({
      ...named,
      ...(container === '' ? {} : { container }),
      tailLines,
    });
    return typeof text === 'string' ? readableLog(text) : [];
  } catch {
    return [];
  }
}

/** Of the Cluster, its Job and its volume claims: their names begin with the Cluster's. */
async function warningsOf(core: Kubernetes['core'], namespace: string, name: string): Promise<readonly string[]> {
  try {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: 'type=Warning' });
    return items
      .filter(
        ({ involvedObject }) => involvedObject.name === name || (involvedObject.name ?? '').startsWith(`${name}-`),
      )
      .sort((a, b) => (a.lastTimestamp?.getTime() ?? 0) - (b.lastTimestamp?.getTime() ?? 0))
      .map(({ message, reason }) => `${reason ?? ''}: ${message ?? ''}`)
      .slice(-5);
  } catch {
    return [];
  }
}
