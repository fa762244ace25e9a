import { lchown, lstat, readlink, rename, rm, statfs, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BaseArchive, BaseManifest } from '../../domain/base-manifest.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { formatBytes } from '../../domain/format.ts';
import { findTool } from '../../process/environment.ts';
import type { Compressors } from '../../streams/compress.ts';
import { unpacked, unpackedFrom } from '../../streams/unpack.ts';
import { verified } from '../../streams/verified.ts';
import { syncDirectory } from '../instance/mark.ts';
import { whomToBecome, type RunAs } from '../instance/run-as.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { combineChain } from './combine.ts';
import { fetchDigest, readJournal, writeJournal, type FetchJournal } from './fetch-journal.ts';
import { FileWriter } from './file-writer.ts';
import { checkDirectory, claimDirectory, emptyDirectory, markRecovered, ownedDirectory } from './owned-directory.ts';
import { SyncQueue } from './sync-queue.ts';
import { syncTrees } from './sync-tree.ts';
import { checkTablespaces, remapTablespaces, type TablespaceMapping } from './tablespaces.ts';
import { targetError } from './target-error.ts';
import { unpackArchive } from './unpack-archive.ts';

/** What of a repository is needed here. */
export interface BaseSource {
  read(key: string, range: undefined, signal: AbortSignal, options: { readonly lent: true }): AsyncIterable<Uint8Array>;
}

export interface FetchInput {
  readonly source: BaseSource;
  /** The full backup first, then its increments; the last one is what is wanted. */
  readonly chain: readonly BaseManifest[];
  readonly dataDirectory: string;
  readonly tablespaces: TablespaceMapping;
  /** The recovery's own, for its journal and, with increments, for the chain: on the data directory's file system. */
  readonly workDirectory: string;
  readonly programs: ServerPrograms;
  readonly runAs?: RunAs | undefined;
  readonly compressors: Compressors;
  /** How many archives at once; default 2. */
  readonly parallel?: number;
  readonly signal: AbortSignal;
  /** After every piece: bytes unpacked so far, by this call. */
  readonly onProgress?: (bytes: number) => void;
}

export interface Fetched {
  /** Proves whose directories these are: for throwAway. */
  readonly fetch: string;
  readonly dataDirectory: string;
  readonly tablespaces: TablespaceMapping;
  /** Unpacked by this call; less than the whole where an earlier one had done some. */
  readonly bytes: number;
}

/** Where pg_control waits until all else lasts: without it no server starts on half a directory. */
const heldControl = 'global/pg_control.holdfast';

/**
 * Brings a base backup, with its increments, into a new directory, ready for recovery: stored bytes verified, every
 * tablespace moved to its new directory, everything on disk when it resolves. Called again after whatever interrupted
 * it, it goes on: archives that were whole are skipped, of one that wasn't the files that are right stay.
 *
 * Nothing outside the given directories is touched, and nothing in one that isn't ours. Fails with InvalidArgument
 * (tablespaces, places), TargetNotEmpty and RestoreFailed (owner, rights) before anything is written; StoreFull;
 * ObjectDamaged and DumpRefused (the backup itself); what the source fails with; ToolMissing, ToolFailed; the signal's
 * reason.
 */
