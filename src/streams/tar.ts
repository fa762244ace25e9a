import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { extract, pack, type Extract, type Header, type Pack } from 'tar-stream';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { scratchError } from './scratch.ts';

const chunkBytes = 262_144;

/**
 * A directory of regular files and directories as a plain tar: names sorted, times, owners and modes always the same,
 * so that the same files give the same bytes. Fails with DumpRefused where something else lies there, and with the
 * system's error. Leaving the iteration early leaves no file open.
 */
export async function* packTar(directory: string): AsyncGenerator<Uint8Array> {
  const tar = pack({ highWaterMark: chunkBytes });
  const filled = addAll(tar, directory, '').then(
    () => {
      tar.finalize();
    },
    (error: unknown) => {
      tar.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      throw error;
    },
  );
  filled.catch(() => undefined);
  try {
    for await (const chunk of tar as AsyncIterable<Uint8Array>) yield chunk;
    await filled;
  } finally {
    tar.destroy();
    await filled.catch(() => undefined);
  }
}

async function addAll(tar: Pack, directory: string, below: string): Promise<void> {
  const entries = await readdir(join(directory, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isFile()) await addFile(tar, directory, name);
    else if (entry.isDirectory()) {
      await ended(tar, (done) => tar.entry({ ...fixed, name, type: 'directory', mode: 0o700 }, done));
      await addAll(tar, directory, name);
    } else throw refused(name, 'is neither a file nor a directory');
  }
}

const fixed = { mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '' };

async function addFile(tar: Pack, directory: string, name: string): Promise<void> {
  const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    await ended(tar, (done) => {
      const entry = tar.entry({ ...fixed, name, type: 'file', mode: 0o600, size }, done);
      copyInto(tar, entry, file, size, name).catch((error: unknown) => {
        done(error);
      });
    });
  } finally {
    await file.close();
  }
}

async function copyInto(
  tar: Pack,
  entry: ReturnType<Pack['entry']>,
  file: FileHandle,
  size: number,
  name: string,
): Promise<void> {
  for (let at = 0; at < size;) {
    // A buffer of its own for every read: the tar keeps it until it is read.
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`${name} became shorter while it was read`);
    at += bytesRead;
    if (!entry.write(buffer.subarray(0, bytesRead)))
      await ended(tar, (done) => {
        entry.once('drain', done);
      });
  }
  entry.end(null);
}

/** Waits for a callback, or for the tar to be closed by its reader, who then waits for nobody's callback. */
function ended(tar: Pack, act: (done: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      tar.off('close', onClose);
      if (error === undefined || error === null) resolve();
      else reject(error instanceof Error ? error : new Error(messageOf(error)));
    };
    const onClose = () => {
      settle(new Error('the tar was not read to its end'));
    };
    if (tar.destroyed) {
      onClose();
      return;
    }
    tar.on('close', onClose);
    act(settle);
  });
}

export interface UnpackOptions {
  readonly signal: AbortSignal;
  readonly limits: {
    /** Of all files together. */
    readonly bytes: number;
    /** Files and directories. */
    readonly entries: number;
  };
}

/**
 * Unpacks a tar of regular files and directories into a directory, with modes 0600 and 0700 whatever it says. The
 * directory is the caller's own, and empty: then nothing is ever written outside it or over something.
 *
 * Fails with DumpRefused, which names the entry: absolute or upward names, links, devices and the like, a name twice,
 * more than the limits; with ObjectDamaged where it is no tar or is cut off; with StoreFull; with the body's own error;
 * with the signal's reason. What was unpacked until then is the caller's to remove.
 */
