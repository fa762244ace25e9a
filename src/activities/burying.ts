import { z } from 'zod';
import { HoldfastError } from '../domain/errors.ts';
import { evidenceDirectory } from '../domain/ids.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { Repository } from '../storage/repository.ts';

/** How a backup of any kind is removed, so that nobody ever sees one without its bytes. */

const tombstoneSchema = z.object({
  version: z.literal(1),
  backup: z.string(),
  cluster: z.string(),
  objects: z.array(z.string()),
  manifest: z.string(),
});
export type Tombstone = z.infer<typeof tombstoneSchema>;

interface Mortal {
  readonly manifest: {
    readonly id: string;
    readonly cluster: string;
    readonly objects: readonly { readonly key: string }[];
  };
  readonly manifestKey: string;
}

type Failpoint = (name: string) => Promise<void>;

/**
 * A tombstone first, then the manifest, so that no catalog ever shows a backup without its bytes; then the bytes,
 * the evidence, and the tombstone last. A prune that was killed in between is finished by the next one.
 * @param key of the tombstone
 */
export async function removeBackup(
  repository: Repository,
  { manifest, manifestKey }: Mortal,
  key: string,
  {
    run,
    signal,
    failpoint,
  }: { readonly run: RunIdentity; readonly signal: AbortSignal; readonly failpoint: Failpoint },
): Promise<void> {
  const tombstone: Tombstone = {
    version: 1,
    backup: manifest.id,
    cluster: manifest.cluster,
    objects: manifest.objects.map((object) => object.key),
    manifest: manifestKey,
  };
  if ((await repository.readText(key)) === undefined) {
    await repository.put(
      key,
      { run: run.short, attempt: 1 },
      new TextEncoder().encode(`${JSON.stringify(tombstone)}\n`),
      signal,
    );
  }
  await failpoint('prune:tombstone');
  await bury(repository, key, tombstone, failpoint);
}

/** Finishes a removal that was begun, unless its backup is one still: its removal was cut short at once, or the store keeps it. */
export async function finishRemoval(repository: Repository, key: string, tombstone: Tombstone): Promise<void> {
  if ((await repository.size(tombstone.manifest)) !== undefined) return;
  await unlessLocked(bury(repository, key, tombstone, () => Promise.resolve()));
}

async function bury(repository: Repository, key: string, tombstone: Tombstone, failpoint: Failpoint): Promise<void> {
  await repository.remove(tombstone.manifest);
  await failpoint('prune:manifest');
  for (const object of tombstone.objects) await repository.remove(object);
  for await (const evidence of repository.list(`${evidenceDirectory(tombstone.cluster, tombstone.backup)}/`))
    await repository.remove(evidence.key);
  await failpoint('prune:objects');
  await repository.remove(key);
}

/** A tombstone names what is deleted: undefined for one that names anything but its own backup's files. */
export function readTombstone(text: string | undefined, isOwn: (key: string) => boolean): Tombstone | undefined {
  const parsed = tombstoneSchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { manifest, objects } = parsed.data;
  return [manifest, ...objects].every(isOwn) ? parsed.data : undefined;
}

export const unbelievable = (key: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `tombstone ${key} doesn't name the files of its own backup`,
    'look at it, and remove it by hand together with what it stands for',
  );

/** false: the store's object lock kept something of it. */
export async function unlessLocked(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'ObjectLocked') return false;
    throw error;
  }
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
