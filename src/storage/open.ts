import type { SecretReference } from '../domain/config.ts';
import type { RepositorySpec } from '../domain/specs.ts';
import { openDirectory } from './directory.ts';
import { initialiseDirectory, type Initialised } from './initialise.ts';
import type { Repository } from './repository.ts';
import { initialiseS3 } from './s3/initialise.ts';
import { openS3 } from './s3/s3.ts';

/** Throws a HoldfastError that names the place, never what was found there. */
export type ReadSecret = (reference: SecretReference) => Promise<string>;

/** Opens a repository of either kind. Touches nothing yet. */
export function openRepository(spec: RepositorySpec, readSecret: ReadSecret): Repository {
  return 'directory' in spec ? openDirectory(spec) : openS3(spec, readSecret);
}

/** Makes a directory, or a prefix of a bucket, a repository. Idempotent; see initialiseDirectory and initialiseS3. */
export function initialiseRepository(
  spec: RepositorySpec,
  readSecret: ReadSecret,
  { now, evenIfUsed = false }: { readonly now: Date; readonly evenIfUsed?: boolean },
): Promise<Initialised> {
  if ('directory' in spec) return initialiseDirectory({ directory: spec.directory, now, evenIfUsed });
  return initialiseS3(spec, readSecret, { now, evenIfUsed });
}
