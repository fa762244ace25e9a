import type { Kubernetes } from '../../../parts/kubernetes.ts';
import type { World } from '../../../parts/world.ts';
import type { ServedToPods } from './serve-to-pods.ts';

/** The Secret `s3`, by which pods and the operator get into the cluster's S3 server. */
export const storeKeys = ({ s3 }: Kubernetes) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's3' },
  stringData: { ACCESS_KEY_ID: s3.accessKeyId, ACCESS_SECRET_KEY: s3.secretAccessKey },
});

/**
 * What the configuration needs for workers in pods beside the one here: a repository in a bucket, which both reach, and
 * their template. `storeKeys` has to be in their namespace; the worker here gets the keys by its environment.
 */
export function storeForPods(
  kubernetes: Kubernetes,
  world: World,
  { bucket, prefix, temporal, env = [] }: StoreWishes,
): { readonly store: object; readonly workerPod: object } {
  const { s3 } = kubernetes;
  world.useKeys('store', s3);
  const key = (name: string, part: string) => ({ name, valueFrom: { secretKeyRef: { name: 's3', key: part } } });
  return {
    store: {
      s3: {
        ...{ bucket, ...(prefix === undefined ? {} : { prefix }), endpoint: s3.endpoint, region: s3.region },
        credentials: { accessKeyId: { env: 'STORE_ID' }, secretAccessKey: { env: 'STORE_SECRET' } },
      },
    },
    workerPod: {
      image: kubernetes.image('worker'),
      env: [
        { name: 'TEMPORAL_ADDRESS', value: temporal.address },
        key('STORE_ID', 'ACCESS_KEY_ID'),
        key('STORE_SECRET', 'ACCESS_SECRET_KEY'),
        ...env,
      ],
    },
  };
}

export interface StoreWishes {
  readonly bucket: string;
  readonly prefix?: string;
  /** Where pods reach Temporal. */
  readonly temporal: Pick<ServedToPods, 'address'>;
  /** More of their environment. */
  readonly env?: readonly object[];
}
