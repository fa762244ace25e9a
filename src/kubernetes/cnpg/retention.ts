import { z } from 'zod';
import { barmanCloudPlugin, type CnpgWay } from '../../domain/cnpg-specs.ts';
import type { Kubernetes } from '../connection.ts';
import { found } from '../failures.ts';
import type { Cluster } from './cluster.ts';

const objectStoreSchema = z.object({ spec: z.object({ retentionPolicy: z.string().optional() }) });

/** Where CloudNativePG reads how long backups in an object store are kept, and what stands there. */
export interface RetentionPlace {
  /** For people: Cluster production/logto, spec.backup.retentionPolicy. */
  readonly place: string;
  /** Such as "30d"; null: nothing is ever deleted. */
  readonly retention: string | null;
}

/** null where the way has none: volume snapshots, and plugins that aren't known. */
export async function readRetention(
  { custom }: Pick<Kubernetes, 'custom'>,
  cluster: Cluster,
  way: CnpgWay,
): Promise<RetentionPlace | null> {
  const { namespace, name } = cluster.metadata;
  if (way.method === 'barmanObjectStore')
    return {
      place: `Cluster ${namespace}/${name}, spec.backup.retentionPolicy`,
      retention: cluster.spec.backup?.retentionPolicy ?? null,
    };
  if (way.method !== 'plugin' || way.plugin !== barmanCloudPlugin) return null;
  const store = cluster.spec.plugins?.find((each) => each.name === way.plugin)?.parameters?.['barmanObjectName'];
  if (store === undefined) return null;
  const object: unknown = await found(
    `read ObjectStore ${namespace}/${store}`,
    custom.getNamespacedCustomObject({
      group: 'barmancloud.cnpg.io',
      version: 'v1',
      plural: 'objectstores',
      namespace,
      name: store,
    }),
  );
  if (object === undefined) return null;
  return {
    place: `ObjectStore ${namespace}/${store}, spec.retentionPolicy`,
    retention: objectStoreSchema.parse(object).spec.retentionPolicy ?? null,
  };
}
