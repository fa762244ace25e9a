import type { Connection } from './connection.ts';
import { isUnknownRequest, unlessMissing } from './errors.ts';
import { unquoted } from './reading.ts';

export interface UploadedPart {
  readonly number: number;
  readonly bytes: number;
  readonly etag: string;
}

/** Begins a multipart upload to the final key: nobody sees it before it is completed. */
export async function createUpload(connection: Connection, key: string, signal?: AbortSignal): Promise<string> {
  const input = { Bucket: connection.bucket, Key: connection.fullKey(key) };
  return connection.call(
    { verb: 'beginning an upload of', key, permission: 's3:PutObject' },
    async (s3, options) => {
      const { UploadId } = await s3.createMultipartUpload(input, options);
      if (UploadId === undefined) throw Object.assign(new Error(), { $metadata: {}, name: 'NoUploadId' });
      return UploadId;
    },
    signal,
  );
}

/** What the store holds of an upload, in the order of the numbers; undefined where there is no such upload (any more). */
export async function partsOf(
  connection: Connection,
  key: string,
  uploadId: string,
  signal?: AbortSignal,
): Promise<UploadedPart[] | undefined> {
  const parts: UploadedPart[] = [];
  const doing = { verb: 'listing the parts of', key, permission: 's3:ListMultipartUploadParts' };
  for (let marker: string | undefined; ;) {
    const input = {
      Bucket: connection.bucket,
      Key: connection.fullKey(key),
      UploadId: uploadId,
      MaxParts: connection.pageSize,
      ...(marker === undefined ? {} : { PartNumberMarker: marker }),
    };
    const page = await connection.call(doing, (s3, options) => unlessMissing(s3.listParts(input, options)), signal);
    if (page === undefined) return undefined;
    for (const { PartNumber = 0, Size = 0, ETag } of page.Parts ?? []) {
      parts.push({ number: PartNumber, bytes: Size, etag: unquoted(ETag) });
    }
    if (page.IsTruncated !== true || page.NextPartNumberMarker === undefined || page.NextPartNumberMarker === marker) {
      return parts;
    }
    marker = page.NextPartNumberMarker;
  }
}

/** Throws an upload away; one that isn't there is no error. */
export async function abortUpload(connection: Connection, key: string, uploadId: string): Promise<void> {
  const input = { Bucket: connection.bucket, Key: connection.fullKey(key), UploadId: uploadId };
  const doing = { verb: 'giving up the upload of', key, permission: 's3:AbortMultipartUpload' };
  await connection.call(doing, (s3, options) => unlessMissing(s3.abortMultipartUpload(input, options)));
}

/** The uploads to one key that are under way, whoever began them; none where the store can't list them. */
export async function uploadsTo(connection: Connection, key: string): Promise<string[]> {
  const fullKey = connection.fullKey(key);
  const doing = { verb: 'listing the uploads of', key, permission: 's3:ListBucketMultipartUploads' };
  const found: string[] = [];
  for (let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}; ;) {
    const input = { Bucket: connection.bucket, Prefix: fullKey, MaxUploads: connection.pageSize, ...marker };
    const page = await connection.call(doing, async (s3, options) => {
      try {
        return await s3.listMultipartUploads(input, options);
      } catch (error) {
        if (isUnknownRequest(error)) return undefined;
        throw error;
      }
    });
    if (page === undefined) return found;
    for (const { Key, UploadId } of page.Uploads ?? []) {
      if (Key === fullKey && UploadId !== undefined) found.push(UploadId);
    }
    const { NextKeyMarker, NextUploadIdMarker } = page;
    const isLast = page.IsTruncated !== true || NextKeyMarker === undefined || NextKeyMarker !== fullKey;
    if (isLast || NextUploadIdMarker === undefined || NextUploadIdMarker === marker.UploadIdMarker) return found;
    marker = { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker };
  }
}
