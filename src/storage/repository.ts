import type { StoredObject } from '../domain/manifest.ts';
import type { Lending } from '../streams/lent.ts';

/**
 * Where backups live. An object is written once and visible only when whole: no reader ever sees half of one, and
 * nothing that is there is ever overwritten. Keys are relative, '/'-separated, without '.', '..' or hidden parts.
 *
 * Every method fails with a HoldfastError: StoreNotMounted (the marker is missing, or another repository's lies there),
 * StoreFull (no space, quota or inodes), StoreUnavailable (everything that may pass), ObjectDamaged, NameTaken,
 * InvalidArgument (a key or an owner that isn't one). An aborted signal's reason is thrown as it is.
 */
export interface Repository {
  /** For messages: the directory, or the bucket. */
  readonly description: string;

  /** Proves that the repository is really there (a directory: the marker lies in it) before anything is trusted. */
  check(): Promise<RepositoryState>;

  /**
   * Opens an object for writing that nobody sees yet. `owner` names the run and attempt, so that what an earlier
   * attempt left behind can be found and swept.
   * @param hint.expectedBytes how long it may become; only a hint, wrong by any factor it costs memory or requests
   */
  stage(
    key: string,
    owner: StageOwner,
    signal: AbortSignal,
    hint?: { readonly expectedBytes?: number | undefined },
  ): Promise<StageWriter>;

  /** Stages a small object (up to 64 MiB) in one go. Leaves nothing staged when it fails. */
  stageSmall(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<Staged>;

  /** What stageSmall was given, as text. ObjectDamaged if it is something else now, or gone. */
  readStagedText(staged: Staged): Promise<string>;

  /**
   * Makes a staged object visible under its key, after having made sure that the store holds the bytes that were
   * written (a directory: by reading them back; S3: by the size and MD5 of every part). Idempotent: published before
   * with the same bytes is success, also after a crash. NameTaken if other bytes lie there; the staged object then
   * stays. ObjectDamaged if what was staged is not what the store holds, or is gone. This may take as long as reading
   * does: `watch` hears of it.
   */
  publish(staged: Staged, watch?: Watch): Promise<StoredObject>;

  /**
   * Throws away what was staged and not published: by one attempt, or by every attempt of a run. Never fails on nothing.
   * An attempt that still writes isn't disturbed, but can't publish any more. Returns how many there were.
   */
  sweep(owner: { readonly run: string; readonly attempt?: number }): Promise<number>;

  /** Everything that is staged, by whomever: what belongs to runs that are gone is to be swept. In no order. */
  listStaged(): AsyncIterable<ListedStaged>;

  /** Stage and publish in one go, for small objects. Leaves nothing staged when it fails. */
  put(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<StoredObject>;

  /** Bytes [offset, offset + length) of an object, or all of it. NoSuchBackup if it isn't there; ObjectDamaged if it is shorter. */
  read(key: string, range: ByteRange | undefined, signal: AbortSignal, options?: Lending): AsyncIterable<Uint8Array>;

  /** A small object (up to 64 MiB) as text; undefined if it isn't there. */
  readText(key: string): Promise<string | undefined>;

  /** Size in bytes; undefined if it isn't there. */
  size(key: string): Promise<number | undefined>;

  /**
   * Visible objects whose keys begin with a prefix ('' is all; 'infra/' is what lies below infra, 'infra' also what lies
   * below infra2), in the order of their keys' UTF-8 bytes. Staged and hidden files, and links, don't show.
   */
  list(prefix: string): AsyncIterable<ListedObject>;

  /**
   * Removes an object for good, with every version that the store keeps of it. What isn't there is no error.
   * ObjectLocked where the store's object lock, or a legal hold, keeps it.
   */
  remove(key: string): Promise<void>;

  /**
   * Where a published object lies as a file that programs on this machine can read and seek in; undefined where it
   * doesn't. InvalidArgument for what isn't a key. Says nothing about whether it is there.
   */
  localPath(key: string): string | undefined;
}

export interface StageWriter {
  /** Bytes written so far: where the next chunk will lie in the object. */
  readonly offset: number;

  /** Resolves once the chunk may be reused by the caller; applies back-pressure. */
  write(chunk: Uint8Array): Promise<void>;

  /** Remembers this offset, forgets the one before. */
  mark(): void;

  /**
   * Takes back everything written since the last mark (without one: everything), as if it had never been: for a member
   * that failed half-way, also where it was the writing that failed. The mark stays. Waits for a write that is under way.
   */
  rollback(): Promise<void>;

  /** Everything is on durable storage when this resolves. */
  finish(): Promise<Staged>;

  /** Throws away what was written. Also after a failure; never fails itself. After finish() it does nothing. */
  abort(): Promise<void>;
}

export interface Watch {
  /** Aborted before the object is visible: nothing has happened. */
  readonly signal?: AbortSignal;
  /** Bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface StageOwner {
  /** Short id of the run: 1 to 32 of [A-Za-z0-9-] */
  readonly run: string;
  /** 0 to 999999 */
  readonly attempt: number;
}

/** A reference small enough for a workflow's history. */
export interface Staged {
  readonly key: string;
  /** Where the repository keeps it; its own business. */
  readonly token: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ListedStaged extends StageOwner {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

export interface RepositoryState {
  /** From the marker, made when the repository was first used. */
  readonly id: string;
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
  /** What the store can't promise, a sentence each: to be said loudly, and written into every backup's manifest. */
  readonly warnings: readonly string[];
}
