import { closeSync, constants, fchownSync, openSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { RunAs } from '../instance/run-as.ts';

/** How much of a file is gathered before it is written. */
const batchBytes = 1_048_576;

const create = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const again = constants.O_RDWR | constants.O_NOFOLLOW;

/**
 * Writes one file, in batches, the next one gathered while one is written. What an earlier attempt wrote of it is read
 * and compared: what is right stays, what isn't is written over.
 */
export class FileWriter {
  readonly #handle: FileHandle;
  readonly #isOld: boolean;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #at = 0;
  #flying: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle, isOld: boolean) {
    this.#handle = handle;
    this.#isOld = isOld;
  }

  /** @param bytes how long the file will be: an old one that is longer is cut */
  static async open(path: string, bytes: number, mode: number, owner: RunAs | undefined): Promise<FileWriter> {
    const { handle, isOld } = await openEither(path, mode);
    try {
      if (isOld) {
        const found = await handle.stat();
        if (found.size > bytes) await handle.truncate(bytes);
      }
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      return new FileWriter(handle, isOld);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Keeps the chunk until it is written. Resolves at once as long as little waits to be written. */
  push(chunk: Uint8Array): Promise<void> | undefined {
    this.#batch.push(chunk);
    this.#batchBytes += chunk.length;
    return this.#batchBytes >= batchBytes ? this.#flush() : undefined;
  }

  /** Everything is written, though not lasting: the handle is the caller's to sync and close. */
  async finish(): Promise<FileHandle> {
    await this.#flush();
    await this.#flying;
    return this.#handle;
  }

  /** Lets go of it after a failure. Never fails itself. */
  async abandon(): Promise<void> {
    await this.#flying.catch(() => undefined);
    await this.#handle.close().catch(() => undefined);
  }

  async #flush(): Promise<void> {
    await this.#flying;
    if (this.#batchBytes === 0) return;
    const [batch, bytes, at] = [this.#batch, this.#batchBytes, this.#at];
    this.#batch = [];
    this.#batchBytes = 0;
    this.#at += bytes;
    this.#flying = this.#write(batch, bytes, at);
    this.#flying.catch(() => undefined);
  }

  async #write(batch: readonly Uint8Array[], bytes: number, at: number): Promise<void> {
    if (this.#isOld) {
      const wanted = Buffer.concat(batch, bytes);
      const there = Buffer.allocUnsafe(bytes);
      const { bytesRead } = await this.#handle.read(there, 0, bytes, at);
      if (bytesRead === bytes && wanted.equals(there)) return;
    }
    const { bytesWritten } = await this.#handle.writev(batch as Uint8Array[], at);
    if (bytesWritten === bytes) return;
    // A disk that is nearly full takes a part, and says why on the next try.
    const rest = Buffer.concat(batch, bytes).subarray(bytesWritten);
    for (let done = 0; done < rest.length;) {
      const more = await this.#handle.write(rest, done, rest.length - done, at + bytesWritten + done);
      done += more.bytesWritten;
    }
  }
}

async function openEither(path: string, mode: number): Promise<{ handle: FileHandle; isOld: boolean }> {
  try {
    return { handle: await open(path, create, mode), isOld: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return { handle: await open(path, again), isOld: true };
  }
}

/** A small file in one go, without a round through the thread pool; not lasting until the whole tree is synced. */
export function writeSmallFile(path: string, content: Uint8Array, mode: number, owner: RunAs | undefined): void {
  const descriptor = openSync(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
    mode,
  );
  try {
    if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid);
    for (let at = 0; at < content.length;) at += writeSync(descriptor, content, at, content.length - at, at);
  } finally {
    closeSync(descriptor);
  }
}
