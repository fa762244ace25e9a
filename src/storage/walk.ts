import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { unlessMissing } from './errno.ts';
import { pathOf } from './files.ts';
import { keyFault, parseStagedName } from './keys.ts';
import type { ListedObject, ListedStaged } from './repository.ts';

/** How many files are looked at side by side: Node has four threads for it, a network's delay wants more. */
const together = 32;

/** fsck's own, at the top of a file system, closed to everybody but root. */
const ownersOnly = 'lost+found';

/** Regular files with keys that begin with the prefix, in the order of their keys. A folder that isn't there is empty. */
export async function* walkObjects(root: string, folder: string, prefix: string): AsyncGenerator<ListedObject> {
  let batch: string[] = [];
  for (const entry of await entriesOf(root, folder)) {
    const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (keyFault(key) !== undefined) continue;
    if (entry.isDirectory()) {
      if (!`${key}/`.startsWith(prefix) && !prefix.startsWith(`${key}/`)) continue;
      yield* await stat(root, batch);
      batch = [];
      yield* walkObjects(root, key, prefix);
    } else if (entry.isFile() && key.startsWith(prefix)) {
      batch.push(key);
      if (batch.length < together) continue;
      yield* await stat(root, batch);
      batch = [];
    }
  }
  yield* await stat(root, batch);
}

/** What is staged below a folder. */
export async function* walkStaged(root: string, folder = ''): AsyncGenerator<ListedStaged & { readonly file: string }> {
  for (const entry of await entriesOf(root, folder)) {
    const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (keyFault(key) === undefined) yield* walkStaged(root, key);
      continue;
    }
    const staged = entry.isFile() ? parseStagedName(entry.name) : undefined;
    if (staged === undefined) continue;
    const found = await unlessMissing(lstat(pathOf(root, key)));
    if (found === undefined) continue;
    const { run, attempt, name } = staged;
    const of = folder === '' ? name : `${folder}/${name}`;
    yield { key: of, run, attempt, bytes: found.size, modifiedAt: found.mtime, file: pathOf(root, key) };
  }
}

/** As their keys sort, by UTF-8 bytes as in object stores: a directory stands where its contents' keys do. */
async function entriesOf(root: string, folder: string): Promise<Dirent[]> {
  const entries = (await unlessMissing(readdir(pathOf(root, folder), { withFileTypes: true }))) ?? [];
  return entries
    .filter(({ name }) => folder !== '' || name !== ownersOnly)
    .map((entry) => ({ entry, sortKey: Buffer.from(entry.isDirectory() ? `${entry.name}/` : entry.name) }))
    .sort((a, b) => Buffer.compare(a.sortKey, b.sortKey))
    .map(({ entry }) => entry);
}

async function stat(root: string, keys: readonly string[]): Promise<ListedObject[]> {
  const found = await Promise.all(
    keys.map(async (key) => {
      const stats = await unlessMissing(lstat(pathOf(root, key)));
      return stats?.isFile() === true ? { key, bytes: stats.size, modifiedAt: stats.mtime } : undefined;
    }),
  );
  return found.filter((object) => object !== undefined);
}
