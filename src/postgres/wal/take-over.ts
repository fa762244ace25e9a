import type { Stats } from 'node:fs';
import { lstat, readdir, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError, messageOf, type ErrorType } from '../../domain/errors.ts';
import { segmentStart, type Lsn } from '../../domain/wal.ts';
import type { Compressors } from '../../streams/compress.ts';
import { inOrder, newestName, parseArchiveFile, type ArchiveFile } from './archive-file.ts';
import { largestInMemory } from './assemble.ts';
import { readAll, readPlain, smallBytes } from './read-file.ts';
import type { TakeOverSink } from './sink.ts';

export interface TakeOverInput {
  /** Where `archive_command = 'cp %p …/%f'`, or one that compresses with gzip or zstd, puts the log. */
  readonly directory: string;
  /** The archive of the log that the server writes. */
  readonly sink: TakeOverSink;
  readonly segmentBytes: number;
  readonly compressors: Compressors;
  readonly signal: AbortSignal;
  /** Leaves the files where they are; default: what is stored, read back and found right is removed. */
  readonly keep?: boolean;
  /**
   * How long the newest segment has to have rested; what comes before it was finished before it was begun. By the
   * file's time and this machine's clock; default 60 s.
   */
  readonly settleMs?: number;
  readonly onReport?: (report: TakeOverReport) => void;
}

export interface TakeOverReport {
  /** Stored, or found stored, read back and found right. */
  readonly taken: number;
  readonly segments: number;
  readonly removed: number;
  readonly removedBytes: number;
  /** Files of an archive that are still to be looked at. */
  readonly toDo: number;
  /** Of the file system that the directory lies on. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** The newest segment's end that was taken; null: none yet. */
  readonly takenLsn: Lsn | null;
}

/** A file that stays where it is. */
export interface LeftFile {
  readonly name: string;
  /** waiting: it may still be written; the next call looks again. Else what is wrong with it. */
  readonly type: ErrorType | 'waiting';
  readonly reason: string;
}

export interface TakeOverResult extends TakeOverReport {
  /** In the directory's order; not more than a hundred of them, see leftCount. */
  readonly left: readonly LeftFile[];
  readonly leftCount: number;
  /** Files whose names no archive has; they aren't touched. */
  readonly ignored: number;
}

const mostLeft = 100;

/**
 * Moves what an archive_command left in a directory into a repository's archive: whole segments, histories, notes on
 * backups and partial segments. Each is stored, read back from the store, and only then removed; a process that dies
 * in between leaves a file that the next call finds stored and removes.
 *
 * A segment is whole if it is exactly as long as segments are, begins as this segment of this cluster does, has rested
 * or has a later one beside it, and didn't change while it was read. What is not, or differs from what is archived, is
 * left and told of, and stops nothing. Fails with StoreNotMounted where the directory can't be read, or with the
 * store's own error, which would meet every file.
 */
export async function takeOverDirectory(input: TakeOverInput): Promise<TakeOverResult> {
  const names = await namesIn(input.directory);
  const files = names
    .map((name) => parseArchiveFile(name, input.segmentBytes))
    .filter((file): file is ArchiveFile => file !== undefined);
  const mover = new Mover(input, newestName(files));
  let toDo = files.length;
  for (const file of inOrder(files)) {
    input.signal.throwIfAborted();
    await mover.move(file);
    toDo -= 1;
    input.onReport?.(await mover.report(toDo));
  }
  const { left, leftCount } = mover;
  return { ...(await mover.report(toDo)), left, leftCount, ignored: names.length - files.length };
}

class Mover {
  readonly left: LeftFile[] = [];
  leftCount = 0;
  readonly #input: TakeOverInput;
  readonly #newest: string;
  #taken = 0;
  #segments = 0;
  #removed = 0;
  #removedBytes = 0;
  #takenLsn: Lsn | null = null;

  constructor(input: TakeOverInput, newest: string) {
    this.#input = input;
    this.#newest = newest;
  }

