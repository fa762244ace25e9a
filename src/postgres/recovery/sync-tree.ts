import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { capture } from '../../process/chain.ts';
import { findTool } from '../../process/environment.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { syncDirectory } from '../instance/mark.ts';
import { targetError } from './target-error.ts';

/**
 * Makes everything below the directories last, files and names. By syncfs(2) (`sync -f`), which writes thousands of
 * small files in one go; where there is no such tool, file by file.
 */
export async function syncTrees(directories: readonly string[], signal: AbortSignal): Promise<void> {
  const sync = findTool('sync');
  if (sync !== undefined && (await syncFileSystems(sync, directories, signal))) return;
  for (const directory of directories) await syncOneByOne(directory, signal);
}

/** false: this tool doesn't know how (busybox without the option), or it failed: file by file tells which one. */
async function syncFileSystems(sync: string, directories: readonly string[], signal: AbortSignal): Promise<boolean> {
  try {
    await capture({ file: sync, args: ['-f', ...directories] }, { signal });
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && (error.type === 'ToolFailed' || error.type === 'ToolMissing')) return false;
    throw error;
  }
}

async function syncOneByOne(directory: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncOneByOne(path, signal);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncDirectory(directory);
}

async function syncFile(path: string): Promise<void> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw targetError(error, path);
  }
}
