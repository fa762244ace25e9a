import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { sha256Hex } from '../../domain/canonical.ts';
import type { SecretReference } from '../../domain/config.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { markerKey } from '../../domain/ids.ts';
import type { StoredObject } from '../../domain/manifest.ts';
import type { S3Spec } from '../../domain/specs.ts';
import { checkKey, checkOwner, checkPrefix } from '../keys.ts';
import { otherRepository } from '../marker.ts';
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
} from '../repository.ts';
import { Connection, type S3Options } from './connection.ts';
import { listVisible } from './listing.ts';
import { findMarker, type FoundMarker, notMarked, probeRefusal, type Refusal, refusalWarnings } from './marker.ts';
import { checkObjectKey, makeToken, newThing, ownerPrefix, parseToken, pieceKey } from './names.ts';
import { publish, putOnce, type StoreHabits } from './publishing.ts';
import { damaged, headOf, readObject, readSmall } from './reading.ts';
import { removeForGood, removeHidden } from './removing.ts';
import { gone, listStaged, sweepStaged } from './staged.ts';
import { S3Writer } from './writer.ts';
import { putObject } from './writing.ts';

/**
 * A repository in a bucket, below a prefix. It touches nothing until it is asked to, and never makes the bucket or the
 * marker: that is initialiseS3's.
 *
 * A large object is a multipart upload to its final key, which becomes visible when it is completed: nothing is written
 * twice, which matters where an object lock keeps everything. A small one is staged under a hidden key. Writing over an
 * object is refused by the store (If-None-Match); where the store doesn't do that check() says so, and two writers of
 * one key at the same moment aren't kept apart.
 */
export function openS3(
  spec: S3Spec,
  readSecret: (reference: SecretReference) => Promise<string>,
  options: S3Options = {},
): Repository {
  return new S3Repository(spec, new Connection(spec, readSecret, options));
}

class S3Repository implements Repository {
  readonly description: string;
  readonly #spec: S3Spec;
  readonly #connection: Connection;
  /** Of the repository that was there first: another one in the same place is refused. */
  #id: string | undefined;
  /** Tried once, when it is first asked for. */
  #refusal: Promise<Refusal> | undefined;

  constructor(spec: S3Spec, connection: Connection) {
    this.#spec = spec;
    this.#connection = connection;
    this.description = connection.place;
  }