  async move(file: ArchiveFile): Promise<void> {
    const path = join(this.#input.directory, file.name);
    try {
      const before = await lstat(path);
      const waiting = this.#waitsFor(file, before);
      if (waiting !== undefined) {
        this.#leave(file, 'waiting', waiting);
        return;
      }
      await this.#store(file, path);
      if (!isSame(before, await lstat(path))) {
        this.#leave(file, 'waiting', 'it changed while it was read');
        return;
      }
      this.#count(file);
      await this.#remove(path, before);
    } catch (error) {
      const left = leftBecause(error);
      if (left === undefined) throw error;
      if (left !== 'gone') this.#leave(file, left, messageOf(error));
    }
  }

  async report(toDo: number): Promise<TakeOverReport> {
    const { bavail, blocks, bsize } = await statfs(this.#input.directory);
    return {
      taken: this.#taken,
      segments: this.#segments,
      removed: this.#removed,
      removedBytes: this.#removedBytes,
      toDo,
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
      takenLsn: this.#takenLsn,
    };
  }

  #waitsFor(file: ArchiveFile, stats: Stats): string | undefined {
    const { settleMs = 60_000, segmentBytes } = this.#input;
    if (!stats.isFile()) throw notWhole(file.name, 'is no regular file');
    const isOld = Date.now() - stats.mtimeMs >= settleMs;
    const hasLater = file.kind === 'segment' && file.name.slice(0, 24) < this.#newest;
    if (!isOld && !hasLater) return 'it was written a moment ago';
    if (file.kind === 'segment' && file.compression === 'none' && stats.size < segmentBytes && !isOld)
      return `it has only ${String(stats.size)} of ${String(segmentBytes)} bytes`;
    return undefined;
  }

  async #store(file: ArchiveFile, path: string): Promise<void> {
    const { sink, signal, segmentBytes } = this.#input;
    const plain = readPlain(path, file.compression, this.#input);
    switch (file.kind) {
      case 'history':
        await sink.putHistory(file.timeline, await readAll(plain, file.name, smallBytes), signal);
        return;
      case 'label':
        await sink.putBackupLabel(file.plainName, await readAll(plain, file.name, smallBytes), signal);
        return;
      case 'segment':
      case 'partial': {
        const { timeline, number } = file;
        const body = segmentBytes <= largestInMemory ? await readAll(plain, file.name, segmentBytes) : plain;
        const segment = { timeline, number, body, endedAt: () => null };
        if (file.kind === 'partial') {
          await sink.writePartial({ ...segment, partial: { endLsn: null } }, { signal });
          return;
        }
        const written = await sink.write(segment, { signal });
        const { sha256 } = await sink.verify(written.key, signal);
        if (sha256 !== written.sha256) throw notWhole(file.name, `reads back from ${written.key} as something else`);
      }
    }
  }

  #count(file: ArchiveFile): void {
    this.#taken += 1;
    if (file.kind !== 'segment') return;
    this.#segments += 1;
    const end = segmentStart(file.number + 1n, this.#input.segmentBytes);
    if (this.#takenLsn === null || end > this.#takenLsn) this.#takenLsn = end;
  }

  async #remove(path: string, { size }: Stats): Promise<void> {
    if (this.#input.keep === true) return;
    await unlink(path);
    this.#removed += 1;
    this.#removedBytes += size;
  }

  #leave({ name }: ArchiveFile, type: LeftFile['type'], reason: string): void {
    this.leftCount += 1;
    if (this.left.length < mostLeft) this.left.push({ name, type, reason });
  }
}

const isSame = (a: Stats, b: Stats) => a.size === b.size && a.mtimeMs === b.mtimeMs && a.ino === b.ino;

/** What concerns one file alone; undefined: it would meet the others too. */
function leftBecause(error: unknown): ErrorType | 'gone' | undefined {
  if (error instanceof HoldfastError)
    return ['NameTaken', 'ObjectDamaged', 'ToolFailed'].includes(error.type) ? error.type : undefined;
  const { code } = error as NodeJS.ErrnoException;
  // Somebody else cleans up there too.
  if (code === 'ENOENT') return 'gone';
  return code === 'EIO' || code === 'EACCES' || code === 'EPERM' || code === 'ELOOP' ? 'Unexpected' : undefined;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw new HoldfastError(
      'StoreNotMounted',
      `can't read ${directory}, where archive_command leaves the log: ${messageOf(error)}`,
      'mount it where the worker runs, readable and writable for it',
      { cause: error },
    );
  }
}

const notWhole = (name: string, what: string) =>
  new HoldfastError('ObjectDamaged', `${name} ${what}`, 'it stays where it is; look at how it came there');
