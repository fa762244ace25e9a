import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthenticationV1TokenRequest,
  AuthorizationV1Api,
  CoreV1Api,
  KubeConfig,
  V1SubjectAccessReview,
  V1SubjectAccessReviewSpec,
  V1TokenRequestSpec,
  type Cluster,
} from '@kubernetes/client-node';
import type { Kubernetes, Namespace } from '../../../parts/kubernetes.ts';
import type { World } from '../../../parts/world.ts';

/** From now on the world's workers and commands ask this Kubernetes, where nothing else is named. */
export async function useKubernetes({ directory }: Pick<World, 'directory'>, kubeconfigFile: string): Promise<void> {
  await mkdir(join(directory, '.kube'), { recursive: true });
  await copyFile(kubeconfigFile, join(directory, '.kube', 'config'));
}

/** A kubeconfig for a ServiceAccount of the namespace, which is made here and has no rights of its own. */
export async function accountKubeconfig(
  { config }: Pick<Kubernetes, 'config'>,
  namespace: Namespace,
  account: string,
  file: string,
): Promise<void> {
  await namespace.apply([{ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account } }]);
  const body = new AuthenticationV1TokenRequest();
  body.spec = new V1TokenRequestSpec();
  // The API server's own.
  body.spec.audiences = [];
  const { status } = await config
    .makeApiClient(CoreV1Api)
    .createNamespacedServiceAccountToken({ name: account, namespace: namespace.name, body });
  await write(file, clusterOf(config), { name: account, token: status?.token }, namespace.name);
}

function clusterOf(config: KubeConfig): Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig of the cluster names none');
  return cluster;
}

async function write(
  file: string,
  cluster: Cluster,
  user: { readonly name: string; readonly token: string | undefined },
  namespace: string,
): Promise<void> {
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [cluster],
    users: [user],
    contexts: [{ name: user.name, cluster: cluster.name, user: user.name, namespace }],
    currentContext: user.name,
  });
  await writeFile(file, config.exportConfig(), { mode: 0o600 });
}

export interface Question {
  readonly verb: string;
  readonly resource: string;
  readonly group?: string;
  readonly namespace: string;
}

/** Until the API server answers so, as `kubectl auth can-i` asks. @param account namespace:name of a ServiceAccount */
export async function untilAllowed(
  { config }: Pick<Kubernetes, 'config'>,
  account: string,
  question: Question,
  allowed: boolean,
): Promise<void> {
  const [namespace = ''] = account.split(':');
  const body = Object.assign(new V1SubjectAccessReview(), {
    spec: Object.assign(new V1SubjectAccessReviewSpec(), {
      user: `system:serviceaccount:${account}`,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      resourceAttributes: question,
    }),
  });
  const reviews = config.makeApiClient(AuthorizationV1Api);
  while ((await reviews.createSubjectAccessReview({ body })).status?.allowed !== allowed) await sleep(100);
}
