import { constants } from 'node:fs';
import { lstat, open, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256Hex } from '../domain/canonical.ts';
import { HoldfastError } from '../domain/errors.ts';
import { markerKey } from '../domain/ids.ts';
import type { StoredObject } from '../domain/manifest.ts';
import type { Lending } from '../streams/lent.ts';
import { claim } from './claim.ts';
import { DirectoryWriter } from './directory-writer.ts';
import { storeError, translated, unlessMissing } from './errno.ts';
import { fileMode, fingerprint, makeFolders, pathOf, refuseLinks, syncDirectory } from './files.ts';
import { checkKey, checkOwner, checkPrefix, makeStagedName, parseStagedName, splitKey } from './keys.ts';
import { otherRepository, readMarker } from './marker.ts';
import type {
  ByteRange,
  ListedObject,
  ListedStaged,
  Repository,
  RepositoryState,
  Staged,
  StageOwner,
  StageWriter,
  Watch,
} from './repository.ts';
import { damaged, type Place, readObject, readSmall } from './reading.ts';
import { walkObjects, walkStaged } from './walk.ts';

export interface DirectoryOptions {
  /** An absolute path: where an NFS share is mounted, or any directory. */
  readonly directory: string;
  /**
   * Whether publish reads the bytes back and digests them; default true. A network file system may tell of a write
   * error late or never.
   */
  readonly readBack?: boolean;
}

/**
 * A repository in a directory. It touches nothing until it is asked to, and never makes the directory or its marker:
 * that is initialiseDirectory's. Files are 0600, directories 0700.
 *
 * A staged object is a hidden file in the directory of its key. Publishing links it to its final name, which fails if
 * the name is taken, then removes the hidden one; where a file system has no hard links it looks and renames, so that
 * there two writers of one key at the same moment aren't kept apart.
 */
export function openDirectory(options: DirectoryOptions): Repository {
  return new DirectoryRepository(options);
}

class DirectoryRepository implements Repository {
  readonly description: string;
  readonly #root: string;
  readonly #readBack: boolean;
  /** Of the repository that was there first: another one under the same path is refused. */
  #id: string | undefined;
  /** Looks at links that are under way: a catalog's reader asks for thousands of objects in one folder. */
  readonly #looks = new Map<string, Promise<void>>();

  constructor({ directory, readBack = true }: DirectoryOptions) {
    this.#root = directory;
    this.#readBack = readBack;
    this.description = directory;
  }

