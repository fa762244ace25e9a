import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  createConfiguration,
  CustomObjectsApi,
  KubeConfig,
  ServerConfiguration,
  type RequestContext,
  type ResponseContext,
} from '@kubernetes/client-node';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/** The APIs of one Kubernetes, for as long as one piece of work lasts. What they throw is named by `asked` and `found`. */
export interface Kubernetes {
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly batch: BatchV1Api;
  /** CloudNativePG's objects, and others without types: plain JSON, to be parsed. */
  readonly custom: CustomObjectsApi;
}

/** How long one request may take: an API server that hangs is as good as none. */
const requestMs = 30_000;

/**
 * Where the Kubernetes API is: the file(s) of KUBECONFIG, else ~/.kube/config, else the service account of the pod that
 * this runs in, whose token is read anew as it rotates. Nothing is asked of it yet.
 * ConfigurationInvalid where there is none of them, or the file can't be read.
 */
export function findKubernetes(environment: Readonly<Record<string, string | undefined>>): KubeConfig {
  const named = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  const usual = join(environment['HOME'] ?? '', '.kube', 'config');
  const files = named.length > 0 ? named : existsSync(usual) ? [usual] : [];
  try {
    const [first, ...others] = files;
    if (first !== undefined) return merged(first, others);
    if (environment['KUBERNETES_SERVICE_HOST'] !== undefined) return ofThisPod();
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

function merged(first: string, others: readonly string[]): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(first);
  for (const file of others) {
    const other = new KubeConfig();
    other.loadFromFile(file);
    // As kubectl does: the first file that names a current context has it.
    config.mergeConfig(other, config.getCurrentCluster() !== null);
  }
  if (config.getCurrentCluster() === null) throw new Error('it has no current context, or one without a cluster');
  return config;
}

function ofThisPod(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromCluster();
  return config;
}

/** Every request ends with the signal, or after half a minute. */
export function connectKubernetes(config: KubeConfig, signal?: AbortSignal): Kubernetes {
  const cluster = config.getCurrentCluster();
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(cluster?.server ?? '', {}),
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
    core: new CoreV1Api(configuration),
    apps: new AppsV1Api(configuration),
    batch: new BatchV1Api(configuration),
    custom: new CustomObjectsApi(configuration),
  };
}
