import { z } from 'zod';
import { HoldfastError } from '../domain/errors.ts';
import type { Repository, Staged, StageOwner } from '../storage/repository.ts';

const listSchema = z.array(z.object({ key: z.string(), token: z.string(), bytes: z.number(), sha256: z.string() }));

/** Stages the references of a backup's staged objects. It is never published: a sweep takes it away. */
export function stageList(
  repository: Repository,
  key: string,
  owner: StageOwner,
  objects: readonly Staged[],
  signal: AbortSignal,
): Promise<Staged> {
  return repository.stageSmall(key, owner, new TextEncoder().encode(JSON.stringify(objects)), signal);
}

/** A taken backup's staged objects. ObjectDamaged where their list is gone. */
export async function stagedObjects(
  repository: Repository,
  { object, list }: { readonly object?: Staged; readonly list?: Staged },
): Promise<readonly Staged[]> {
  if (object !== undefined) return [object];
  if (list === undefined)
    throw new HoldfastError('Unexpected', 'a backup was taken without an object', 'report this as a bug');
  return listSchema.parse(JSON.parse(await repository.readStagedText(list)));
}