  async check(): Promise<RepositoryState> {
    const id = await this.#mounted();
    return translated(`asking ${this.#root} for its free space`, async () => {
      const { bavail, blocks, bsize } = await statfs(this.#root);
      return { id, freeBytes: bavail * bsize, totalBytes: blocks * bsize, warnings: [] };
    });
  }

  async stage(key: string, owner: StageOwner, signal: AbortSignal): Promise<StageWriter> {
    checkKey(key);
    checkOwner(owner);
    signal.throwIfAborted();
    await this.#mounted();
    return translated(`creating ${key} in ${this.#root}`, async () => {
      const { folder, name } = splitKey(key);
      await refuseLinks(this.#root, folder);
      await makeFolders(this.#root, folder);
      const token = makeStagedName(name, owner);
      const path = join(pathOf(this.#root, folder), token);
      const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, fileMode);
      return new DirectoryWriter(handle, { key, token, path, directory: this.#root }, signal);
    });
  }

  async publish(staged: Staged, watch: Watch = {}): Promise<StoredObject> {
    const { path, stagedPath } = this.#placesOf(staged);
    watch.signal?.throwIfAborted();
    await this.#mounted();
    return translated(`publishing ${staged.key} in ${this.#root}`, async () => {
      await this.#look(splitKey(staged.key).folder);
      const there = await this.#confirmStaged(staged, stagedPath, watch);
      watch.signal?.throwIfAborted();
      if (!there || !(await claim(stagedPath, path))) await this.#confirmPublished(staged, path, there, watch);
      await unlessMissing(unlink(stagedPath));
      await syncDirectory(dirname(path));
      return { key: staged.key, bytes: staged.bytes, sha256: staged.sha256 };
    });
  }

  async sweep(owner: { readonly run: string; readonly attempt?: number }): Promise<number> {
    checkOwner(owner);
    await this.#mounted();
    return translated(`sweeping ${this.#root}`, async () => {
      const folders = new Set<string>();
      let swept = 0;
      for await (const { run, attempt, file } of walkStaged(this.#root)) {
        if (run !== owner.run || (owner.attempt !== undefined && attempt !== owner.attempt)) continue;
        await unlessMissing(unlink(file));
        folders.add(dirname(file));
        swept += 1;
      }
      for (const folder of folders) await syncDirectory(folder);
      return swept;
    });
  }

  async *listStaged(): AsyncGenerator<ListedStaged> {
    await this.#mounted();
    try {
      for await (const { key, run, attempt, bytes, modifiedAt } of walkStaged(this.#root)) {
        yield { key, run, attempt, bytes, modifiedAt };
      }
    } catch (error) {
      throw storeError(error, `listing what is staged in ${this.#root}`);
    }
  }

  async stageSmall(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<Staged> {
    const writer = await this.stage(key, owner, signal);
    try {
      await writer.write(body);
      return await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  async put(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<StoredObject> {
    const staged = await this.stageSmall(key, owner, body, signal);
    try {
      return await this.publish(staged);
    } catch (error) {
      await unlink(this.#placesOf(staged).stagedPath).catch(() => undefined);
      throw error;
    }
  }

  async readStagedText(staged: Staged): Promise<string> {
    const { stagedPath } = this.#placesOf(staged);
    return translated(`reading what is staged of ${staged.key} in ${this.#root}`, async () => {
      await this.#look(splitKey(staged.key).folder);
      const text = await readSmall({ ...this.#at(staged.key), path: stagedPath });
      if (text === undefined) {
        await this.#mounted();
        throw gone(staged.key);
      }
      if (sha256Hex(text) === staged.sha256) return text;
      throw damaged(this.#at(staged.key), 'reads back differently from what was staged');
    });
  }

  async *read(
    key: string,
    range: ByteRange | undefined,
    signal: AbortSignal,
    options: Lending = {},
  ): AsyncGenerator<Uint8Array> {
    checkKey(key);
    await this.#look(splitKey(key).folder);
    const found = yield* readObject(this.#at(key), range, { signal, ...options });
    if (found) return;
    await this.#mounted();
    throw new HoldfastError(
      'NoSuchBackup',
      `${key} is not in ${this.#root}`,
      "'holdfast backups list' shows what is there",
    );
  }

  async readText(key: string): Promise<string | undefined> {
    checkKey(key);
    return translated(`reading ${key} in ${this.#root}`, async () => {
      await this.#look(splitKey(key).folder);
      const text = await readSmall(this.#at(key));
      if (text === undefined) await this.#mounted();
      return text;
    });
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    return translated(`looking at ${key} in ${this.#root}`, async () => {
      await this.#look(splitKey(key).folder);
      const found = await unlessMissing(lstat(pathOf(this.#root, key)));
      if (found?.isFile() === true) return found.size;
      await this.#mounted();
      return undefined;
    });
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    await this.#mounted();
    try {
      const { folder } = splitKey(prefix);
      await this.#look(folder);
      yield* walkObjects(this.#root, folder, prefix);
    } catch (error) {
      throw storeError(error, `listing ${prefix} in ${this.#root}`);
    }
  }

  async remove(key: string): Promise<void> {
    checkKey(key);
    if (key === markerKey) {
      throw new HoldfastError(
        'InvalidArgument',
        `${markerKey} is the marker of ${this.#root} and is not removed`,
        'remove it by hand if the repository is to be given up',
      );
    }
    await this.#mounted();
    await translated(`removing ${key} from ${this.#root}`, async () => {
      await this.#look(splitKey(key).folder);
      const path = pathOf(this.#root, key);
      const found = await unlessMissing(lstat(path));
      if (found?.isFile() !== true) return;
      await unlessMissing(unlink(path));
      await syncDirectory(dirname(path));
    });
  }

  localPath(key: string): string {
    checkKey(key);
    return pathOf(this.#root, key);
  }

  /** The repository's id. Throws StoreNotMounted where it isn't there, or isn't the one that was there before. */
  async #mounted(): Promise<string> {
    const { id } = await readMarker(this.#root);
    this.#id ??= id;
    if (id !== this.#id) throw otherRepository(this.#root, this.#id, id);
    return id;
  }

  #at(key: string): Place {
    return { key, path: pathOf(this.#root, key), directory: this.#root };
  }

  #look(folder: string): Promise<void> {
    const underWay = this.#looks.get(folder);
    if (underWay !== undefined) return underWay;
    const look = translated(`looking at ${folder} in ${this.#root}`, () => refuseLinks(this.#root, folder)).finally(
      () => {
        this.#looks.delete(folder);
      },
    );
    this.#looks.set(folder, look);
    return look;
  }

  #placesOf({ key, token }: Staged): { readonly path: string; readonly stagedPath: string } {
    checkKey(key);
    const { folder, name } = splitKey(key);
    if (parseStagedName(token)?.name !== name) {
      throw new HoldfastError(
        'InvalidArgument',
        `${JSON.stringify(token)} does not name a staged ${key}`,
        'pass on what finish() returned',
      );
    }
    return { path: pathOf(this.#root, key), stagedPath: join(pathOf(this.#root, folder), token) };
  }

  /** false: nothing is staged (any more). Throws ObjectDamaged if it isn't what was written. */
  async #confirmStaged(staged: Staged, stagedPath: string, watch: Watch): Promise<boolean> {
    const found = this.#readBack ? await fingerprint(stagedPath, watch) : await sizeOnly(stagedPath);
    if (found === undefined) return false;
    if (found.bytes === staged.bytes && (found.sha256 ?? staged.sha256) === staged.sha256) return true;
    throw damaged(this.#at(staged.key), 'reads back differently from what was written');
  }

  async #confirmPublished(staged: Staged, path: string, stagedIsThere: boolean, watch: Watch): Promise<void> {
    const found = await fingerprint(path, watch);
    if (found === undefined) {
      if (!stagedIsThere) throw gone(staged.key);
      throw new HoldfastError(
        'StoreUnavailable',
        `${staged.key} in ${this.#root} went away while it was published`,
        'see that nobody else works in the directory',
      );
    }
    if (found.bytes === staged.bytes && found.sha256 === staged.sha256) return;
    throw new HoldfastError(
      'NameTaken',
      `${staged.key} in ${this.#root} exists already with other content`,
      'take another name; what is there stays as it is',
    );
  }
}

async function sizeOnly(path: string): Promise<{ readonly bytes: number; readonly sha256?: string } | undefined> {
  const found = await unlessMissing(lstat(path));
  return found === undefined ? undefined : { bytes: found.size };
}

function gone(key: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${key} was staged and is gone`,
    'run again; see whether somebody cleans up hidden files in the directory',
  );
}