  async check(): Promise<RepositoryState> {
    const found = await this.#marked();
    const warnings = refusalWarnings(this.#connection, await this.#refuses(found));
    return { id: found.marker.id, freeBytes: null, totalBytes: null, warnings };
  }

  async stage(
    key: string,
    owner: StageOwner,
    signal: AbortSignal,
    { expectedBytes }: { readonly expectedBytes?: number | undefined } = {},
  ): Promise<StageWriter> {
    this.#checkKey(key);
    checkOwner(owner);
    signal.throwIfAborted();
    // Every request listens to it while it is under way, and a run may have many.
    setMaxListeners(0, signal);
    const { etagIsMd5 } = await this.#marked();
    const thing = newThing(key, owner);
    await putObject(this.#connection, pieceKey(thing, 'ticket'), Buffer.alloc(0), { onlyNew: false, signal });
    const { maxParts, partSize } = this.#spec.s3;
    return new S3Writer(this.#connection, thing, { maxParts, partSize, expectedBytes, etagsAreMd5: etagIsMd5 }, signal);
  }

  async stageSmall(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<Staged> {
    this.#checkKey(key);
    checkOwner(owner);
    signal.throwIfAborted();
    await this.#marked();
    const thing = newThing(key, owner);
    try {
      await putObject(this.#connection, pieceKey(thing, 'body'), body, { onlyNew: false, signal });
    } catch (error) {
      // It may be there all the same, where only the answer was lost.
      await removeHidden(this.#connection, pieceKey(thing, 'body')).catch(() => undefined);
      throw error;
    }
    return { key, token: makeToken({ kind: 'small', thing }), bytes: body.length, sha256: digest(body) };
  }

  async readStagedText(staged: Staged): Promise<string> {
    const { thing } = parseToken(staged.key, staged.token);
    const found = await readSmall(this.#connection, pieceKey(thing, 'body'));
    if (found === undefined) {
      await this.#marked();
      throw gone(this.#connection, staged.key);
    }
    const text = found.body.toString('utf8');
    if (sha256Hex(text) === staged.sha256) return text;
    throw damaged(this.#connection, staged.key, 'reads back differently from what was staged');
  }

  async publish(staged: Staged, watch: Watch = {}): Promise<StoredObject> {
    parseToken(staged.key, staged.token);
    watch.signal?.throwIfAborted();
    await publish(this.#connection, staged, await this.#habits(), watch);
    return { key: staged.key, bytes: staged.bytes, sha256: staged.sha256 };
  }

  async sweep(owner: { readonly run: string; readonly attempt?: number }): Promise<number> {
    checkOwner(owner);
    await this.#marked();
    return sweepStaged(this.#connection, ownerPrefix(owner));
  }

  async *listStaged(): AsyncGenerator<ListedStaged> {
    await this.#marked();
    yield* listStaged(this.#connection);
  }

  async put(key: string, owner: StageOwner, body: Uint8Array, signal: AbortSignal): Promise<StoredObject> {
    this.#checkKey(key);
    checkOwner(owner);
    signal.throwIfAborted();
    const stored = { key, bytes: body.length, sha256: digest(body) };
    await putOnce(this.#connection, stored, body, await this.#habits(), signal);
    return stored;
  }

  async *read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    checkKey(key);
    signal.throwIfAborted();
    const found = yield* readObject(this.#connection, key, range, signal);
    if (found !== undefined) return;
    await this.#marked();
    throw new HoldfastError(
      'NoSuchBackup',
      `${key} is not in ${this.description}`,
      "'holdfast backups list' shows what is there",
    );
  }

  async readText(key: string): Promise<string | undefined> {
    checkKey(key);
    const found = await readSmall(this.#connection, key);
    if (found === undefined) await this.#marked();
    return found?.body.toString('utf8');
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    const found = await headOf(this.#connection, key);
    if (found === undefined) await this.#marked();
    return found?.bytes;
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    checkPrefix(prefix);
    await this.#marked();
    yield* listVisible(this.#connection, prefix);
  }

  async remove(key: string): Promise<void> {
    checkKey(key);
    if (key === markerKey) {
      throw new HoldfastError(
        'InvalidArgument',
        `${markerKey} is the marker of ${this.description} and is not removed`,
        'remove it by hand if the repository is to be given up',
      );
    }
    await this.#marked();
    await removeForGood(this.#connection, key);
  }

  localPath(key: string): undefined {
    checkKey(key);
  }

  #checkKey(key: string): void {
    checkObjectKey(key, this.#connection.fullKey(key));
  }

  /** Throws StoreNotMounted where the repository isn't there, or isn't the one that was there before. */
  async #marked(): Promise<FoundMarker> {
    const found = await findMarker(this.#connection);
    if (found === undefined) throw notMarked(this.#connection);
    const { id } = found.marker;
    this.#id ??= id;
    if (id !== this.#id) throw otherRepository(this.description, this.#id, id);
    return found;
  }

  async #habits(): Promise<StoreHabits> {
    const found = await this.#marked();
    return { etagsAreMd5: found.etagIsMd5, refuses: (await this.#refuses(found)) === 'honoured' };
  }

  async #refuses(found: FoundMarker): Promise<Refusal> {
    this.#refusal ??= probeRefusal(this.#connection, found);
    try {
      return await this.#refusal;
    } catch (error) {
      this.#refusal = undefined;
      throw error;
    }
  }
}

const digest = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');
