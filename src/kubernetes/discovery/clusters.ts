import type { z } from 'zod';
import { barmanCloudPlugin } from '../../domain/cnpg-specs.ts';
import {
  clusterSchema,
  objectStoreSchema,
  poolerSchema,
  scheduledBackupSchema,
  type ClusterObject,
  type ObjectStoreObject,
  type Store,
} from './cnpg-objects.ts';
import type { ClusterFound, Listed, StoreCredentials, StoreFound, Unread } from './found.ts';
import { nameOf, tryToRead, unknownVersion } from '../read-object.ts';
import { versionOfImage } from './images.ts';
import { inFiveFields } from './six-fields.ts';

/** CloudNativePG's Clusters, with what belongs to each; what isn't as this version knows it is named, and left out. */
export function findClusters(listed: Listed): { readonly found: ClusterFound[]; readonly unread: Unread[] } {
  const clusters = parsed('Cluster', clusterSchema, listed.clusters);
  const schedules = parsed('ScheduledBackup', scheduledBackupSchema, listed.scheduledBackups);
  const poolers = parsed('Pooler', poolerSchema, listed.poolers);
  const stores = parsed('ObjectStore', objectStoreSchema, listed.objectStores);
  return {
    found: clusters.objects.map((cluster) => {
      const ofThis = ({
        metadata,
        spec,
      }: {
        readonly metadata: Name;
        readonly spec: { readonly cluster: { name: string } };
      }) => metadata.namespace === cluster.metadata.namespace && spec.cluster.name === cluster.metadata.name;
      return {
        ...describe(cluster, stores.objects),
        scheduledBackups: schedules.objects
          .filter(ofThis)
          .sort(byName)
          .map(({ metadata: { name }, spec }) => ({
            name,
            schedule: spec.schedule,
            fiveFields: inFiveFields(spec.schedule),
            method: spec.method,
            suspended: spec.suspend === true,
          })),
        poolers: poolers.objects
          .filter(ofThis)
          .sort(byName)
          .map(({ metadata: { name }, spec: { type } }) => ({ name, type })),
      };
    }),
    unread: [clusters, schedules, poolers, stores].flatMap(({ unread }) => unread),
  };
}

interface Name {
  readonly namespace: string;
  readonly name: string;
}

const byName = (one: { readonly metadata: Name }, other: { readonly metadata: Name }) =>
  one.metadata.name < other.metadata.name ? -1 : 1;

export function parsed<Schema extends z.ZodType>(kind: string, schema: Schema, objects: readonly unknown[]) {
  const good: z.infer<Schema>[] = [];
  const unread: Unread[] = [];
  for (const object of objects) {
    const read = tryToRead(schema, object);
    if (read.flaw === undefined) good.push(read.value);
    else unread.push({ what: `${kind} ${nameOf(object)}`, why: `it ${read.flaw}`, hint: unknownVersion });
  }
  return { objects: good, unread };
}

function describe({ metadata, spec, status }: ClusterObject, stores: readonly ObjectStoreObject[]) {
  const image = status?.image ?? spec.imageName;
  const major = status?.pgDataImageInfo?.majorVersion ?? spec.imageCatalogRef?.major;
  const { replica, backup } = spec;
  return {
    kind: 'cnpg' as const,
    namespace: metadata.namespace,
    name: metadata.name,
    image,
    version:
      (image === undefined ? undefined : versionOfImage(image)) ?? (major === undefined ? undefined : String(major)),
    instances: spec.instances,
    phase: status?.phase,
    primary: status?.currentPrimary === '' ? undefined : status?.currentPrimary,
    replica: replica !== undefined && (replica.enabled ?? replica.primary !== (replica.self ?? metadata.name)),
    superuserSecret:
      spec.enableSuperuserAccess === true ? (spec.superuserSecret?.name ?? `${metadata.name}-superuser`) : undefined,
    storage: spec.storage?.size,
    backups: {
      stores: storesOf({ metadata, spec }, stores),
      volumeSnapshots: backup?.volumeSnapshot === undefined ? undefined : (backup.volumeSnapshot.className ?? ''),
    },
  };
}

function storesOf(
  { metadata, spec }: Pick<ClusterObject, 'metadata' | 'spec'>,
  stores: readonly ObjectStoreObject[],
): StoreFound[] {
  const inTree = spec.backup?.barmanObjectStore;
  return [
    ...(inTree === undefined
      ? []
      : [
          {
            by: 'in-tree Barman' as const,
            objectStore: undefined,
            retention: spec.backup?.retentionPolicy,
            ...placeOf(inTree),
          },
        ]),
    ...(spec.plugins ?? [])
      .filter(({ name, enabled }) => name === barmanCloudPlugin && enabled !== false)
      .map(({ parameters }) => {
        const name = parameters?.['barmanObjectName'];
        const store = stores.find((one) => one.metadata.namespace === metadata.namespace && one.metadata.name === name);
        return {
          by: 'plugin barman-cloud' as const,
          objectStore: name,
          retention: store?.spec.retentionPolicy,
          ...placeOf(store?.spec.configuration),
        };
      }),
  ];
}

const placeOf = (store: Store | undefined) => ({
  destination: store?.destinationPath,
  endpoint: store?.endpointURL,
  credentials: credentialsOf(store),
});

/** undefined where the keys don't lie in one Secret, or the store isn't S3. */
function credentialsOf(store: Store | undefined): StoreCredentials | undefined {
  const { accessKeyId, secretAccessKey } = store?.s3Credentials ?? {};
  if (accessKeyId === undefined || secretAccessKey?.name !== accessKeyId.name) return undefined;
  return { secret: accessKeyId.name, accessKeyId: accessKeyId.key, secretAccessKey: secretAccessKey.key };
}