export async function unpackTar(
  body: AsyncIterable<Uint8Array>,
  directory: string,
  { signal, limits }: UnpackOptions,
): Promise<void> {
  const tar = extract({ highWaterMark: chunkBytes });
  let bodyError: { readonly error: unknown } | undefined;
  const fed = feed(body, tar, signal).catch((error: unknown) => {
    bodyError = { error };
    tar.destroy(error instanceof Error ? error : new Error(messageOf(error)));
    throw error;
  });
  fed.catch(() => undefined);
  const seen = new Set<string>();
  let bytes = 0;
  try {
    for await (const entry of tar) {
      const { header } = entry;
      const name = placeOf(header);
      if (seen.has(name)) throw refused(header.name, 'is there twice');
      if (seen.size >= limits.entries)
        throw refused(header.name, `is one more than the ${String(limits.entries)} that may be there`);
      seen.add(name);
      bytes += header.size;
      if (bytes > limits.bytes)
        throw refused(header.name, `brings more than the ${String(limits.bytes)} bytes expected`);
      await write(entry as AsyncIterable<Uint8Array>, header, join(directory, name));
    }
    await fed;
  } catch (error) {
    tar.destroy();
    if (signal.aborted) throw signal.reason;
    if (bodyError !== undefined) throw bodyError.error;
    if (error instanceof HoldfastError) throw error;
    const named = scratchError(error, directory);
    throw named === error ? damaged(messageOf(error)) : named;
  }
}

/** Where the entry belongs, relative, without '.' parts. '' is the directory itself. */
function placeOf({ name, type, size }: Header): string {
  if (type !== 'file' && type !== 'directory' && type !== 'contiguous-file')
    throw refused(name, `is a ${type}: only files and directories may be there`);
  if (name.startsWith('/')) throw refused(name, 'has an absolute name');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(name, 'leads out of the directory');
  // It would end the name for the system.
  if (name.includes('\u0000')) throw refused(name, 'has a NUL character in its name');
  if (type === 'directory' && size !== 0) throw refused(name, 'is a directory with content');
  if (parts.length === 0 && type !== 'directory') throw refused(name, 'has no name');
  return parts.join('/');
}

async function write(content: AsyncIterable<Uint8Array>, { type, name, size }: Header, path: string): Promise<void> {
  if (type === 'directory') {
    await mkdir(path, { recursive: true, mode: 0o700 });
    for await (const chunk of content) if (chunk.length > 0) throw refused(name, 'is a directory with content');
    return;
  }
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
  // 'wx' follows no link and writes over nothing.
  const file = await open(path, 'wx', 0o600);
  try {
    let written = 0;
    for await (const chunk of content) {
      await file.writeFile(chunk);
      written += chunk.length;
    }
    if (written !== size) throw damaged(`${name} is cut off`);
  } finally {
    await file.close();
  }
}

/** Two blocks of zeros end a tar; what ends without them was cut off, maybe between two files. */
const endBytes = 1024;

async function feed(body: AsyncIterable<Uint8Array>, tar: Extract, signal: AbortSignal): Promise<void> {
  let tail: Buffer = Buffer.alloc(0);
  const onAbort = () => {
    tar.destroy(new Error('cancelled'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of body) {
      signal.throwIfAborted();
      // A copy: the tar keeps pieces while the caller may reuse the chunk.
      const bytes = Buffer.from(chunk);
      tail = Buffer.concat([tail.subarray(-endBytes), bytes.subarray(-endBytes)]).subarray(-endBytes);
      if (!tar.write(bytes)) await drainedOrClosed(tar);
      if (tar.destroyed) return;
    }
    if (tail.length < endBytes || tail.some((byte) => byte !== 0)) throw damaged('its end is missing');
    tar.end(null);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** It is closed where what came out of it was refused, or couldn't be written: that is the error then. */
function drainedOrClosed(tar: Extract): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      tar.off('drain', settle);
      tar.off('close', settle);
      resolve();
    };
    tar.on('drain', settle);
    tar.on('close', settle);
    if (tar.destroyed) settle();
  });
}

const refused = (entry: string, what: string) =>
  new HoldfastError(
    'DumpRefused',
    `the tar's entry ${JSON.stringify(entry)} ${what}`,
    "pg_dump's directory format has nothing of that kind: somebody else made or changed this tar",
  );

const damaged = (what: string) =>
  new HoldfastError('ObjectDamaged', `the tar can't be unpacked: ${what}`, 'restore from another backup');
