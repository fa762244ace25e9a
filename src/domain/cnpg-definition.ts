import type { Json } from './canonical.ts';
import { barmanCloudPlugin } from './cnpg-specs.ts';

export type JsonObject = Readonly<Record<string, Json | undefined>>;

/** A Cluster as somebody wrote it. What a recovery doesn't read of it, it carries over as it is. */
export interface ClusterDefinition {
  readonly namespace: string;
  readonly name: string;
  readonly spec: JsonObject;
}

/** A member's own members; none where it is something else, or not there. */
export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  let at: Json | undefined = value;
  for (const key of path) at = isObject(at) ? at[key] : undefined;
  return isObject(at) ? at : {};
}

export function textAt(value: Json | undefined, ...path: readonly string[]): string | null {
  const last = path.at(-1) ?? '';
  const text = objectAt(value, ...path.slice(0, -1))[last];
  return typeof text === 'string' && text !== '' ? text : null;
}

/** The same without some of its members. */
export const without = (value: JsonObject, ...members: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(value).filter(([member]) => !members.includes(member)));

export const listAt = (value: JsonObject, key: string): readonly Json[] => {
  const list = value[key];
  return Array.isArray(list) ? (list as readonly Json[]) : [];
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where CloudNativePG has put the backups and the WAL of a Cluster. */
export interface CnpgStore {
  /** Of the Cluster itself, or an ObjectStore of the Barman Cloud plugin. */
  readonly way: { readonly kind: 'inTree' } | { readonly kind: 'plugin'; readonly objectStore: string };
  /** The directory below the destination path. */
  readonly serverName: string;
  /** barmanObjectStore, or the ObjectStore's configuration; null: that ObjectStore is not there. */
  readonly barman: JsonObject | null;
}

/** The Barman Cloud plugin of a Cluster, where it is enabled. */
export const barmanPluginOf = (spec: JsonObject): JsonObject | undefined =>
  listAt(spec, 'plugins')
    .map((plugin) => objectAt(plugin))
    .find((plugin) => plugin['name'] === barmanCloudPlugin && plugin['enabled'] !== false);

/**
 * Where a Cluster archives; null: nowhere that is known.
 * @param configurationOf the configuration of an ObjectStore; null: there is none of that name
 */
export function storeOf(
  { name, spec }: ClusterDefinition,
  configurationOf: (objectStore: string) => JsonObject | null,
): CnpgStore | null {
  const plugin = barmanPluginOf(spec);
  const objectStore = textAt(plugin, 'parameters', 'barmanObjectName');
  if (objectStore !== null)
    return {
      way: { kind: 'plugin', objectStore },
      serverName: textAt(plugin, 'parameters', 'serverName') ?? name,
      barman: configurationOf(objectStore),
    };
  const barman = objectAt(spec, 'backup', 'barmanObjectStore');
  if (textAt(barman, 'destinationPath') === null) return null;
  return { way: { kind: 'inTree' }, serverName: textAt(barman, 'serverName') ?? name, barman };
}

/** Where the bytes lie, and the Secret keys that open it: by reference, in the Cluster's namespace. */
export interface BarmanPlace {
  readonly bucket: string;
  /** '' or 'a/b'. */
  readonly prefix: string;
  /** null: AWS. */
  readonly endpoint: string | null;
  readonly accessKeyId: SecretKey;
  readonly secretAccessKey: SecretKey;
  readonly sessionToken: SecretKey | null;
  readonly region: SecretKey | null;
}

export interface SecretKey {
  readonly name: string;
  readonly key: string;
}

/** Where a worker can read a store of Barman's; in words why it can't, if so. */
export function placeOf({ way, barman }: CnpgStore): BarmanPlace | { readonly unread: string } {
  if (barman === null) return { unread: `ObjectStore ${way.kind === 'plugin' ? way.objectStore : ''} is not there` };
  const destination = textAt(barman, 'destinationPath') ?? '';
  const place = /^s3:\/\/([^/]+)\/*(.*?)\/*$/.exec(destination);
  if (place === null)
    return { unread: `its destination ${destination} is no S3 bucket, which is all that Holdfast reads` };
  const keyAt = (name: string): SecretKey | null => {
    const [secret, key] = [textAt(barman, 's3Credentials', name, 'name'), textAt(barman, 's3Credentials', name, 'key')];
    return secret === null || key === null ? null : { name: secret, key };
  };
  const [accessKeyId, secretAccessKey] = [keyAt('accessKeyId'), keyAt('secretAccessKey')];
  if (accessKeyId === null || secretAccessKey === null)
    return { unread: 'its credentials are not in a Secret: the role of its own pods opens it, and nobody else' };
  return {
    bucket: place[1] ?? '',
    prefix: place[2] ?? '',
    endpoint: textAt(barman, 'endpointURL'),
    accessKeyId,
    secretAccessKey,
    sessionToken: keyAt('sessionToken'),
    region: keyAt('region'),
  };
}

/** The names of every Secret that a store's own section refers to: CloudNativePG needs them, and backups hold none. */
export function secretsOf(barman: JsonObject | null): readonly string[] {
  const found = new Set<string>();
  const look = (value: Json | undefined) => {
    if (Array.isArray(value)) return;
    const own = objectAt(value);
    if (typeof own['name'] === 'string' && typeof own['key'] === 'string') found.add(own['name']);
    else for (const member of Object.values(own)) look(member);
  };
  for (const member of ['s3Credentials', 'azureCredentials', 'googleCredentials', 'endpointCA']) look(barman?.[member]);
  return [...found];
}
