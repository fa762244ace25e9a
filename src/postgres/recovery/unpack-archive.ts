import { chownSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RunAs } from '../instance/run-as.ts';
import { FileWriter, writeSmallFile } from './file-writer.ts';
import type { SyncQueue } from './sync-queue.ts';
import { damaged, parseTarHeader, refused, tarBlock, type TarEntry } from './tar-header.ts';
import { targetError } from './target-error.ts';

export interface UnpackInto {
  /** For messages: the archive's key. */
  readonly archive: string;
  /** The caller's own; what lies in it came from an earlier attempt with the same archive. */
  readonly directory: string;
  readonly owner: RunAs | undefined;
  readonly syncs: SyncQueue;
  /** Another name for an entry, or null to leave it out. */
  readonly rename?: (name: string) => string | null;
  /** Gives a small text file another content. */
  readonly rewrite?: (name: string) => ((content: string) => string) | undefined;
  /** Bytes of the tar so far. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Files up to this size are gathered, in memory that is used again, and written in one go. */
const smallBytes = 262_144;

/**
 * Unpacks one archive of a base backup while it comes in: directories and files with the modes that PostgreSQL gives
 * them (nothing for others, no writing for the group), nothing outside the directory, nothing through a link. What an
 * earlier attempt left whole isn't written again. The body's chunks have to stay as they are until the next one is
 * asked for.
 *
 * When it resolves everything is written, but lasts only once the queue is drained and the tree is synced. Fails with
 * DumpRefused (an entry that no server writes), ObjectDamaged (no tar, or one that is cut off), StoreFull,
 * RestoreFailed, the body's own error, the signal's reason.
 */
export async function unpackArchive(body: AsyncIterable<Uint8Array>, into: UnpackInto): Promise<void> {
  const unpacking = new Unpacking(into);
  try {
    for await (const chunk of body) {
      into.signal.throwIfAborted();
      await unpacking.take(chunk);
    }
    unpacking.end();
  } catch (error) {
    await unpacking.abandon();
    into.signal.throwIfAborted();
    throw targetError(error, into.directory);
  }
}

interface OpenFile {
  readonly entry: TarEntry;
  readonly path: string;
  /** Undefined: gathered, and written at its end. */
  readonly writer: FileWriter | undefined;
  left: number;
}

class Unpacking {
  readonly #into: UnpackInto;
  readonly #seen = new Set<string>();
  readonly #folders = new Set<string>(['']);
  readonly #header = Buffer.alloc(tarBlock);
  #headerBytes = 0;
  /** What of a small file has come. */
  readonly #small = Buffer.allocUnsafeSlow(smallBytes);
  #file: OpenFile | undefined;
  /** Zeros that fill a file's last block. */
  #padding = 0;
  /** Blocks of zeros seen: two end the tar. */
  #zeroBlocks = 0;
  #bytes = 0;

  constructor(into: UnpackInto) {
    this.#into = into;
  }

  async take(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const room = chunk.length - at;
      if (this.#file !== undefined) {
        const length = Math.min(room, this.#file.left);
        const piece = chunk.subarray(at, at + length);
        const { writer, path, entry, left } = this.#file;
        if (writer !== undefined) await writer.write(piece);
        else if (path !== '') this.#small.set(piece, entry.bytes - left);
        this.#file.left -= length;
        at += length;
        if (this.#file.left === 0) await this.#endFile(this.#file);
      } else if (this.#padding > 0) {
        const length = Math.min(room, this.#padding);
        this.#padding -= length;
        at += length;
      } else {
        const length = Math.min(room, tarBlock - this.#headerBytes);
        this.#header.set(chunk.subarray(at, at + length), this.#headerBytes);
        this.#headerBytes += length;
        at += length;
        if (this.#headerBytes === tarBlock) await this.#begin();
      }
    }
    this.#bytes += chunk.length;
    this.#into.onProgress?.(this.#bytes);
  }

  end(): void {
    if (this.#file !== undefined || this.#padding > 0 || this.#headerBytes > 0 || this.#zeroBlocks < 2)
      throw damaged(this.#into.archive, 'its end is missing');
  }

  async abandon(): Promise<void> {
    await this.#file?.writer?.abandon();
  }

  async #begin(): Promise<void> {
    const { archive, directory, owner } = this.#into;
    this.#headerBytes = 0;
    const entry = parseTarHeader(this.#header, archive);
    if (entry === undefined) {
      this.#zeroBlocks += 1;
      return;
    }
    if (this.#zeroBlocks > 0) throw damaged(archive, `'${entry.name}' comes after its end`);
    if (this.#seen.has(entry.name) && entry.name !== '') throw refused(archive, entry.name, 'is there twice');
    this.#seen.add(entry.name);
    if (entry.type === 'link') return;
    if (entry.type === 'directory') {
      this.#makeFolder(entry.name, entry.mode);
      return;
    }
    if (entry.name === '') throw refused(archive, entry.name, 'has no name');
    this.#makeFolder(dirname(entry.name) === '.' ? '' : dirname(entry.name), 0o700);
    this.#padding = (tarBlock - (entry.bytes % tarBlock)) % tarBlock;
    const name = this.#into.rename === undefined ? entry.name : this.#into.rename(entry.name);
    const path = join(directory, name ?? entry.name);
    const isSmall = entry.bytes <= smallBytes;
    const writer =
      isSmall || name === null ? undefined : await FileWriter.open(path, entry.bytes, fileMode(entry.mode), owner);
    const file = { entry, path: name === null ? '' : path, writer, left: entry.bytes };
    this.#file = file;
    if (entry.bytes === 0) await this.#endFile(file);
  }

  async #endFile(file: OpenFile): Promise<void> {
    const { owner, syncs, rewrite } = this.#into;
    if (file.writer !== undefined) await syncs.add(file.writer.handle);
    else if (file.path !== '') {
      const content = this.#small.subarray(0, file.entry.bytes);
      const change = rewrite?.(file.entry.name);
      const bytes = change === undefined ? content : Buffer.from(change(content.toString('utf8')), 'utf8');
      writeSmallFile(file.path, bytes, fileMode(file.entry.mode), owner);
    }
    this.#file = undefined;
  }

  #makeFolder(name: string, mode: number): void {
    if (this.#folders.has(name)) return;
    const parent = dirname(name);
    this.#makeFolder(parent === '.' ? '' : parent, 0o700);
    const path = join(this.#into.directory, name);
    try {
      mkdirSync(path, { mode: (mode & 0o750) | 0o700 });
    } catch (error) {
      // A link to a directory is none: it would lead elsewhere.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !lstatSync(path).isDirectory()) throw error;
    }
    const { owner } = this.#into;
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    this.#folders.add(name);
  }
}

const fileMode = (mode: number) => (mode & 0o640) | 0o600;
