import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretReference } from '../domain/config.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/** Where Kubernetes Secrets are mounted, each as a directory of its name, unless HOLDFAST_SECRETS says another place. */
const mountedSecrets = '/var/run/secrets/holdfast';

/** Throws ConfigurationInvalid that names the place, never what was found there. */
export type ReadSecret = (reference: SecretReference) => Promise<string>;

/** Reads a secret where the configuration says it lies, each time anew: secrets rotate. */
export function secretReader(environment: Readonly<Record<string, string | undefined>>): ReadSecret {
  return async ({ env, file, secret, key }) => {
    if (env !== undefined) {
      const value = environment[env];
      if (value !== undefined) return value;
      throw new HoldfastError(
        'ConfigurationInvalid',
        `environment variable ${env}, which holds a secret, is not set for the worker`,
        `set ${env} and start the worker again`,
      );
    }
    const path = file ?? join(environment['HOLDFAST_SECRETS'] ?? mountedSecrets, secret ?? '', key ?? '');
    try {
      return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
    } catch (error) {
      throw new HoldfastError(
        'ConfigurationInvalid',
        `a secret can't be read from ${path}: ${messageOf(error)}`,
        secret === undefined
          ? "make the file, readable for the worker's user"
          : `mount Secret ${secret} into the worker at ${join(path, '..')}, or set HOLDFAST_SECRETS to the directory that holds it`,
        { cause: error },
      );
    }
  };
}
