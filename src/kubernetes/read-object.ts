import { z } from 'zod';
import { HoldfastError } from '../domain/errors.ts';
import { explainShortly } from '../domain/explain.ts';

/** What to do about an object that isn't as this version knows it. */
export const unknownVersion =
  'see which version of its CustomResourceDefinition is installed (CloudNativePG, its plugin, …), and whether Holdfast knows that';

/**
 * What of an object this version knows; the rest stays unread. KubernetesNotUnderstood that names the object, the
 * field, what was expected there and what was found.
 * @param what for messages: "Cluster production/logto"
 */
export function readObject<Schema extends z.ZodType>(schema: Schema, what: string, object: unknown): z.infer<Schema> {
  const read = tryToRead(schema, object);
  if (read.flaw === undefined) return read.value;
  throw new HoldfastError('KubernetesNotUnderstood', `${what} ${read.flaw}`, unknownVersion);
}

/** The same as an answer: a flaw is a sentence's end such as "is not what this version understands: spec.instances: …". */
export function tryToRead<Schema extends z.ZodType>(
  schema: Schema,
  object: unknown,
): { readonly value: z.infer<Schema>; readonly flaw?: undefined } | { readonly flaw: string } {
  const parsed = schema.safeParse(object);
  if (parsed.success) return { value: parsed.data };
  return { flaw: `is not what this version understands: ${explainShortly(parsed.error, object)}` };
}

const listSchema = z.object({ items: z.array(z.unknown()) });

/**
 * What of the objects of a list this version knows; one that it doesn't fails all, by its name.
 * @param kind of each: "Backup"
 * @param what the list is, for messages: "the list of Backups of namespace production"
 */
export const readItems = <Schema extends z.ZodType>(
  schema: Schema,
  kind: string,
  what: string,
  list: unknown,
): z.infer<Schema>[] =>
  readObject(listSchema, what, list).items.map((item) => readObject(schema, `${kind} ${nameOf(item)}`, item));

const nameSchema = z.object({ metadata: z.object({ namespace: z.string().optional(), name: z.string() }) });

/** "production/logto"; "(without a name)" where even that can't be told. */
export function nameOf(object: unknown): string {
  const parsed = nameSchema.safeParse(object);
  if (!parsed.success) return '(without a name)';
  const { namespace, name } = parsed.data.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}
