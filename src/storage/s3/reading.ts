import type { Readable } from 'node:stream';
import { HoldfastError } from '../../domain/errors.ts';
import type { ByteRange } from '../repository.ts';
import type { Connection } from './connection.ts';
import { answerOf, type Doing, isMissing, isPreconditionFailed, unlessMissing } from './errors.ts';

/** So often in a row a connection may break without a byte having come. */
const barrenTries = 5;

/** What is read at once, into memory. */
const maxTextBytes = 64 * 1024 * 1024;

const reading = (key: string): Doing => ({ verb: 'reading', key, permission: 's3:GetObject' });

export interface Head {
  readonly bytes: number;
  /** Without its quotes. */
  readonly etag: string;
}

/** Size and ETag of an object; undefined if it isn't there. */
export async function headOf(connection: Connection, key: string, signal?: AbortSignal): Promise<Head | undefined> {
  const doing = { ...reading(key), verb: 'looking at' };
  const input = { Bucket: connection.bucket, Key: connection.fullKey(key) };
  const found = await connection.call(doing, (s3, options) => unlessMissing(s3.headObject(input, options)), signal);
  return found === undefined ? undefined : { bytes: found.ContentLength ?? 0, etag: unquoted(found.ETag) };
}

export const unquoted = (etag: string | undefined) => (etag ?? '').replace(/^"(.*)"$/, '$1');

/**
 * The bytes of a range, or of the whole object, all of them or ObjectDamaged; returns the ETag, undefined if there is no
 * such object. A connection that breaks is made again from where it broke, to the same object.
 */
export async function* readObject(
  connection: Connection,
  key: string,
  range: ByteRange | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, string | undefined> {
  let at = range?.offset ?? 0;
  let end = range === undefined ? undefined : range.offset + range.length;
  if (range?.length === 0) {
    const head = await headOf(connection, key, signal);
    if (head !== undefined && head.bytes < at) throw tooShort(connection, key, head.bytes, at);
    return head?.etag;
  }
  let etag: string | undefined;
  for (let barren = 0; ;) {
    const opened = await open(connection, key, { at, end, etag }, signal);
    if (opened === undefined) {
      if (etag === undefined) return undefined;
      throw damaged(connection, key, 'went away while it was read');
    }
    etag = opened.etag;
    end ??= opened.end;
    const from = at;
    let broken: Error | undefined;
    try {
      for await (const chunk of opened.body) {
        at += (chunk as Uint8Array).length;
        if (end !== undefined && at > end) break;
        yield chunk as Uint8Array;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (answerOf(error) === undefined) throw error;
      broken = error as Error;
    }
    if (broken === undefined && (end === undefined || at === end)) return etag;
    if (end !== undefined && at > end)
      throw damaged(connection, key, 'is answered with more bytes than were asked for');
    barren = at > from ? 0 : barren + 1;
    if (barren === barrenTries) throw connection.failure(reading(key), broken ?? new StoppedShort());
    if (barren > 0) await connection.pause(signal);
  }
}

/** The store says that it is done and isn't. */
class StoppedShort extends Error {
  readonly code = 'ECONNRESET';
}

interface Wanted {
  readonly at: number;
  readonly end: number | undefined;
  /** Of the object that was begun. */
  readonly etag: string | undefined;
}

interface Opened {
  readonly body: Readable;
  readonly etag: string;
  /** Where the object, or what was asked for, ends; undefined where the store doesn't say. */
  readonly end: number | undefined;
}

async function open(
  connection: Connection,
  key: string,
  { at, end, etag }: Wanted,
  signal?: AbortSignal,
): Promise<Opened | undefined> {
  const isWhole = at === 0 && end === undefined;
  const input = {
    Bucket: connection.bucket,
    Key: connection.fullKey(key),
    ...(isWhole ? {} : { Range: `bytes=${String(at)}-${end === undefined ? '' : String(end - 1)}` }),
    ...(etag === undefined ? {} : { IfMatch: `"${etag}"` }),
  };
  const output = await connection.call(
    reading(key),
    async (s3, options) => {
      try {
        return await s3.getObject(input, options);
      } catch (error) {
        if (isMissing(error)) return undefined;
        if (isPreconditionFailed(error)) throw damaged(connection, key, 'became another one while it was read');
        if (answerOf(error)?.status !== 416) throw error;
        throw tooShort(connection, key, (await headOf(connection, key, signal))?.bytes ?? 0, end ?? at);
      }
    },
    signal,
  );
  if (output === undefined) return undefined;
  const body = output.Body as Readable;
  const opened = { body, etag: unquoted(output.ETag) };
  if (isWhole) return { ...opened, end: output.ContentLength };
  const [first, total] = contentRange(output.ContentRange);
  if (first === at && (total === undefined || end === undefined || total >= end))
    return { ...opened, end: end ?? total };
  body.destroy();
  if (first === at) throw tooShort(connection, key, total ?? 0, end ?? at);
  throw new HoldfastError(
    'StoreUnavailable',
    `${connection.place} answers with other bytes of ${key} than were asked for`,
    'the store, or a proxy before it, ignores ranges: look there',
  );
}

/** `bytes 5-9/10` is [5, 10]. */
function contentRange(text: string | undefined): [number | undefined, number | undefined] {
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(text ?? '') ?? [];
  return [
    first === undefined ? undefined : Number(first),
    total === undefined || total === '*' ? undefined : Number(total),
  ];
}

/** A whole small object; undefined if there is none, ObjectDamaged if it is larger than that. */
export async function readSmall(
  connection: Connection,
  key: string,
  signal?: AbortSignal,
): Promise<{ readonly body: Buffer; readonly etag: string } | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body = readObject(connection, key, undefined, signal);
  for (;;) {
    const next = await body.next();
    if (next.done === true) {
      return next.value === undefined ? undefined : { body: Buffer.concat(chunks), etag: next.value };
    }
    bytes += next.value.length;
    if (bytes > maxTextBytes) {
      await body.return(undefined);
      throw damaged(connection, key, `is too large to be a text (more than ${String(maxTextBytes)} bytes)`);
    }
    chunks.push(next.value);
  }
}

function tooShort(connection: Connection, key: string, bytes: number, wanted: number): HoldfastError {
  return damaged(connection, key, `is only ${String(bytes)} bytes long, not ${String(wanted)}`);
}

export function damaged({ place }: Connection, key: string, what: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${key} in ${place} ${what}`,
    'use another backup, and look for the cause at the store',
  );
}
