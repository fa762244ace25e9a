import type { Backup } from '../domain/catalog.ts';
import { foreignDumps, foreignPrefix, type ForeignDump } from '../domain/foreign.ts';
import type { AdoptSpec } from '../domain/specs.ts';
import { readCatalog } from '../storage/catalog.ts';
import type { ListedObject, Repository } from '../storage/repository.ts';

export interface ForeignListing {
  readonly dumps: readonly ForeignDump[];
  readonly keys: readonly string[];
}

/** The dumps that a policy would adopt: what lies there and the catalog doesn't know. */
export async function listForeign(repository: Repository, adopt: AdoptSpec): Promise<ForeignListing> {
  const { backups } = await readCatalog(repository);
  return foreignBeside(repository, adopt, backups);
}

/** The same, where the repository's catalog has been read. */
export async function foreignBeside(
  repository: Repository,
  adopt: AdoptSpec,
  backups: readonly Backup[],
): Promise<ForeignListing> {
  const known = new Set(backups.flatMap(({ manifest }) => manifest.objects.map(({ key }) => key)));
  const files: ListedObject[] = [];
  for await (const file of repository.list(foreignPrefix(adopt))) files.push(file);
  return { dumps: foreignDumps(files, known, adopt), keys: files.map(({ key }) => key) };
}
