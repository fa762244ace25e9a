import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { startChain, ToolFailure, type Command } from '../../process/chain.ts';
import { assertRoom } from '../../streams/scratch.ts';
import { packTar } from '../../streams/tar.ts';
import { dumpInSnapshot, type DumpedDatabase, type Moving, type SnapshotDumpOptions } from '../dump/in-snapshot.ts';
import type { Members } from '../dump/members.ts';
import type { DatabaseEntry } from '../inspect.ts';
import { watchGrowth } from './directory-growth.ts';
import { expectedArchiveBytes } from './names.ts';

export interface ArchiveOptions extends SnapshotDumpOptions {
  readonly compression: 'gzip' | 'zstd';
  readonly members: Members;
  readonly stallMs: number;
  /** Often, while something comes. */
  readonly onBytes: (bytes: number) => void;
}

export interface DirectoryOptions extends ArchiveOptions {
  readonly jobs: number;
  /** A directory of ours, in which one more is made. */
  readonly scratch: string;
  /** pg_dump has ended: its connections are free for others while the directory is stored. */
  readonly onDumped: () => void;
}

/** Level 1: the dump shall not wait for its compression. */
const compress = { gzip: '--compress=1', zstd: '--compress=zstd:1' };

const withFormat = (dump: Command, ...args: string[]): Command => ({ ...dump, args: [...dump.args, ...args] });

/** Writes a database as one archive in custom format, straight from pg_dump to where it is kept. */
export function dumpCustom(database: DatabaseEntry, options: ArchiveOptions): Promise<DumpedDatabase> {
  const { members, compression, signal, onBytes } = options;
  return dumpInSnapshot(database, options, (dump) => {
    const command = withFormat(dump, '--format=custom', compress[compression]);
    const chain = startChain([command], { stdin: 'ignore', stdout: 'pipe', signal });
    return {
      move: async ({ locked }) => {
        await members.pour('content', database.name, chain.stdout, 'pg_dump', (bytes) => {
          // The first bytes are the table of contents: pg_dump has all its locks now.
          locked();
          onBytes(bytes);
        });
        await chain.finished;
      },
      kill: () => chain.kill(),
    };
  });
}

/**
 * Writes a database in directory format, by several jobs, into the scratch directory, and from there as a tar to where
 * it is kept. The directory is gone when this settles. StoreFull, which names it, where it has too little room.
 */
export async function dumpDirectory(database: DatabaseEntry, options: DirectoryOptions): Promise<DumpedDatabase> {
  const path = join(options.scratch, String(database.oid));
  await assertRoom(options.scratch, expectedArchiveBytes(database));
  try {
    return await dumpInSnapshot(database, options, (dump) => inDirectory(dump, database, path, options));
  } catch (error) {
    throw ranOutOfRoom(error) ? full(path) : error;
  } finally {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

function inDirectory(dump: Command, database: DatabaseEntry, path: string, options: DirectoryOptions): Moving {
  const { members, compression, jobs, signal, stallMs, onBytes, onDumped } = options;
  const format = ['--format=directory', compress[compression], `--jobs=${String(jobs)}`, `--file=${path}`, '--no-sync'];
  const chain = startChain([withFormat(dump, ...format)], { stdin: 'ignore', stdout: 'ignore', signal });
  return {
    move: async ({ locked }) => {
      const over = new AbortController();
      const watched = watchGrowth(path, { signal: over.signal, stallMs, onLocked: locked, onBytes });
      try {
        await Promise.race([chain.finished, watched]);
        await chain.finished;
      } finally {
        over.abort();
      }
      // A dump that was over before anybody looked.
      locked();
      onDumped();
      await members.pour('content', database.name, packTar(path), 'the scratch directory', onBytes);
    },
    kill: () => chain.kill(),
  };
}

/** pg_dump's own files, and not the server's. */
const ranOutOfRoom = (error: unknown) =>
  error instanceof ToolFailure &&
  /^pg_dump: (?:error|fatal): could not .*: (?:No space left on device|Disk quota exceeded)/m.test(error.exit.stderr);

const full = (path: string) =>
  new HoldfastError(
    'StoreFull',
    `scratch directory ${path}: no space left on device`,
    'give the worker a larger scratch directory, or choose format: custom, which needs none',
  );
