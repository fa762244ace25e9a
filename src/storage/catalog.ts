import type { z } from 'zod';
import type { Backup, Catalog, Unreadable } from '../domain/catalog.ts';
import { newestFirst } from '../domain/catalog.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { explainIssues } from '../domain/explain.ts';
import { manifestSuffix } from '../domain/ids.ts';
import { manifestSchema, type Manifest } from '../domain/manifest.ts';
import { drillOf, verificationOf } from '../domain/evidence.ts';
import type { Repository } from './repository.ts';

const parallelReads = 16;

/**
 * Reads every manifest of a repository: the catalog is nothing else. A manifest that can't be read is listed with
 * the reason, and never stops the others. Evidence of verifications and drills lies beside
 * and is joined by cluster and id.
 */
export async function readCatalog(repository: Repository): Promise<Catalog> {
  await repository.check();
  const manifestKeys: string[] = [];
  const evidenceKeys: string[] = [];
  for await (const { key } of repository.list('')) {
    if (key.endsWith(manifestSuffix)) manifestKeys.push(key);
    else if (key.includes('/evidence/')) evidenceKeys.push(key);
  }
  const verification = verificationOf(evidenceKeys);
  const drill = drillOf(evidenceKeys);
  const backups: Backup[] = [];
  const unreadable: Unreadable[] = [];
  await inParallel(manifestKeys, async (manifestKey) => {
    const manifest = await readManifest(repository, manifestKey);
    if ('reason' in manifest) unreadable.push({ manifestKey, reason: manifest.reason });
    else if (manifest.found) {
      const { found } = manifest;
      const { cluster, id } = found;
      backups.push({
        manifest: found,
        manifestKey,
        verification: verification(cluster, id),
        drill: drill(cluster, id),
      });
    }
  });
  return { backups: newestFirst(backups), unreadable };
}

/** One manifest; `found` is undefined where it went away meanwhile. Never throws for what it holds. */
export const readManifest = (repository: Repository, manifestKey: string): Promise<Read<Manifest>> =>
  readAs(repository, manifestKey, manifestSchema, ofItsKey);

export type Read<T> = { readonly found: T | undefined } | { readonly reason: string };

/**
 * A manifest of any kind; `found` is undefined where it went away meanwhile. Never throws for what it holds.
 * @param ofItsKey refuses one that isn't what its own place says
 */
export async function readAs<T>(
  repository: Repository,
  manifestKey: string,
  schema: z.ZodType<T>,
  ofItsKey: (manifest: T, manifestKey: string) => Read<T>,
): Promise<Read<T>> {
  const text = await repository.readText(manifestKey);
  if (text === undefined) return { found: undefined };
  try {
    const value: unknown = JSON.parse(text);
    const parsed = schema.safeParse(value);
    if (parsed.success) return ofItsKey(parsed.data, manifestKey);
    const [first] = explainIssues(parsed.error, value);
    return { reason: `${first?.path ?? ''}: ${first?.message ?? 'not a manifest'}` };
  } catch (error) {
    return { reason: `not JSON: ${messageOf(error)}` };
  }
}

/** What was found in a dump that nobody vouches for. Throws ObjectDamaged: without it the dump is to be read again. */
export async function readSurvey(repository: Repository, key: string): Promise<Manifest> {
  const text = await repository.readText(key);
  try {
    const manifest = manifestSchema.parse(JSON.parse(text ?? 'null'));
    if (manifest.origin?.kind === 'surveyed') return manifest;
  } catch {
    // said below
  }
  throw new HoldfastError(
    'ObjectDamaged',
    `${key}, which tells what was found in the dump, is gone or damaged`,
    'start the restore again: it reads the dump anew',
  );
}

/** A manifest speaks for the files beside it, by their names, and for no others: pruning deletes what it names. */
function ofItsKey(manifest: Manifest, manifestKey: string): Read<Manifest> {
  const directory = manifestKey.slice(0, manifestKey.lastIndexOf('/') + 1);
  if (manifestKey !== `${directory}${manifest.id}${manifestSuffix}`) {
    return { reason: `id: '${manifest.id}' is not what the manifest's own name says` };
  }
  const stem = `${directory}${manifest.id}`;
  const foreign = manifest.objects.find(
    ({ key }) => key !== stem && !key.startsWith(`${stem}.`) && !key.startsWith(`${stem}/`),
  );
  if (foreign) return { reason: `objects: ${foreign.key} does not lie beside the manifest` };
  return { found: manifest };
}

export async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const lane = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: parallelReads }, lane));
}
