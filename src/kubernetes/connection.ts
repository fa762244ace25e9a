import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type {
  AppsV1Api,
  BatchV1Api,
  ConfigurationOptions,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  RequestContext,
  ResponseContext,
} from '@kubernetes/client-node';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/** The APIs of one Kubernetes, for as long as one piece of work lasts. What they throw is named by `asked` and `found`. */
export interface Kubernetes {
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  /** CloudNativePG's objects, and others without types: plain JSON, to be parsed. */
  readonly custom: CustomObjectsApi;
  /** What a patch is called with whose body is a merge patch. */
  readonly mergePatch: ConfigurationOptions;
}

/** Loaded when it is first needed: tens of megabytes that a worker without a Kubernetes never uses. */
const loadClient = () => import('@kubernetes/client-node');

/** How long one request may take: an API server that hangs is as good as none. */
const requestMs = 30_000;

/**
 * Where the Kubernetes API is: the file(s) of KUBECONFIG, else ~/.kube/config, else the service account of the pod that
 * this runs in, whose token is read anew as it rotates. Nothing is asked of it yet.
 * ConfigurationInvalid where there is none of them, or the file can't be read.
 */
export async function findKubernetes(environment: Readonly<Record<string, string | undefined>>): Promise<KubeConfig> {
  const { KubeConfig } = await loadClient();
  const named = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  const usual = join(environment['HOME'] ?? '', '.kube', 'config');
  const files = named.length > 0 ? named : existsSync(usual) ? [usual] : [];
  try {
    const [first, ...others] = files;
    if (first !== undefined) return merged(() => new KubeConfig(), first, others);
    if (environment['KUBERNETES_SERVICE_HOST'] !== undefined) return ofThisPod(new KubeConfig());
  } catch (error) {
    throw new HoldfastError(
      'ConfigurationInvalid',
      `the kubeconfig ${files.join(delimiter)} can't be used: ${messageOf(error)}`,
      'correct the file, or unset KUBECONFIG in a pod that has a service account',
      { cause: error },
    );
  }
  throw new HoldfastError(
    'ConfigurationInvalid',
    'there is no Kubernetes to ask: no KUBECONFIG, no ~/.kube/config, no service account of a pod',
    'run the worker as a pod, or name a kubeconfig in KUBECONFIG',
  );
}

function merged(empty: () => KubeConfig, first: string, others: readonly string[]): KubeConfig {
  const config = empty();
  config.loadFromFile(first);
  for (const file of others) {
    const other = empty();
    other.loadFromFile(file);
    // As kubectl does: the first file that names a current context has it.
    config.mergeConfig(other, config.getCurrentCluster() !== null);
  }
  if (config.getCurrentCluster() === null) throw new Error('it has no current context, or one without a cluster');
  return config;
}

function ofThisPod(config: KubeConfig): KubeConfig {
  config.loadFromCluster();
  return config;
}

/** Finds the Kubernetes of an environment and connects to it, as `findKubernetes` and `connectKubernetes` say. */
export async function openKubernetes(
  environment: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<Kubernetes> {
  return connectKubernetes(await findKubernetes(environment), signal);
}

/** Every request ends with the signal, or after half a minute. */
export async function connectKubernetes(config: KubeConfig, signal?: AbortSignal): Promise<Kubernetes> {
  const client = await loadClient();
  const cluster = config.getCurrentCluster();
  const configuration = client.createConfiguration({
    baseServer: new client.ServerConfiguration(cluster?.server ?? '', {}),
    authMethods: { default: config },
    promiseMiddleware: [
      {
        pre: (request: RequestContext) => {
          const limit = AbortSignal.timeout(requestMs);
          request.setSignal(signal === undefined ? limit : AbortSignal.any([signal, limit]));
          return Promise.resolve(request);
        },
        post: (response: ResponseContext) => Promise.resolve(response),
      },
    ],
  });
  return {
    core: new client.CoreV1Api(configuration),
    apps: new client.AppsV1Api(configuration),
    batch: new client.BatchV1Api(configuration),
    custom: new client.CustomObjectsApi(configuration),
    mergePatch: client.setHeaderOptions('Content-Type', client.PatchStrategy.MergePatch),
  };
}
