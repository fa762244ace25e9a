import { constants } from 'node:fs';
import { link, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoName, unlessMissing } from './errno.ts';
import { fileMode, syncDirectory } from './files.ts';

/** File systems without hard links (FAT, some of FUSE) say one of these. */
const noHardLinks: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** link(2), or what a test puts in its place. */
export type Link = (from: string, to: string) => Promise<void>;

/**
 * Gives a whole file its final name, unless something has that name already: then false, and nothing has changed.
 * The hidden name may stay behind beside the final one. Where there are no hard links it looks and renames.
 */
export async function claim(stagedPath: string, path: string, makeLink: Link = link): Promise<boolean> {
  try {
    await makeLink(stagedPath, path);
    return true;
  } catch (error) {
    const name = errnoName(error);
    if (name === 'EEXIST') return false;
    if (!noHardLinks.has(name)) throw error;
  }
  if ((await unlessMissing(lstat(path))) !== undefined) return false;
  await rename(stagedPath, path);
  return true;
}

/** Writes a small file whole or not at all, lastingly. false: the name is taken. */
export async function writeExclusively(path: string, stagedName: string, text: string): Promise<boolean> {
  const stagedPath = join(dirname(path), stagedName);
  const handle = await open(stagedPath, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, fileMode);
  try {
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return await claim(stagedPath, path);
  } finally {
    await unlessMissing(unlink(stagedPath));
    await syncDirectory(dirname(path));
  }
}
