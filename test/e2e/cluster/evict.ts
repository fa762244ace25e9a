import { CoreV1Api, V1Eviction, V1ObjectMeta, type KubernetesObject } from '@kubernetes/client-node';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kubernetes, Namespace } from '../../../parts/kubernetes.ts';

/** Ends a pod as a node that is drained does, and waits until it is gone. */
export async function evict(
  { config }: Pick<Kubernetes, 'config'>,
  namespace: Namespace,
  { metadata }: KubernetesObject,
): Promise<void> {
  const name = metadata?.name ?? '';
  const body = Object.assign(new V1Eviction(), { metadata: Object.assign(new V1ObjectMeta(), { name }) });
  await config.makeApiClient(CoreV1Api).createNamespacedPodEviction({ name, namespace: namespace.name, body });
  while ((await namespace.get({ apiVersion: 'v1', kind: 'Pod', name }))?.metadata?.uid === metadata?.uid)
    await sleep(100);
}
