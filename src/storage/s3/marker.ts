import { HoldfastError } from '../../domain/errors.ts';
import { markerKey } from '../../domain/ids.ts';
import { type Marker, parseMarker } from '../marker.ts';
import type { Connection } from './connection.ts';
import { cameOf } from './errors.ts';
import { readSmall } from './reading.ts';
import { md5, putObject } from './writing.ts';

export interface FoundMarker {
  readonly marker: Marker;
  readonly body: Buffer;
  /** Whether this store's ETag of a plain object is its MD5: with encryption by a key of one's own it isn't. */
  readonly etagIsMd5: boolean;
}

/** The marker of a repository; undefined if there is none. Throws StoreNotMounted where there is no such bucket. */
export async function findMarker(connection: Connection): Promise<FoundMarker | undefined> {
  const found = await readSmall(connection, markerKey);
  if (found === undefined) return undefined;
  const { body, etag } = found;
  return {
    marker: parseMarker(body.toString('utf8'), connection.place),
    body,
    etagIsMd5: etag === md5(body).toString('hex'),
  };
}

export function notMarked({ place }: Connection): HoldfastError {
  return new HoldfastError(
    'StoreNotMounted',
    `${place} has no ${markerKey}, the marker of a repository`,
    "see whether bucket, prefix and endpoint are right. What is to become a repository is marked by 'holdfast repositories init'",
  );
}

/** Whether a store refuses to write over an object when it is told so. */
export type Refusal = 'honoured' | 'ignored' | 'not tried';

/**
 * Tries it with the marker's own bytes, so that a store that doesn't care has changed nothing. `not tried`: these
 * credentials may not write.
 */
export async function probeRefusal(connection: Connection, { body }: FoundMarker): Promise<Refusal> {
  try {
    return (await putObject(connection, markerKey, body, { onlyNew: true })) === 'taken' ? 'honoured' : 'ignored';
  } catch (error) {
    if (cameOf(error, 403)) return 'not tried';
    throw error;
  }
}

export function refusalWarnings({ place }: Connection, refusal: Refusal): string[] {
  switch (refusal) {
    case 'honoured':
      return [];
    case 'ignored':
      return [
        `${place}: the store ignores If-None-Match, so nothing keeps two writers of one name at the same moment from overwriting each other`,
      ];
    case 'not tried':
      return [
        `${place}: whether the store honours If-None-Match could not be tried, because these credentials may not write`,
      ];
  }
}