export async function fetchBase(input: FetchInput): Promise<Fetched> {
  const { chain, dataDirectory, workDirectory, signal } = input;
  const last = chain.at(-1);
  if (last === undefined) throw new HoldfastError('InvalidArgument', 'no backup was given to fetch', 'name one');
  checkChain(chain, input.programs);
  const tablespaces = checkTablespaces(last, input.tablespaces, dataDirectory);
  const owner = whomToBecome(input.runAs);
  const fetch = fetchDigest(chain, dataDirectory, tablespaces);
  const found = await readJournal(workDirectory);
  if (found !== undefined && found.fetch !== fetch)
    throw new HoldfastError(
      'TargetNotEmpty',
      `${workDirectory} belongs to the recovery of another backup or into other places`,
      'choose a new directory for each recovery',
    );
  const done = { fetch, dataDirectory, tablespaces };
  if (found?.step === 'whole') return { ...done, bytes: 0 };
  const journal: FetchJournal = found ?? {
    version: 1,
    fetch,
    dataDirectory,
    tablespaces,
    archives: [],
    step: 'fetching',
  };
  const places = [dataDirectory, ...Object.values(tablespaces)];
  for (const place of places) await checkDirectory(place, fetch, owner);
  if (found === undefined) await assertRoom(chain, dataDirectory);
  await ownedDirectory(workDirectory, owner);
  // The journal first: whatever comes after it throwAway can find.
  await writeJournal(workDirectory, journal);
  for (const place of places) await claimDirectory(place, fetch, owner);
  const fetching = new Fetching(input, journal, owner);
  try {
    await fetching.run(tablespaces);
  } catch (error) {
    signal.throwIfAborted();
    throw targetError(error, dataDirectory);
  }
  return { ...done, bytes: fetching.bytes };
}

/** Oldest first, each the parent of the next. */
function checkChain(chain: readonly BaseManifest[], programs: ServerPrograms): void {
  for (const [index, manifest] of chain.entries()) {
    const parent = chain[index - 1];
    if (
      manifest.parent !== (parent?.id ?? null) ||
      manifest.server.systemIdentifier !== chain[0]?.server.systemIdentifier
    )
      throw new HoldfastError(
        'InvalidArgument',
        parent === undefined
          ? `backup ${manifest.id} is an increment of ${manifest.parent ?? ''}, which was not given`
          : `backup ${manifest.id} is no increment of ${parent.id}`,
        'give the full backup and every increment up to the one that is wanted, oldest first',
      );
    if (Math.floor(manifest.server.versionNum / 10_000) !== programs.major)
      throw new HoldfastError(
        'ToolMissing',
        `backup ${manifest.id} is of PostgreSQL ${manifest.server.version}, the programs are of ${programs.version}`,
        'a data directory is read by its own major version only: install that one on the worker',
      );
  }
  if (chain.length > 1 && programs.pgCombinebackup === undefined)
    throw new HoldfastError(
      'ToolMissing',
      'pg_combinebackup is not installed',
      'it comes with PostgreSQL 17 and later',
    );
}

/** StoreFull at once, and not after an hour; nothing is said where the backup doesn't tell its size. */
async function assertRoom(chain: readonly BaseManifest[], directory: string): Promise<void> {
  // Of a chain the whole is written twice: its parts, and what they are put together to.
  const parts = chain.length === 1 ? chain : [...chain, ...chain.slice(0, 1)];
  const needed = parts.flatMap(({ archives }) => archives).reduce((sum, { plainBytes }) => sum + (plainBytes ?? 0), 0);
  const { bavail, bsize } = await statfs(await nearestExisting(directory));
  if (bavail * bsize >= needed) return;
  throw new HoldfastError(
    'StoreFull',
    `${directory} has ${formatBytes(bavail * bsize)} free, the backup needs ${formatBytes(needed)}`,
    'free space there, or choose another directory',
  );
}

