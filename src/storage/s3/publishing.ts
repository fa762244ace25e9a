import { createHash } from 'node:crypto';
import { HoldfastError } from '../../domain/errors.ts';
import type { Staged, Watch } from '../repository.ts';
import type { Connection } from './connection.ts';
import { cameOf, isMissing, isPreconditionFailed } from './errors.ts';
import { type FinishedUpload, isWithin, parseToken, type Piece, pieceKey, type Token } from './names.ts';
import { damaged, headOf, readObject, readSmall, unquoted } from './reading.ts';
import { discard, gone } from './staged.ts';
import { partsOf, type UploadedPart } from './uploads.ts';
import { deleteObject, md5, putObject, type Written } from './writing.ts';
import { digestOfEtags } from './writer.ts';

/** What is known of the store that an object is published in. */
export interface StoreHabits {
  readonly etagsAreMd5: boolean;
  /** Whether it refuses to write over an object by itself. */
  readonly refuses: boolean;
}

/** So often a write is tried that another write of the same key gets in the way of. */
const tries = 4;

/** See Repository.publish. */
export async function publish(
  connection: Connection,
  staged: Staged,
  habits: StoreHabits,
  { signal, onProgress }: Watch,
): Promise<void> {
  const token = parseToken(staged.key, staged.token);
  const { thing } = token;
  const ticket =
    token.kind === 'small' ? true : (await headOf(connection, pieceKey(thing, 'ticket'), signal)) !== undefined;
  const write = !ticket
    ? undefined
    : token.kind === 'parts'
      ? await completion(connection, staged, token.upload, signal)
      : await rewriting(connection, staged, pieceKey(thing, 'body'), signal);
  onProgress?.(staged.bytes);
  signal?.throwIfAborted();
  const expected = token.kind === 'parts' ? etagOf(token.upload) : write?.etag;
  const etag = habits.etagsAreMd5 ? expected : undefined;
  if (write === undefined) {
    // Swept, or published before.
    if (!(await isPublished(connection, staged, etag, signal))) throw gone(connection, staged.key);
  } else {
    await writeOnce(connection, staged, { ...habits, etag }, write.write);
  }
  // It is published, whatever becomes of this; what stays behind is listed as staged, and swept by a prune.
  await discard(connection, thing, piecesOf[token.kind]).catch(() => undefined);
}

const piecesOf: Readonly<Record<Token['kind'], ReadonlySet<Piece>>> = {
  small: new Set(['body']),
  body: new Set(['body', 'ticket']),
  parts: new Set(['upload', 'ticket']),
};

/** Writes a small object under its key, unless there is one; see Repository.put. */
export async function putOnce(
  connection: Connection,
  staged: Omit<Staged, 'token'>,
  body: Uint8Array,
  habits: StoreHabits,
  signal: AbortSignal,
): Promise<void> {
  const etag = habits.etagsAreMd5 ? md5(body).toString('hex') : undefined;
  const write = () => putObject(connection, staged.key, body, { onlyNew: true, signal });
  await writeOnce(connection, staged, { ...habits, etag }, write);
}

/** A write that makes the object visible, and the ETag that it should have where ETags are MD5s. */
interface Write {
  readonly etag: string;
  readonly write: () => Promise<Written | 'taken' | 'gone'>;
}

/** Of a multipart upload. undefined: there is none. Throws ObjectDamaged if the store doesn't hold what was sent. */
async function completion(
  connection: Connection,
  staged: Staged,
  upload: FinishedUpload,
  signal?: AbortSignal,
): Promise<Write | undefined> {
  const { key } = staged;
  const parts = await partsOf(connection, key, upload.uploadId, signal);
  if (parts === undefined) return undefined;
  const used = parts.filter(({ number }) => isWithin(number, upload.ranges));
  if (!areWhole(used, staged, upload)) throw damaged(connection, key, 'is not held as it was sent: parts differ');
  const input = {
    Bucket: connection.bucket,
    Key: connection.fullKey(key),
    UploadId: upload.uploadId,
    MultipartUpload: { Parts: used.map(({ number, etag }) => ({ PartNumber: number, ETag: `"${etag}"` })) },
    IfNoneMatch: '*',
  };
  const doing = { verb: 'completing the upload of', key, permission: 's3:PutObject', isSlow: true };
  const write = () =>
    connection.call(doing, async (s3, options) => {
      try {
        const { ETag, VersionId } = await s3.completeMultipartUpload(input, options);
        // A failure that comes after the head of the answer comes as a 200.
        if (ETag === undefined)
          throw Object.assign(new Error(), { $metadata: { httpStatusCode: 500 }, name: 'NoETag' });
        return { etag: unquoted(ETag), versionId: VersionId };
      } catch (error) {
        if (isPreconditionFailed(error)) return 'taken';
        if (isMissing(error)) return 'gone';
        throw error;
      }
    });
  return { etag: etagOf(upload), write };
}

/** Where ETags are MD5s. */
const etagOf = (upload: FinishedUpload) => `${upload.md5}-${String(partCount(upload))}`;

