import { closeSync, constants, fchownSync, openSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { RunAs } from '../instance/run-as.ts';

const create = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const again = constants.O_RDWR | constants.O_NOFOLLOW;

/**
 * Writes one file, piece after piece, each where the one before ended. What an earlier attempt wrote of it is read and
 * compared: what is right stays, what isn't is written over.
 */
export class FileWriter {
  /** Once everything is written it is the caller's, to sync and close. */
  readonly handle: FileHandle;
  readonly #isOld: boolean;
  #at = 0;

  constructor(handle: FileHandle, isOld: boolean) {
    this.handle = handle;
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

  /** Resolves once the piece is written, though not lasting. */
  async write(piece: Uint8Array): Promise<void> {
    const at = this.#at;
    this.#at += piece.length;
    if (this.#isOld && (await this.#holds(piece, at))) return;
    // A disk that is nearly full takes a part, and says why on the next try.
    for (let done = 0; done < piece.length;)
      done += (await this.handle.write(piece, done, piece.length - done, at + done)).bytesWritten;
  }

  /** Lets go of it after a failure. Never fails itself. */
  async abandon(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }

  async #holds(piece: Uint8Array, at: number): Promise<boolean> {
    const there = Buffer.allocUnsafe(piece.length);
    const { bytesRead } = await this.handle.read(there, 0, piece.length, at);
    return bytesRead === piece.length && there.equals(piece);
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
