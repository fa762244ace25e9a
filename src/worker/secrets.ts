import { readFile } from 'node:fs/promises';
import type { SecretReference } from '../domain/config.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/** Reads a secret where the configuration says it lies, each time anew: secrets rotate. */
export function secretReader(
  environment: Readonly<Record<string, string | undefined>>,
): (reference: SecretReference) => Promise<string> {
  return async ({ env, file }) => {
    if (env !== undefined) {
      const value = environment[env];
      if (value !== undefined) return value;
      throw new HoldfastError(
        'ConfigurationInvalid',
        `environment variable ${env}, which holds a password, is not set for the worker`,
        `set ${env} and start the worker again`,
      );
    }
    try {
      return (await readFile(file ?? '', 'utf8')).replace(/\r?\n$/, '');
    } catch (error) {
      throw new HoldfastError(
        'ConfigurationInvalid',
        `a password can't be read from ${file ?? ''}: ${messageOf(error)}`,
        "make the file, readable for the worker's user",
        { cause: error },
      );
    }
  };
}
