import { createHash } from 'node:crypto';
import { HoldfastError } from '../../domain/errors.ts';
import { Meter, type MeterState } from '../../streams/meter.ts';
import type { Staged, StageWriter } from '../repository.ts';
import type { Connection } from './connection.ts';
import { makeToken, pieceKey, rangesOf, type StagedThing } from './names.ts';
import { partSize } from './part-sizes.ts';
import { type Part, PartSender } from './part-sender.ts';
import { discard } from './staged.ts';
import { abortUpload, createUpload } from './uploads.ts';
import { removeHidden } from './removing.ts';
import { putObject } from './writing.ts';

/** A store that hangs must not keep the run from reporting its failure; the sweep finds what is left. */
const abortPatienceMs = 10_000;

/** What fits in here isn't uploaded in parts: it is staged beside, and written under its key when it is published. */
const smallBytes = 8 * 1024 * 1024;

export interface WriterWishes {
  readonly maxParts: number;
  readonly partSize: number | null;
  readonly expectedBytes: number | undefined;
  /** Whether the store's ETags are MD5s: then they prove what it took. */
  readonly etagsAreMd5: boolean;
}

/** Bytes of one part, in memory. */
interface Slab {
  readonly buffer: Buffer;
  /** Where they begin in the object. */
  readonly start: number;
  length: number;
}

/**
 * Writes one object as a multipart upload to its final key, which begins when more has come than is small. Its operations
 * wait for each other, whether or not the caller does.
 *
 * At most four parts are in memory: the one that is filled, two on their way, and the one that holds the mark, from its
 * beginning, so that a rollback can fill it anew. What is sent again gets a new number: an old request that comes late
 * can't overwrite it.
 */
export class S3Writer implements StageWriter {
  readonly #connection: Connection;
  readonly #thing: StagedThing;
  readonly #wishes: WriterWishes;
  readonly #signal: AbortSignal;
  readonly #meter = new Meter();
  readonly #sender: PartSender;
  #mark: MeterState = this.#meter.save();
  /** Holds the mark; undefined while nothing had come when it was set. */
  #markSlab: Slab | undefined;
  #slab: Slab | undefined;
  /** Sent, or on their way, in their order: the object so far, without the slab. */
  #parts: Part[] = [];
  #lastNumber = 0;
  #upload: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #state: 'open' | 'finished' | 'aborted' = 'open';
  /** Set by a write that failed; only a rollback helps. */
  #failure: { readonly error: unknown } | undefined;

  constructor(connection: Connection, thing: StagedThing, wishes: WriterWishes, signal: AbortSignal) {
    this.#connection = connection;
    this.#thing = thing;
    this.#wishes = wishes;
    this.#signal = signal;
    this.#sender = new PartSender(connection, thing.key, wishes.etagsAreMd5, signal);
  }

