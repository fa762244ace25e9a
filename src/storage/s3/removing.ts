import { HoldfastError } from '../../domain/errors.ts';
import type { Connection } from './connection.ts';
import { answerOf, isDenied, isUnknownRequest } from './errors.ts';
import { deleteObject, locked } from './writing.ts';

/**
 * Removes an object with every version of it, the oldest first: whatever ends it on the way, nothing older comes to
 * light. Throws ObjectLocked where a retention or a legal hold keeps a version.
 */
export async function removeForGood(connection: Connection, key: string): Promise<void> {
  const versions = await versionsOf(connection, key);
  if (versions === 'not kept') {
    await removeOne(connection, key, undefined);
    return;
  }
  if (versions === 'not shown') {
    const { hidden } = await removeOne(connection, key, undefined);
    if (!hidden) return;
    throw new HoldfastError(
      'StoreUnavailable',
      `${key} in ${connection.place} is hidden, but its bytes are still there: the bucket keeps versions`,
      'grant s3:ListBucketVersions and s3:DeleteObjectVersion, or let a lifecycle rule expire what is not current',
    );
  }
  for (const version of versions) await removeOne(connection, key, version);
}

/**
 * Removes a hidden object; one that a lock keeps is only hidden, for a lifecycle rule to expire: nobody counts on its
 * absence but us.
 */
export async function removeHidden(connection: Connection, key: string): Promise<void> {
  const { hidden } = await deleteObject(connection, key);
  if (!hidden) return;
  try {
    await removeForGood(connection, key);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'ObjectLocked') throw error;
  }
}

/** The ids of the versions and delete markers of exactly this key, the one that is seen last. */
async function versionsOf(connection: Connection, key: string): Promise<string[] | 'not kept' | 'not shown'> {
  const fullKey = connection.fullKey(key);
  const doing = { verb: 'listing the versions of', key, permission: 's3:ListBucketVersions' };
  const found: { readonly id: string; readonly at: number; readonly isLatest: boolean }[] = [];
  for (let marker: { KeyMarker?: string; VersionIdMarker?: string } = {}; ;) {
    const input = { Bucket: connection.bucket, Prefix: fullKey, MaxKeys: connection.pageSize, ...marker };
    const page = await connection.call(doing, async (s3, options) => {
      try {
        return await s3.listObjectVersions(input, options);
      } catch (error) {
        if (isUnknownRequest(error)) return 'not kept' as const;
        if (isDenied(error)) return 'not shown' as const;
        throw error;
      }
    });
    if (typeof page === 'string') return page;
    for (const version of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
      const { Key, VersionId: id, LastModified, IsLatest: isLatest = false } = version;
      if (Key === fullKey && id !== undefined) found.push({ id, at: LastModified?.getTime() ?? 0, isLatest });
    }
    const { NextKeyMarker, NextVersionIdMarker } = page;
    const isLast = page.IsTruncated !== true || NextKeyMarker === undefined || NextKeyMarker > fullKey;
    if (isLast || NextVersionIdMarker === marker.VersionIdMarker) {
      // What is seen goes last also where times are whole seconds.
      return found.sort((a, b) => Number(a.isLatest) - Number(b.isLatest) || a.at - b.at).map(({ id }) => id);
    }
    marker = {
      KeyMarker: NextKeyMarker,
      ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
    };
  }
}

async function removeOne(
  connection: Connection,
  key: string,
  version: string | undefined,
): Promise<{ hidden: boolean }> {
  try {
    return await deleteObject(connection, key, version);
  } catch (error) {
    const lock = await lockOn(connection, key, version);
    throw lock === undefined ? error : locked(connection, key, lock);
  }
}

/** In words; undefined where nothing keeps it, as far as one may see. */
async function lockOn(connection: Connection, key: string, version: string | undefined): Promise<string | undefined> {
  const input = {
    Bucket: connection.bucket,
    Key: connection.fullKey(key),
    ...(version === undefined ? {} : { VersionId: version }),
  };
  const doing = (permission: string) => ({ verb: 'asking for the lock on', key, permission });
  return connection.call(doing('s3:GetObjectRetention'), async (s3, options) => {
    const retention = await unlessRefused(s3.getObjectRetention(input, options));
    const until = retention?.Retention?.RetainUntilDate;
    if (until !== undefined && until.getTime() > Date.now())
      return `the bucket's object lock until ${until.toISOString()}`;
    const hold = await unlessRefused(s3.getObjectLegalHold(input, options));
    return hold?.LegalHold?.Status === 'ON' ? 'a legal hold' : undefined;
  });
}

/** Buckets without object lock, objects without a lock and keys without the permission: all answer with some 4xx. */
async function unlessRefused<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const status = answerOf(error)?.status ?? 0;
    if (status === 501 || (status >= 400 && status < 500)) return undefined;
    throw error;
  }
}
