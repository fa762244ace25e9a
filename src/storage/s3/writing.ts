import { createHash } from 'node:crypto';
import { HoldfastError } from '../../domain/errors.ts';
import type { Connection } from './connection.ts';
import { isAboutLock, isMissing, isPreconditionFailed } from './errors.ts';
import { unquoted } from './reading.ts';

export const md5 = (body: Uint8Array) => createHash('md5').update(body).digest();

export interface Written {
  readonly etag: string;
  /** Where the bucket keeps versions. */
  readonly versionId: string | undefined;
}

/**
 * Writes a small object. `onlyNew`: not over another one, where the store honours that; 'taken' then.
 * @param key in the repository, or hidden
 */
export async function putObject(
  connection: Connection,
  key: string,
  body: Uint8Array,
  { onlyNew, signal }: { readonly onlyNew: boolean; readonly signal?: AbortSignal },
): Promise<Written | 'taken'> {
  const input = {
    Bucket: connection.bucket,
    Key: connection.fullKey(key),
    Body: body,
    ContentLength: body.length,
    ContentMD5: md5(body).toString('base64'),
    ...(onlyNew ? { IfNoneMatch: '*' } : {}),
  };
  return connection.call(
    { verb: 'writing', key, permission: 's3:PutObject' },
    async (s3, options) => {
      try {
        const { ETag, VersionId } = await s3.putObject(input, options);
        return { etag: unquoted(ETag), versionId: VersionId };
      } catch (error) {
        if (onlyNew && isPreconditionFailed(error)) return 'taken';
        throw error;
      }
    },
    signal,
  );
}

/**
 * Removes one version of an object, or, without one, the object: where the bucket keeps versions, by hiding it. Returns
 * whether that is what happened. Throws ObjectLocked where the store says that a lock keeps it.
 */
export async function deleteObject(
  connection: Connection,
  key: string,
  versionId?: string,
): Promise<{ readonly hidden: boolean }> {
  const input = {
    Bucket: connection.bucket,
    Key: connection.fullKey(key),
    ...(versionId === undefined ? {} : { VersionId: versionId }),
  };
  const permission = versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
  return connection.call({ verb: 'removing', key, permission }, async (s3, options) => {
    try {
      const { DeleteMarker } = await s3.deleteObject(input, options);
      return { hidden: versionId === undefined && DeleteMarker === true };
    } catch (error) {
      if (isMissing(error)) return { hidden: false };
      if (isAboutLock(error)) throw locked(connection, key, 'an object lock');
      throw error;
    }
  });
}

/** @param lock what keeps it, in words */
export function locked({ place }: Connection, key: string, lock: string): HoldfastError {
  return new HoldfastError(
    'ObjectLocked',
    `${key} in ${place} is kept by ${lock}`,
    'it stays until the lock ends; nothing is wrong with it',
  );
}
