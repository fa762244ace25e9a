import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { asked } from '../kubernetes/failures.ts';
import { templateOfConfig, templateOfPod, type WorkerTemplate } from '../kubernetes/worker-pod/template.ts';
import type { Dependencies } from './dependencies.ts';

/** What a pod for a worker is made of: as the configuration says, else as this worker's own pod is. */
export async function templateFor(deps: Dependencies, { core }: Pick<Kubernetes, 'core'>): Promise<WorkerTemplate> {
  const { workerPod } = (await deps.config()).kubernetes;
  const { temporal, pod } = deps.self;
  if (workerPod !== undefined) return templateOfConfig(workerPod, temporal);
  if (pod === null)
    throw new HoldfastError(
      'ConfigurationInvalid',
      'nothing says what a pod for a worker is made of: this worker runs in none itself',
      'write out kubernetes.workerPod in the configuration; in a pod, set POD_NAME and POD_NAMESPACE (the chart does)',
    );
  try {
    return templateOfPod(await asked(`read pod ${pod.namespace}/${pod.name}`, core.readNamespacedPod(pod)));
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'KubernetesRefused') throw error;
    throw new HoldfastError(
      'KubernetesRefused',
      messageOf(error),
      'grant get on pods in its own namespace, or write out kubernetes.workerPod in the configuration',
      { cause: error },
    );
  }
}
