/** Row 42 of the fault matrix: buckets that keep versions, and what a lock keeps. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startS3, type S3Server } from '../../parts/s3-server.ts';
import type { S3Spec } from '../../src/domain/specs.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { all, bytes, gather, never, owner, stageText } from './contract.ts';
import { mebibyte, newSpec, openMarked } from './s3-scratch.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3({ objectLock: true });
});
afterAll(() => server.stop());

let spec: S3Spec;
let repository: Repository;
beforeEach(async () => {
  spec = newSpec(server);
  repository = await openMarked(server, spec);
});

const key = 'infra/logical/a.sql.gz';
const at = (of: string) => ({ Bucket: server.bucket, Key: `${spec.s3.prefix}/${of}` });

async function versions(of: string): Promise<number> {
  const { Versions = [], DeleteMarkers = [] } = await server
    .client()
    .listObjectVersions({ Bucket: server.bucket, Prefix: `${spec.s3.prefix}/${of}` });
  return Versions.length + DeleteMarkers.length;
}

describe('a bucket that keeps versions and takes locks', () => {
  test('keeps nothing of what is removed, nor of what was staged', async () => {
    const large = randomBytes(6 * mebibyte);
    const writer = await repository.stage(key, owner(), never);
    await writer.write(large);
    await repository.publish(await writer.finish());
    await repository.publish(await stageText(repository, 'infra/small', 'content'));
    await repository.put('infra/put', owner(), bytes('content'), never);
    await stageText(repository, 'infra/unpublished', 'content');
    await repository.sweep({ run: 'aaaa1111' });
    expect(await versions('.holdfast-staged')).toBe(0);
    expect(await versions('infra/')).toBe(3);
    for (const each of [key, 'infra/small', 'infra/put']) await repository.remove(each);
    expect(await versions('infra/')).toBe(0);
  });

  test('is rid of what somebody deleted with a marker when it is removed, and gives the name free', async () => {
    await repository.put(key, owner(), bytes('first'), never);
    await server.client().deleteObject(at(key));
    expect(await repository.size(key)).toBeUndefined();
    expect(await versions(key)).toBe(2);
    // AWS takes the name for free, this server doesn't.
    await expect(repository.put(key, owner(), bytes('second'), never)).rejects.toMatchObject({
      type: 'StoreUnavailable',
      hint: expect.stringContaining('versions'),
    });
    await repository.remove(key);
    expect([await versions(key), await repository.readText(key)]).toEqual([0, undefined]);
    await repository.put(key, owner(), bytes('second'), never);
    expect(await repository.readText(key)).toBe('second');
  });

  test('removes exactly the key, not what begins like it', async () => {
    await repository.put(key, owner(), bytes('a'), never);
    await repository.put(`${key}.more`, owner(), bytes('b'), never);
    await repository.remove(key);
    expect(await repository.readText(`${key}.more`)).toBe('b');
  });

  test('keeps what a retention keeps, and says until when', async () => {
    await repository.put(key, owner(), bytes('kept'), never);
    const RetainUntilDate = new Date('2099-01-01T00:00:00Z');
    await server.client().putObjectRetention({ ...at(key), Retention: { Mode: 'GOVERNANCE', RetainUntilDate } });
    await expect(repository.remove(key)).rejects.toMatchObject({
      type: 'ObjectLocked',
      message: expect.stringMatching(/a\.sql\.gz.*until 2099-01-01/),
    });
    expect(await repository.readText(key)).toBe('kept');
    expect((await all(repository.list('infra/'))).map((object) => object.key)).toEqual([key]);
  });

  test('keeps what a legal hold keeps, until it is lifted', async () => {
    await repository.put(key, owner(), bytes('kept'), never);
    await server.client().putObjectLegalHold({ ...at(key), LegalHold: { Status: 'ON' } });
    await expect(repository.remove(key)).rejects.toMatchObject({
      type: 'ObjectLocked',
      message: expect.stringContaining('legal hold'),
    });
    expect(await repository.readText(key)).toBe('kept');
    await server.client().putObjectLegalHold({ ...at(key), LegalHold: { Status: 'OFF' } });
    await repository.remove(key);
    expect(await versions(key)).toBe(0);
  });

  test('that locks everything for a day takes backups, and hides what was staged', async () => {
    const locking = await startS3({ objectLock: true });
    try {
      await locking.client().putObjectLockConfiguration({
        Bucket: locking.bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 1 } },
        },
      });
      const locked = await openMarked(locking, newSpec(locking));
      const large = randomBytes(6 * mebibyte);
      const writer = await locked.stage(key, owner(), never);
      await writer.write(large);
      await locked.publish(await writer.finish());
      await locked.publish(await stageText(locked, 'infra/small', 'content'));
      await stageText(locked, 'infra/unpublished', 'content');
      expect(await locked.sweep({ run: 'aaaa1111' })).toBe(1);
      expect(await all(locked.listStaged())).toEqual([]);
      expect((await gather(locked.read(key, undefined, never))).equals(large)).toBe(true);
      await expect(locked.remove(key)).rejects.toMatchObject({ type: 'ObjectLocked' });
      expect(await locked.size(key)).toBe(large.length);
    } finally {
      await locking.stop();
    }
  });
});
