import { z } from 'zod';
import { barmanCloudPlugin, type CnpgWay } from '../../domain/cnpg-specs.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found } from '../failures.ts';
import { readObject } from '../read-object.ts';
import { barmanApi, cnpgApi, type Cluster } from './cluster.ts';

const objectStoreApi = { ...barmanApi, plural: 'objectstores' } as const;
const objectStoreSchema = z.object({ spec: z.object({ retentionPolicy: z.string().optional() }) });

interface ObjectName {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string;
  readonly name: string;
}

/** The ObjectStore that a Cluster's Barman Cloud plugin uses, and under which name; undefined: it has none. */
export function objectStoreOf({
  metadata: { namespace, name },
  spec,
}: Cluster): { readonly object: ObjectName; readonly serverName: string } | undefined {
  const parameters = spec.plugins?.find((each) => each.name === barmanCloudPlugin)?.parameters;
  const store = parameters?.['barmanObjectName'];
  if (store === undefined) return undefined;
  return { object: { ...objectStoreApi, namespace, name: store }, serverName: parameters?.['serverName'] ?? name };
}

/** Where CloudNativePG reads how long backups in an object store are kept, and what stands there. */
export interface RetentionPlace {
  /** For people: Cluster production/logto, spec.backup.retentionPolicy. */
  readonly place: string;
  /** Such as "30d"; null: nothing is ever deleted. */
  readonly retention: string | null;
  readonly object: ObjectName;
  /** JSON pointer of the member. */
  readonly path: string;
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
      object: { ...cnpgApi, plural: 'clusters', namespace, name },
      path: '/spec/backup/retentionPolicy',
    };
  if (way.method !== 'plugin' || way.plugin !== barmanCloudPlugin) return null;
  const store = objectStoreOf(cluster);
  if (store === undefined) return null;
  const what = `ObjectStore ${namespace}/${store.object.name}`;
  const there: unknown = await found(`read ${what}`, custom.getNamespacedCustomObject(store.object));
  if (there === undefined) return null;
  return {
    place: `${what}, spec.retentionPolicy`,
    retention: readObject(objectStoreSchema, what, there).spec.retentionPolicy ?? null,
    object: store.object,
    path: '/spec/retentionPolicy',
  };
}

/** Writes a recovery window, such as "30d", to where CloudNativePG reads it. Needs the right to patch that object. */
export async function writeRetention(
  { custom }: Pick<Kubernetes, 'custom'>,
  { place, object, path }: RetentionPlace,
  window: string,
): Promise<void> {
  // "add" replaces what is there.
  const body = [{ op: 'add', path, value: window }];
  await asked(`set ${place}`, custom.patchNamespacedCustomObject({ ...object, body }));
}
