import { keyFault } from '../keys.ts';
import type { ListedObject } from '../repository.ts';
import type { Connection } from './connection.ts';

/** Everything whose key in the repository begins with a prefix, hidden objects too, page after page. */
export async function* listAll(connection: Connection, prefix: string): AsyncGenerator<ListedObject> {
  const doing = { verb: 'listing', key: prefix, permission: 's3:ListBucket' };
  for (let token: string | undefined; ;) {
    const input = {
      Bucket: connection.bucket,
      Prefix: connection.fullPrefix(prefix),
      MaxKeys: connection.pageSize,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    };
    const page = await connection.call(doing, (s3, options) => s3.listObjectsV2(input, options));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      yield { key: connection.ownKey(Key), bytes: Size, modifiedAt: LastModified ?? new Date(0) };
    }
    if (page.IsTruncated !== true) return;
    const next = page.NextContinuationToken;
    // To take half a listing for the whole would make a prune and a catalog wrong.
    if (next === undefined || next === token) {
      throw connection.failure(doing, Object.assign(new Error(), { $metadata: {}, name: 'EndlessListing' }));
    }
    token = next;
  }
}

/** Visible objects: what begins with a dot is hidden, and what isn't a key is somebody else's. */
export async function* listVisible(connection: Connection, prefix: string): AsyncGenerator<ListedObject> {
  for await (const object of listAll(connection, prefix)) {
    if (keyFault(object.key) === undefined) yield object;
  }
}
