import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { parseAllDocuments } from 'yaml';
import type { Json } from '../../domain/canonical.ts';
import type { ClusterDefinition, JsonObject } from '../../domain/cnpg-definition.ts';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { found } from '../failures.ts';
import { readObject } from '../read-object.ts';
import { barmanApi, cnpgApi, type ClusterName } from './cluster.ts';

const json: z.ZodType<Json> = z.json();
const members = z.record(z.string(), json);

const writtenSchema = z.object({ metadata: z.object({ name: z.string(), uid: z.string() }), spec: members });

/** A Cluster as it was written, and the object's uid; undefined where there is none. */
export async function readDefinition(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
): Promise<{ readonly definition: ClusterDefinition; readonly uid: string } | undefined> {
  const what = `Cluster ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...cnpgApi, plural: 'clusters', namespace, name }),
  );
  if (object === undefined) return undefined;
  const { metadata, spec } = readObject(writtenSchema, what, object);
  return { definition: { namespace, name, spec }, uid: metadata.uid };
}

/** Where an ObjectStore of the Barman Cloud plugin is; null: there is none of that name. */
export async function readObjectStore(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
): Promise<JsonObject | null> {
  const what = `ObjectStore ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...barmanApi, plural: 'objectstores', namespace, name }),
  );
  if (object === undefined) return null;
  return readObject(z.object({ spec: z.object({ configuration: members }) }), what, object).spec.configuration;
}

const manifestSchema = z.object({
  kind: z.literal('Cluster'),
  apiVersion: z.string().startsWith(`${cnpgApi.group}/`),
  metadata: z.object({ name: z.string() }),
  spec: members,
});

/**
 * The Cluster of that name in a file of manifests, as it lies in git. ConfigurationInvalid where the file can't be read,
 * is no YAML, or has no such Cluster.
 */
export async function definitionInFile(file: string, { namespace, name }: ClusterName): Promise<ClusterDefinition> {
  const refuse = (what: string) =>
    new HoldfastError(
      'ConfigurationInvalid',
      `${file}, which cnpg.recovery.manifest names, ${what}`,
      `mount the file that Cluster ${namespace}/${name} was applied from, or give its spec in cnpg.recovery.spec`,
    );
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw refuse(`can't be read: ${messageOf(error)}`);
  }
  const documents = parseAllDocuments(text);
  for (const document of documents) {
    const [flaw] = 'errors' in document ? document.errors : [];
    if (flaw !== undefined) throw refuse(`is no YAML: ${flaw.message}`);
    const parsed = manifestSchema.safeParse(document.toJS());
    if (parsed.success && parsed.data.metadata.name === name) return { namespace, name, spec: parsed.data.spec };
  }
  throw refuse(`holds no Cluster named ${name}`);
}