  get offset(): number {
    return this.#meter.bytes;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      try {
        for (let at = 0; at < chunk.length;) {
          const slab = await this.#roomy();
          const taken = chunk.subarray(at, at + slab.buffer.length - slab.length);
          slab.buffer.set(taken, slab.length);
          slab.length += taken.length;
          this.#meter.update(taken);
          at += taken.length;
        }
        const failed = this.#parts.find(({ failure }) => failure !== undefined);
        if (failed?.failure !== undefined) throw failed.failure.error;
      } catch (error) {
        this.#failure = { error };
        throw error;
      }
    });
  }

  mark(): void {
    this.#mark = this.#meter.save();
    if (this.#markSlab !== this.#slab) this.#release(this.#markSlab);
    this.#markSlab = this.#slab;
  }

  rollback(): Promise<void> {
    return this.#inTurn(async () => {
      const { bytes } = this.#mark;
      const slab = this.#markSlab;
      const from = slab?.start ?? bytes;
      const superseded = this.#parts.filter(({ start }) => start >= from);
      await this.#sender.forget(superseded);
      if (this.#slab !== slab) this.#release(this.#slab);
      this.#parts = this.#parts.filter(({ start }) => start < from);
      this.#slab = slab;
      if (slab !== undefined) slab.length = bytes - slab.start;
      this.#meter.restore(this.#mark);
      this.#failure = undefined;
      // A part from before the mark that failed meanwhile is lost, and with it the object: the next write says so.
    });
  }

  finish(): Promise<Staged> {
    return this.#inTurn(async () => {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure.error;
      const { key } = this.#thing;
      const isSmall = this.#parts.length === 0 && this.#meter.bytes <= smallBytes;
      const token = isSmall ? await this.#finishBody() : await this.#finishParts();
      this.#state = 'finished';
      this.#sender.close();
      return { key, token, bytes: this.#meter.bytes, sha256: this.#meter.digest() };
    });
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    const remove = async () => {
      if (this.#state !== 'open') return;
      this.#state = 'aborted';
      await this.#sender.forget(this.#parts);
      this.#sender.close();
      this.#slab = undefined;
      this.#markSlab = undefined;
      await discard(this.#connection, this.#thing).catch(() => undefined);
    };
    const removed = this.#queue.then(remove, remove);
    this.#queue = removed;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, abortPatienceMs);
    });
    await Promise.race([removed, patience]);
    clearTimeout(timer);
  }

  /** The slab to fill, with room for a byte at least. A full one is sent only when more comes. */
  async #roomy(): Promise<Slab> {
    const slab = this.#slab;
    if (slab !== undefined && slab.length < slab.buffer.length) return slab;
    if (slab !== undefined) await this.#send(slab);
    const size = partSize(this.#lastNumber + 1, this.#wishes);
    if (size === undefined) throw this.#tooManyParts();
    const next = { buffer: this.#sender.buffer(size), start: this.#meter.bytes, length: 0 };
    this.#slab = next;
    return next;
  }

  async #send(slab: Slab): Promise<void> {
    const uploadId = await this.#opened();
    if (this.#lastNumber >= this.#wishes.maxParts) throw this.#tooManyParts();
    this.#lastNumber += 1;
    const bytes = slab.buffer.subarray(0, slab.length);
    const part = await this.#sender.send(uploadId, this.#lastNumber, slab.start, bytes, () => {
      if (slab !== this.#slab && slab !== this.#markSlab) this.#sender.giveBack(slab.buffer);
    });
    this.#parts.push(part);
    this.#slab = undefined;
  }

  async #opened(): Promise<string> {
    if (this.#upload !== undefined) return this.#upload;
    const { key } = this.#thing;
    const uploadId = await createUpload(this.#connection, key, this.#signal);
    const record = Buffer.from(uploadId);
    await putObject(this.#connection, pieceKey(this.#thing, 'upload'), record, {
      onlyNew: false,
      signal: this.#signal,
    });
    this.#upload = uploadId;
    return uploadId;
  }

  async #finishBody(): Promise<string> {
    const bytes = this.#slab?.buffer.subarray(0, this.#slab.length) ?? Buffer.alloc(0);
    // Rollbacks took back all that had been uploaded.
    if (this.#upload !== undefined) {
      await abortUpload(this.#connection, this.#thing.key, this.#upload);
      await removeHidden(this.#connection, pieceKey(this.#thing, 'upload'));
      this.#upload = undefined;
    }
    await putObject(this.#connection, pieceKey(this.#thing, 'body'), bytes, { onlyNew: false, signal: this.#signal });
    return makeToken({ kind: 'body', thing: this.#thing });
  }

  async #finishParts(): Promise<string> {
    if (this.#slab !== undefined && this.#slab.length > 0) await this.#send(this.#slab);
    const sent = await this.#sender.settle(this.#parts);
    return makeToken({
      kind: 'parts',
      thing: this.#thing,
      upload: {
        uploadId: await this.#opened(),
        ranges: rangesOf(sent.map(({ number }) => number)),
        etagsDigest: digestOfEtags(sent.map(({ etag }) => etag)),
        md5: createHash('md5')
          .update(Buffer.concat(sent.map(({ md5 }) => md5)))
          .digest('hex'),
      },
    });
  }

  /** For another part to use, if it isn't on its way. */
  #release(slab: Slab | undefined): void {
    if (slab !== undefined && !this.#sender.isSending(slab.buffer)) this.#sender.giveBack(slab.buffer);
  }

  #tooManyParts(): HoldfastError {
    const { maxParts, partSize: fixed } = this.#wishes;
    return new HoldfastError(
      'StoreFull',
      `${this.#thing.key} in ${this.#connection.place} doesn't fit into ${String(maxParts)} parts${fixed === null ? '' : ` of ${String(fixed)} bytes`}: ${String(this.#meter.bytes)} bytes are written`,
      `raise 'partSize' of the repository, or 'maxParts' if the store takes more`,
    );
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = async () => {
      if (this.#state !== 'open') {
        throw new HoldfastError(
          'Unexpected',
          `${this.#thing.key} is no longer open for writing (${this.#state})`,
          'stage it again',
        );
      }
      return act();
    };
    const result = this.#queue.then(turn);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

/** SHA-256 over ETags, in their order. */
export const digestOfEtags = (etags: readonly string[]) => createHash('sha256').update(etags.join('\n')).digest('hex');
