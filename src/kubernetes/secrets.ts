import { HoldfastError } from '../domain/errors.ts';
import type { Kubernetes } from './connection.ts';
import { found } from './failures.ts';

/** A Secret's keys and values, as text. ConfigurationInvalid where there is no such Secret. */
export async function readSecret(
  { core }: Pick<Kubernetes, 'core'>,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<Readonly<Record<string, string>>> {
  const secret = await found(`read Secret ${namespace}/${name}`, core.readNamespacedSecret({ name, namespace }));
  if (secret === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `there is no Secret '${name}' in namespace ${namespace}`,
      'create it, or correct the name in the configuration',
    );
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}