const partCount = ({ ranges }: FinishedUpload) => ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

function areWhole(parts: readonly UploadedPart[], staged: Staged, upload: FinishedUpload): boolean {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  return (
    parts.length === partCount(upload) &&
    bytes === staged.bytes &&
    digestOfEtags(parts.map(({ etag }) => etag)) === upload.etagsDigest
  );
}

/** Of a small object that lies beside. undefined: it doesn't. Throws ObjectDamaged if it isn't what was staged. */
async function rewriting(
  connection: Connection,
  staged: Staged,
  bodyKey: string,
  signal?: AbortSignal,
): Promise<Write | undefined> {
  const found = await readSmall(connection, bodyKey, signal);
  if (found === undefined) return undefined;
  const { body } = found;
  if (body.length !== staged.bytes || sha256(body) !== staged.sha256) {
    throw damaged(connection, staged.key, 'reads back differently from what was staged');
  }
  return {
    etag: md5(body).toString('hex'),
    write: () => putObject(connection, staged.key, body, { onlyNew: true }),
  };
}

const sha256 = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');

type Wanted = Omit<Staged, 'token'>;

/** Makes the object visible, or finds that it is already; NameTaken where it is another one. */
async function writeOnce(
  connection: Connection,
  wanted: Wanted,
  { refuses, etag }: StoreHabits & { readonly etag: string | undefined },
  write: Write['write'],
): Promise<void> {
  if (!refuses && (await isPublished(connection, wanted, etag))) return;
  const outcome = await attempt(connection, wanted, etag, write);
  if (outcome === 'ours') return;
  if (outcome !== 'taken' && outcome !== 'gone') {
    await confirm(connection, wanted, etag, outcome);
    return;
  }
  if (await isPublished(connection, wanted, etag)) return;
  if (outcome === 'gone') throw gone(connection, wanted.key);
  throw new HoldfastError(
    'StoreUnavailable',
    `${connection.place} refuses ${wanted.key} as if it existed already, and it isn't there`,
    'see that nobody else works in the bucket; some stores refuse a name that was deleted while versions of it are kept: remove those',
  );
}

/** Writes, again where another write got in the way. A failure may hide a success: the answer alone may be lost. */
async function attempt(
  connection: Connection,
  wanted: Wanted,
  etag: string | undefined,
  write: Write['write'],
): Promise<Written | 'taken' | 'gone' | 'ours'> {
  for (let turn = 1; ; turn += 1) {
    try {
      return await write();
    } catch (error) {
      const isOurs = await isPublished(connection, wanted, etag).catch((later: unknown) => {
        if (later instanceof HoldfastError && later.type === 'NameTaken') throw later;
        return false;
      });
      if (isOurs) return 'ours';
      // 409: another conditional write of the key is under way.
      if (!cameOf(error, 409) || turn === tries) throw error;
      await connection.pause();
    }
  }
}

/** What was written has to be there as it was meant; if it isn't, it goes again: nobody may take it for the object. */
async function confirm(
  connection: Connection,
  wanted: Wanted,
  etag: string | undefined,
  written: Written,
): Promise<void> {
  const { key, bytes } = wanted;
  for (let turn = 1; ; turn += 1) {
    const head = await headOf(connection, key);
    if (head === undefined && turn < tries) {
      await connection.pause();
      continue;
    }
    if (head === undefined) {
      throw new HoldfastError(
        'StoreUnavailable',
        `${connection.place} says that it took ${key}, and that it isn't there`,
        'look at the store, and at proxies before it',
      );
    }
    if (head.bytes === bytes && (etag === undefined || tellsNothing(head.etag, etag) || head.etag === etag)) return;
    await deleteObject(connection, key, written.versionId);
    throw damaged(
      connection,
      key,
      `was taken, but is held differently (${String(head.bytes)} of ${String(bytes)} bytes)`,
    );
  }
}

/** Encryption by a key of one's own makes ETags of objects that tell nothing of their bytes; of uploads they keep the count. */
const tellsNothing = (found: string, wanted: string) =>
  !/^[0-9a-f]{32}(-\d+)?$/.test(found) || found.includes('-') !== wanted.includes('-');

/** false: there is no such object. Throws NameTaken if other bytes lie there. */
async function isPublished(
  connection: Connection,
  { key, bytes, sha256: digest }: Wanted,
  etag: string | undefined,
  signal?: AbortSignal,
): Promise<boolean> {
  const head = await headOf(connection, key, signal);
  if (head === undefined) return false;
  if (
    head.bytes === bytes &&
    ((etag !== undefined && head.etag === etag) || (await digestOf(connection, key, signal)) === digest)
  ) {
    return true;
  }
  throw new HoldfastError(
    'NameTaken',
    `${key} in ${connection.place} exists already with other content`,
    'take another name; what is there stays as it is',
  );
}

async function digestOf(connection: Connection, key: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of readObject(connection, key, undefined, signal)) hash.update(chunk);
  return hash.digest('hex');
}
