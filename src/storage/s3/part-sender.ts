import { HoldfastError } from '../../domain/errors.ts';
import type { Connection } from './connection.ts';
import { isMissing } from './errors.ts';
import { unquoted } from './reading.ts';
import { gone } from './staged.ts';
import { md5 } from './writing.ts';

const together = 2;
/** So often a part is sent of which the store says that it took something else. */
const tries = 3;

/** A part that is on its way or was taken. */
export interface Part {
  readonly number: number;
  /** Where it begins in the object. */
  readonly start: number;
  readonly md5: Buffer;
  /** Of the store, once it took it. */
  etag?: string;
  failure?: { readonly error: unknown };
}

interface Sending {
  readonly part: Part;
  readonly buffer: ArrayBufferLike;
  readonly requests: AbortController;
  readonly done: Promise<void>;
}

/** Sends the parts of one object, two at a time, out of buffers that it uses again and again. */
export class PartSender {
  readonly #connection: Connection;
  readonly #key: string;
  readonly #etagsAreMd5: boolean;
  readonly #signal: AbortSignal;
  readonly #sending = new Set<Sending>();
  readonly #spare: Buffer[] = [];
  readonly #cancel = () => {
    for (const { requests } of this.#sending) requests.abort(this.#signal.reason);
  };

  constructor(connection: Connection, key: string, etagsAreMd5: boolean, signal: AbortSignal) {
    this.#connection = connection;
    this.#key = key;
    this.#etagsAreMd5 = etagsAreMd5;
    this.#signal = signal;
    signal.addEventListener('abort', this.#cancel);
  }

  /** One of a size, to be given back. */
  buffer(size: number): Buffer {
    const at = this.#spare.findIndex(({ length }) => length === size);
    const [spare] = at === -1 ? [] : this.#spare.splice(at, 1);
    if (spare !== undefined) return spare;
    this.#spare.length = 0;
    return Buffer.allocUnsafeSlow(size);
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < together) this.#spare.push(buffer);
  }

  isSending({ buffer }: Buffer): boolean {
    return [...this.#sending].some((sending) => sending.buffer === buffer);
  }

  /**
   * Begins to send a part, once fewer than two are on their way. Its failure is the part's.
   * @param onTaken is called when its bytes are needed no more
   */
  async send(uploadId: string, number: number, start: number, bytes: Buffer, onTaken: () => void): Promise<Part> {
    while (this.#sending.size >= together) await Promise.race([...this.#sending].map(({ done }) => done));
    this.#signal.throwIfAborted();
    const part: Part = { number, start, md5: md5(bytes) };
    const requests = new AbortController();
    const done = this.#upload(uploadId, part, bytes, requests.signal)
      .then((etag) => {
        part.etag = etag;
        this.#sending.delete(sending);
        // Bytes of a request that failed may still be in the kernel's or the SDK's hands: they aren't used again.
        onTaken();
      })
      .catch((error: unknown) => {
        part.failure = { error };
        this.#sending.delete(sending);
      });
    const sending: Sending = { part, buffer: bytes.buffer, requests, done };
    this.#sending.add(sending);
    return part;
  }

  /** Waits until all is taken. Throws the first failure. */
  async settle(parts: readonly Part[]): Promise<(Part & { readonly etag: string })[]> {
    while (this.#sending.size > 0) await Promise.all([...this.#sending].map(({ done }) => done));
    return parts.map((part) => {
      const { etag, failure } = part;
      if (failure !== undefined) throw failure.error;
      return { ...part, etag: etag ?? '' };
    });
  }

  /** Gives up parts that are on their way, and waits until they are. */
  async forget(parts: readonly Part[]): Promise<void> {
    const forgotten = [...this.#sending].filter(({ part }) => parts.includes(part));
    for (const { requests } of forgotten) requests.abort();
    await Promise.all(forgotten.map(({ done }) => done));
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#cancel);
    this.#spare.length = 0;
  }

  async #upload(uploadId: string, part: Part, bytes: Buffer, signal: AbortSignal): Promise<string> {
    const connection = this.#connection;
    const input = {
      Bucket: connection.bucket,
      Key: connection.fullKey(this.#key),
      UploadId: uploadId,
      PartNumber: part.number,
      Body: bytes,
      ContentLength: bytes.length,
      ContentMD5: part.md5.toString('base64'),
    };
    for (let turn = 1; turn <= tries; turn += 1) {
      const { ETag, ServerSideEncryption = '' } = await connection.call(
        { verb: `writing part ${String(part.number)} of`, key: this.#key, permission: 's3:PutObject' },
        async (s3, options) => {
          try {
            return await s3.uploadPart(input, options);
          } catch (error) {
            if (isMissing(error)) throw gone(connection, this.#key);
            throw error;
          }
        },
        signal,
      );
      const etag = unquoted(ETag);
      const tellsBytes = this.#etagsAreMd5 && !ServerSideEncryption.startsWith('aws:kms');
      if (!tellsBytes || etag === part.md5.toString('hex')) return etag;
    }
    throw new HoldfastError(
      'StoreUnavailable',
      `${connection.place} took other bytes for part ${String(part.number)} of ${this.#key} than were sent`,
      'look at the store, and at proxies before it',
    );
  }
}
