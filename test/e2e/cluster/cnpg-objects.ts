import type { Kubernetes } from '../../../parts/kubernetes.ts';

export const cnpg = 'postgresql.cnpg.io/v1';

export interface Stored {
  readonly bucket: { readonly name: string };
  readonly instances?: number;
  /** As CloudNativePG is to keep backups; by default for ever. */
  readonly retention?: string;
}

const barmanCloud = 'barman-cloud.cloudnative-pg.io';
const credentials = {
  accessKeyId: { name: 's3', key: 'ACCESS_KEY_ID' },
  secretAccessKey: { name: 's3', key: 'ACCESS_SECRET_KEY' },
};

/** The Secret `s3` of the clusters below. */
export const storeSecret = ({ s3: { accessKeyId, secretAccessKey } }: Kubernetes) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's3' },
  stringData: { ACCESS_KEY_ID: accessKeyId, ACCESS_SECRET_KEY: secretAccessKey },
});

/** A Cluster that CloudNativePG itself backs up to a bucket. */
export function inTreeCluster(kubernetes: Kubernetes, name: string, { bucket, instances = 1, retention }: Stored) {
  const barmanObjectStore = {
    destinationPath: `s3://${bucket.name}/`,
    endpointURL: kubernetes.s3.endpoint,
    s3Credentials: credentials,
  };
  const backup = { barmanObjectStore, ...(retention === undefined ? {} : { retentionPolicy: retention }) };
  return cluster(kubernetes, name, { instances, backup });
}

/** A Cluster whose backups the Barman Cloud plugin takes, and its ObjectStore, of the same name. */
export function pluginCluster(kubernetes: Kubernetes, name: string, { bucket, instances = 1, retention }: Stored) {
  const configuration = {
    destinationPath: `s3://${bucket.name}/`,
    endpointURL: kubernetes.s3.endpoint,
    s3Credentials: credentials,
  };
  const plugins = [{ name: barmanCloud, isWALArchiver: true, parameters: { barmanObjectName: name } }];
  return [
    {
      apiVersion: 'barmancloud.cnpg.io/v1',
      kind: 'ObjectStore',
      metadata: { name },
      spec: { configuration, ...(retention === undefined ? {} : { retentionPolicy: retention }) },
    },
    cluster(kubernetes, name, { instances, plugins }),
  ];
}

const cluster = (kubernetes: Kubernetes, name: string, spec: object) => ({
  apiVersion: cnpg,
  kind: 'Cluster',
  metadata: { name },
  spec: {
    imageName: kubernetes.image('postgresql-17'),
    enableSuperuserAccess: true,
    storage: { size: '1Gi' },
    ...spec,
  },
});