async function nearestExisting(path: string): Promise<string> {
  return (await isThere(path)) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

/** Where a backup's archives go. */
interface Place {
  readonly directory: string;
  readonly tablespaces: TablespaceMapping;
  /** One of a chain, for pg_combinebackup, which goes by links; else for PostgreSQL, which goes by tablespace_map. */
  readonly isLink: boolean;
}

class Fetching {
  readonly #input: FetchInput;
  readonly #owner: RunAs | undefined;
  #journal: FetchJournal;
  readonly #read = new Map<string, number>();
  readonly #archives: number;

  constructor(input: FetchInput, journal: FetchJournal, owner: RunAs | undefined) {
    this.#input = input;
    this.#owner = owner;
    this.#journal = journal;
    this.#archives = input.chain.reduce((sum, { archives }) => sum + archives.length, 0);
  }

  get bytes(): number {
    return [...this.#read.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  async run(tablespaces: TablespaceMapping): Promise<void> {
    const { chain, dataDirectory, workDirectory, signal } = this.#input;
    const single = chain.length === 1;
    const places = chain.map((manifest, index): Place => {
      if (single) return { directory: dataDirectory, tablespaces, isLink: false };
      const directory = join(workDirectory, 'chain', String(index));
      const oids = manifest.archives.flatMap(({ tablespace }) => (tablespace === null ? [] : [String(tablespace)]));
      const own = oids.map((oid) => [oid, join(directory, 'tablespaces', oid)] as const);
      return { directory: join(directory, 'data'), tablespaces: Object.fromEntries(own), isLink: true };
    });
    if (this.#journal.step === 'fetching') {
      if (!single) await this.#claimChain(places);
      await this.#fetchArchives(places);
      for (const [index, manifest] of chain.entries()) await this.#finishOne(manifest, places[index]);
    }
    if (!single) {
      await this.#advance({ step: 'combining' });
      for (const one of [dataDirectory, ...Object.values(tablespaces)]) await emptyDirectory(one);
      await combineChain({ ...this.#input, places, tablespaces, owner: this.#owner });
      for (const one of [dataDirectory, ...Object.values(tablespaces)])
        await markRecovered(one, this.#journal.fetch, this.#owner);
      await syncTrees([dataDirectory, ...Object.values(tablespaces)], signal);
    }
    await this.#advance({ step: 'whole' });
    if (!single) await rm(join(workDirectory, 'chain'), { recursive: true, force: true });
  }

  /** pg_combinebackup runs as the instance's user: every directory on the way is that user's. */
  async #claimChain(places: readonly Place[]): Promise<void> {
    const root = join(this.#input.workDirectory, 'chain');
    await ownedDirectory(root, this.#owner);
    for (const [index, { directory, tablespaces }] of places.entries()) {
      await ownedDirectory(join(root, String(index)), this.#owner);
      await ownedDirectory(join(root, String(index), 'tablespaces'), this.#owner);
      for (const one of [directory, ...Object.values(tablespaces)])
        await claimDirectory(one, this.#journal.fetch, this.#owner);
    }
  }

  async #fetchArchives(places: readonly Place[]): Promise<void> {
    const { chain, parallel = 2, signal } = this.#input;
    const waiting = chain.flatMap((manifest, index) =>
      manifest.archives
        .filter(({ key }) => !this.#journal.archives.includes(nameOf(manifest, key)))
        // The largest first: what is begun last is small.
        .toSorted((one, other) => other.bytes - one.bytes)
        .map((archive) => ({ manifest, archive, place: places[index] })),
    );
    const stop = new AbortController();
    const all = AbortSignal.any([signal, stop.signal]);
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (next.place !== undefined) await this.#fetchArchive(next.manifest, next.archive, next.place, all);
      }
    };
    const workers = Array.from({ length: parallel }, async () => {
      try {
        await work();
      } catch (error) {
        stop.abort(error);
        throw error;
      }
    });
    const failed = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected');
    // The first failure is what the others were stopped with.
    if (failed !== undefined) throw stop.signal.reason ?? failed.reason;
  }

  async #fetchArchive(manifest: BaseManifest, archive: BaseArchive, place: Place, signal: AbortSignal): Promise<void> {
    const { key, tablespace } = archive;
    const directory = tablespace === null ? place.directory : place.tablespaces[String(tablespace)];
    if (directory === undefined) throw new HoldfastError('Unexpected', `${key} has no place`, 'report this as a bug');
    const syncs = new SyncQueue();
    const isBase = tablespace === null;
    await unpackArchive(this.#open(archive, signal), {
      archive: key,
      directory,
      owner: this.#owner,
      syncs,
      signal,
      rename: (name) => {
        if (isBase && name === 'global/pg_control') return heldControl;
        return isBase && place.isLink && name === 'tablespace_map' ? null : name;
      },
      rewrite: (name) =>
        isBase && name === 'tablespace_map'
          ? (content) => remapTablespaces(content, place.tablespaces, key)
          : undefined,
      onProgress: (bytes) => {
        this.#read.set(nameOf(manifest, key), bytes);
        this.#input.onProgress?.(this.bytes);
      },
    });
    await syncs.drained();
    // The journal's word must hold after a power cut. With one archive alone it is given with the whole: a sync of the
    // file system waits for everybody's writes.
    if (this.#archives === 1) return;
    await syncTrees([directory], signal);
    await this.#advance({ archives: [...this.#journal.archives, nameOf(manifest, key)] });
  }

  /** The parts of a backup that are in no archive, and last of all pg_control. */
  async #finishOne(manifest: BaseManifest, place: Place | undefined): Promise<void> {
    if (place === undefined) return;
    const { directory, tablespaces } = place;
    const { signal } = this.#input;
    const target = await FileWriter.open(
      join(directory, 'backup_manifest'),
      Number.MAX_SAFE_INTEGER,
      0o600,
      this.#owner,
    );
    try {
      let bytes = 0;
      for await (const chunk of this.#open(manifest.backupManifest, signal)) {
        bytes += chunk.length;
        await target.write(chunk);
      }
      await target.handle.truncate(bytes);
      await target.handle.sync();
    } finally {
      await target.abandon();
    }
    for (const [oid, location] of Object.entries(tablespaces))
      await linkTo(location, join(directory, 'pg_tblspc', oid), this.#owner);
    await syncTrees([directory, ...Object.values(tablespaces)], signal);
    const control = join(directory, 'global/pg_control');
    if (await isThere(join(directory, heldControl))) await rename(join(directory, heldControl), control);
    else if (!(await isThere(control)))
      throw new HoldfastError(
        'ObjectDamaged',
        `backup ${manifest.id} holds no global/pg_control`,
        'restore from another backup',
      );
    await syncDirectory(join(directory, 'global'));
  }

  /** Its chunks are valid until the next one is asked for. */
  #open(object: BaseArchive | BaseManifest['backupManifest'], signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { key, bytes, sha256, compression } = object;
    const stored = verified(this.#input.source.read(key, undefined, signal, { lent: true }), {
      name: key,
      bytes,
      sha256,
    });
    if (compression === 'lz4') return unpacked(stored, lz4(), { signal });
    return unpackedFrom(stored, compression, this.#input.compressors, signal, { lent: true });
  }

  async #advance(change: Partial<Pick<FetchJournal, 'archives' | 'step'>>): Promise<void> {
    this.#journal = { ...this.#journal, ...change };
    await writeJournal(this.#input.workDirectory, this.#journal);
  }
}

const nameOf = (manifest: BaseManifest, key: string) => `${manifest.id}/${key}`;

function lz4(): { readonly name: string; readonly decompress: { readonly file: string; readonly args: string[] } } {
  const file = findTool('lz4');
  if (file === undefined)
    throw new HoldfastError(
      'ToolMissing',
      "the backup is compressed with lz4, which was not found on the worker's PATH",
      'install lz4 on the worker',
    );
  return { name: 'lz4', decompress: { file, args: ['-d', '-q', '-c'] } };
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

/** PostgreSQL makes these links itself from tablespace_map; pg_combinebackup wants to find them. */
async function linkTo(location: string, path: string, owner: RunAs | undefined): Promise<void> {
  const there = await readlink(path).catch(() => undefined);
  if (there === location) return;
  if (there !== undefined) await unlink(path);
  await symlink(location, path);
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}
