import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import { errnoName, unlessMissing } from './errno.ts';
import { inTurn, type Lending } from '../streams/lent.ts';
import type { Watch } from './repository.ts';

/** Dumps hold password verifiers: nobody but the worker's user reads them. */
export const fileMode = 0o600;
const directoryMode = 0o700;

const chunkBytes = 262_144;
const lentBytes = 1_048_576;

/** Makes what was created, renamed or removed in a directory last. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes the missing parts of a folder below the root, lastingly; never the root itself. (Not by mkdir's `recursive`: in
 * Node 20 that says ENOENT on a read-only file system.)
 */
export async function makeFolders(root: string, folder: string): Promise<void> {
  let parent = root;
  for (const part of folder === '' ? [] : folder.split('/')) {
    const path = join(parent, part);
    if (await makeOne(path)) await syncDirectory(parent);
    parent = path;
  }
}

/** false: it was there. Something that is no directory is found by whoever opens a file in it. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: directoryMode });
    return true;
  } catch (error) {
    if (errnoName(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Refuses a place that is reached through a symbolic link anywhere below the root: such a link may lead out of the
 * repository. What doesn't exist yet can't be a link: then its nearest parent that does is looked at.
 */
export async function refuseLinks(root: string, folder: string): Promise<void> {
  const realRoot = await realpath(root);
  for (let path = folder; ; path = path.includes('/') ? dirname(path) : '') {
    if (path === '') return;
    const found = await unlessMissing(realpath(join(root, path)));
    if (found === undefined) {
      // A link that leads nowhere yet is no missing directory.
      const link = await unlessMissing(lstat(join(root, path)));
      if (link?.isSymbolicLink() === true) throw linkRefused(join(root, path));
      continue;
    }
    if (found !== join(realRoot, ...path.split('/'))) throw linkRefused(join(root, path));
    return;
  }
}

function linkRefused(path: string): HoldfastError {
  return new HoldfastError(
    'InvalidArgument',
    `${path} is, or lies behind, a symbolic link: it may lead out of the repository`,
    'put the directory itself there, or mount it there (mount --bind)',
  );
}

/** Opens a regular file for reading, never through a link. undefined if there is none. */
export async function openObject(path: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: somebody's FIFO would block a thread for ever.
    return await unlessMissing(open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  } catch (error) {
    if (errnoName(error) === 'ELOOP') throw linkRefused(path);
    throw error;
  }
}

/**
 * Bytes [offset, end) of an open file; fewer if it ends earlier. The next chunk is read while the caller has one; who
 * borrows them gets larger ones, in two buffers that are used in turn.
 */
export async function* readChunks(
  handle: FileHandle,
  offset: number,
  end: number,
  { signal, lent = false }: Lending & { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Uint8Array, void> {
  const most = Math.min(lent ? lentBytes : chunkBytes, end - offset);
  const lend = lent ? inTurn(most) : undefined;
  const begin = (position: number) => {
    const length = Math.min(most, end - position);
    const reading = handle.read(lend?.() ?? Buffer.allocUnsafeSlow(length), 0, length, position);
    // It fails where it is awaited.
    reading.catch(() => undefined);
    return reading;
  };
  let position = offset;
  let reading = position < end ? begin(position) : undefined;
  try {
    while (reading !== undefined) {
      signal?.throwIfAborted();
      const { bytesRead, buffer } = await reading;
      position += bytesRead;
      reading = bytesRead > 0 && position < end ? begin(position) : undefined;
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
    }
  } finally {
    // Whoever leaves closes the file.
    await reading?.catch(() => undefined);
  }
}

export interface Fingerprint {
  readonly bytes: number;
  readonly sha256: string;
}

/** Size and SHA-256 of a regular file, read to its end; undefined if there is none. */
export async function fingerprint(path: string, watch: Watch = {}): Promise<Fingerprint | undefined> {
  const handle = await openObject(path);
  if (handle === undefined) return undefined;
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    const { signal, onProgress } = watch;
    for await (const chunk of readChunks(handle, 0, Number.MAX_SAFE_INTEGER, { signal, lent: true })) {
      hash.update(chunk);
      bytes += chunk.length;
      onProgress?.(bytes);
    }
    return { bytes, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

/** A key's path in a directory. */
export const pathOf = (root: string, key: string) => join(root, key.split('/').join(sep));
