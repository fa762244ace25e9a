import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { startS3, type S3Server } from '../../parts/s3-server.ts';
import { markerKey, readmeKey } from '../../src/domain/ids.ts';
import type { S3Spec } from '../../src/domain/specs.ts';
import { initialiseRepository, openRepository } from '../../src/storage/open.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { initialiseS3 } from '../../src/storage/s3/initialise.ts';
import { openS3 } from '../../src/storage/s3/s3.ts';
import { secretReader } from '../../src/worker/secrets.ts';
import { all, bytes, gather, never, owner, sha256, stageText } from './contract.ts';
import { impatient, keysOf, mebibyte, newSpec, now, openMarked } from './s3-scratch.ts';
import { makeScratch } from './scratch.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server.stop());

let spec: S3Spec;
let repository: Repository;
beforeEach(async () => {
  spec = newSpec(server);
  repository = await openMarked(server, spec);
});

const client = () => server.client();
const initialise = (of: S3Spec, more: { readonly evenIfUsed?: boolean } = {}) =>
  initialiseS3(of, keysOf(server), { now, ...impatient, ...more });
const fullKeys = async () =>
  ((await client().listObjectsV2({ Bucket: server.bucket, Prefix: spec.s3.prefix })).Contents ?? []).map(({ Key }) =>
    Key?.slice(spec.s3.prefix.length + 1),
  );
const uploads = async () =>
  ((await client().listMultipartUploads({ Bucket: server.bucket })).Uploads ?? []).filter(({ Key }) =>
    Key?.startsWith(`${spec.s3.prefix}/`),
  );

async function stageLarge(key: string, data: Uint8Array, by = owner()) {
  const writer = await repository.stage(key, by, never);
  await writer.write(data);
  return writer.finish();
}

describe('initialising a bucket', () => {
  test('marks it and leaves a README, once', async () => {
    const fresh = newSpec(server);
    const first = await initialise(fresh);
    expect(first.created).toBe(true);
    expect(await initialise(fresh)).toEqual({ id: first.id, created: false });
    const opened = openS3(fresh, keysOf(server), impatient);
    expect((await opened.check()).id).toBe(first.id);
    expect((await all(opened.list(''))).map(({ key }) => key)).toEqual([readmeKey, markerKey]);
    expect(await opened.readText(readmeKey)).toContain('zcat');
  });

  test('by many at the same time gives all the same id', async () => {
    const fresh = newSpec(server);
    const made = await Promise.all(Array.from({ length: 6 }, () => initialise(fresh)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(made.filter(({ created }) => created)).toHaveLength(1);
  });

  test.each([
    [readmeKey, readmeKey],
    ['infra/logical/a.manifest.json', 'a.manifest.json'],
    ['.holdfast-staged/run.1.00000000/ticket/infra/a', 'unfinished infra/a'],
  ])('refuses one that has no marker but holds %s, unless it is told to', async (key, said) => {
    const fresh = newSpec(server);
    await client().putObject({ Bucket: server.bucket, Key: `${fresh.s3.prefix}/${key}`, Body: 'x' });
    await expect(initialise(fresh)).rejects.toMatchObject({
      type: 'StoreNotMounted',
      message: expect.stringContaining(said),
    });
    expect((await initialise(fresh, { evenIfUsed: true })).created).toBe(true);
  });

  test('takes one that holds dumps of somebody else', async () => {
    const fresh = newSpec(server);
    const Key = `${fresh.s3.prefix}/postgres-backup-20261121-020000.sql.gz`;
    await client().putObject({ Bucket: server.bucket, Key, Body: 'x' });
    expect((await initialise(fresh)).created).toBe(true);
  });

  test('does not make a bucket', async () => {
    const missing = newSpec({ ...server, bucket: 'nowhere' });
    const refused = { type: 'StoreNotMounted', message: expect.stringContaining('no bucket nowhere') };
    await expect(initialise(missing)).rejects.toMatchObject(refused);
    await expect(openS3(missing, keysOf(server), impatient).check()).rejects.toMatchObject(refused);
  });
});

describe('a repository in a bucket', () => {
  test('is nothing without its marker', async () => {
    const unmarked = openS3(newSpec(server), keysOf(server), impatient);
    const refused = { type: 'StoreNotMounted', hint: expect.stringContaining('repositories init') };
    await expect(unmarked.check()).rejects.toMatchObject(refused);
    await expect(unmarked.stage('k', owner(), never)).rejects.toMatchObject(refused);
    await expect(unmarked.put('k', owner(), bytes('x'), never)).rejects.toMatchObject(refused);
    await expect(unmarked.size('k')).rejects.toMatchObject(refused);
    await expect(all(unmarked.list(''))).rejects.toMatchObject(refused);
    await expect(unmarked.remove('k')).rejects.toMatchObject(refused);
    await expect(unmarked.sweep({ run: 'a' })).rejects.toMatchObject(refused);
  });

  test('is refused when another one lies there than before', async () => {
    await repository.check();
    await client().deleteObject({ Bucket: server.bucket, Key: `${spec.s3.prefix}/${markerKey}` });
    await initialise(spec, { evenIfUsed: true });
    await expect(repository.check()).rejects.toMatchObject({ type: 'StoreNotMounted' });
    await expect(repository.put('k', owner(), bytes('x'), never)).rejects.toMatchObject({ type: 'StoreNotMounted' });
  });

  test('shares a bucket with others, and touches nothing of theirs', async () => {
    const neighbour = newSpec(server, { prefix: `${spec.s3.prefix}2` });
    const other = await openMarked(server, neighbour);
    await other.put('k', owner(), bytes('theirs'), never);
    await stageText(other, 'staged', 'theirs');
    const CreateUpload = { Bucket: server.bucket, Key: `${neighbour.s3.prefix}/large` };
    const { UploadId } = await client().createMultipartUpload(CreateUpload);
    await stageText(repository, 'staged', 'ours');
    expect(await repository.sweep({ run: 'aaaa1111' })).toBe(1);
    expect((await all(repository.list(''))).map(({ key }) => key)).toEqual([readmeKey, markerKey]);
    expect(await other.readText('k')).toBe('theirs');
    expect(await all(other.listStaged())).toHaveLength(1);
    await client().abortMultipartUpload({ ...CreateUpload, UploadId });
  });

  test('may be a whole bucket', async () => {
    const Bucket = 'whole-bucket';
    await client().createBucket({ Bucket });
    const whole = await openMarked(server, newSpec({ ...server, bucket: Bucket }, { prefix: '' }));
    await whole.publish(await stageText(whole, 'infra/a', 'content'));
    expect((await all(whole.list(''))).map(({ key }) => key)).toEqual([readmeKey, markerKey, 'infra/a']);
    expect(whole.description).toBe('s3://whole-bucket');
    expect(await all(whole.listStaged())).toEqual([]);
  });

  test('refuses a key that is too long with its prefix', async () => {
    const long = Array.from({ length: 10 }, () => 'x'.repeat(100)).join('/');
    await expect(repository.put(long.slice(0, 940), owner(), bytes('x'), never)).rejects.toMatchObject({
      type: 'InvalidArgument',
      message: expect.stringContaining('prefix'),
    });
  });

  test('writes a large object once, to its final key, and nothing shows before', async () => {
    const data = randomBytes(11 * mebibyte);
    const staged = await stageLarge('infra/a', data);
    expect(staged.token.length).toBeLessThan(300);
    expect((await fullKeys()).filter((key) => !key?.startsWith('.'))).toEqual([readmeKey, markerKey]);
    expect(await uploads()).toHaveLength(1);
    expect(await all(repository.listStaged())).toMatchObject([{ key: 'infra/a', bytes: data.length }]);
    await repository.publish(staged);
    const head = await client().headObject({ Bucket: server.bucket, Key: `${spec.s3.prefix}/infra/a` });
    expect(head.ETag).toMatch(/^"[0-9a-f]{32}-3"$/);
    expect(await fullKeys()).toEqual([readmeKey, markerKey, 'infra/a'].sort());
    expect(await uploads()).toEqual([]);
  });

  test('takes back parts that were uploaded, to the byte', async () => {
    const size = fc.integer({ min: 1, max: 7 * mebibyte });
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const), size }) },
      fc.record({ kind: fc.constant('mark' as const) }),
      fc.record({ kind: fc.constant('rollback' as const) }),
    );
    const noise = randomBytes(7 * mebibyte + 100);
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 12 }), async (steps) => {
        turn += 1;
        const key = `rolled/${String(turn)}`;
        const writer = await repository.stage(key, owner(), never);
        let kept: Uint8Array[] = [];
        let pieces: Uint8Array[] = [];
        for (const [i, each] of steps.entries()) {
          if (each.kind === 'mark') {
            writer.mark();
            kept = [...pieces];
          } else if (each.kind === 'rollback') {
            await writer.rollback();
            pieces = [...kept];
          } else {
            const piece = noise.subarray(i, i + each.size);
            await writer.write(piece);
            pieces.push(piece);
          }
        }
        const expected = Buffer.concat(pieces);
        const staged = await writer.finish();
        expect(staged).toMatchObject({ bytes: expected.length, sha256: sha256(expected) });
        await repository.publish(staged);
        expect((await gather(repository.read(key, undefined, never))).equals(expected)).toBe(true);
        expect(await uploads()).toEqual([]);
      }),
      { numRuns: 8 },
    );
  });

  test('stages a small object after rollbacks took back a large one', async () => {
    const writer = await repository.stage('k', owner(), never);
    await writer.write(randomBytes(12 * mebibyte));
    await writer.rollback();
    await writer.write(bytes('small'));
    await repository.publish(await writer.finish());
    expect(await repository.readText('k')).toBe('small');
    expect(await uploads()).toEqual([]);
  });

  test('fences off a large upload that was swept while it was written', async () => {
    const zombie = await repository.stage('k', owner('aaaa1111', 1), never);
    await zombie.write(randomBytes(6 * mebibyte));
    expect(await repository.sweep({ run: 'aaaa1111', attempt: 1 })).toBe(1);
    const late = zombie
      .write(randomBytes(6 * mebibyte))
      .then(() => zombie.finish())
      .then((staged) => repository.publish(staged));
    // Of a part that is on its way while its upload is thrown away, a store may say anything.
    await expect(late).rejects.toMatchObject({ type: expect.stringMatching(/ObjectDamaged|StoreUnavailable/) });
    await zombie.abort();
    expect(await repository.size('k')).toBeUndefined();
    expect([await uploads(), await all(repository.listStaged())]).toEqual([[], []]);
  });

  test('fences off an upload that begins only after it was swept', async () => {
    const zombie = await repository.stage('k', owner('aaaa1111', 1), never);
    await repository.sweep({ run: 'aaaa1111', attempt: 1 });
    await zombie.write(randomBytes(6 * mebibyte));
    const staged = await zombie.finish();
    await expect(repository.publish(staged)).rejects.toMatchObject({ type: 'ObjectDamaged' });
    expect(await repository.size('k')).toBeUndefined();
    expect(await all(repository.listStaged())).toMatchObject([{ key: 'k', run: 'aaaa1111' }]);
    await repository.sweep({ run: 'aaaa1111' });
    expect([await uploads(), await all(repository.listStaged())]).toEqual([[], []]);
  });

  describe('sweeps an upload that its writer began and had no time to write down', () => {
    const begin = async (key: string) =>
      (await client().createMultipartUpload({ Bucket: server.bucket, Key: `${spec.s3.prefix}/${key}` })).UploadId;

    test('by its ticket', async () => {
      await repository.stage('infra/a', owner('dead'), never);
      await begin('infra/a');
      const foreign = await begin('infra/foreign');
      expect(await all(repository.listStaged())).toMatchObject([{ key: 'infra/a', run: 'dead', bytes: 0 }]);
      expect(await repository.sweep({ run: 'dead' })).toBe(1);
      expect((await uploads()).map(({ UploadId }) => UploadId)).toEqual([foreign]);
    });

    test('but not while it may be that of another writer of the same key', async () => {
      await repository.stage('infra/a', owner('dead'), never);
      const living = await repository.stage('infra/a', owner('living'), never);
      const unclaimed = await begin('infra/a');
      await repository.sweep({ run: 'dead' });
      expect((await uploads()).map(({ UploadId }) => UploadId)).toEqual([unclaimed]);
      await living.write(randomBytes(6 * mebibyte));
      await repository.publish(await living.finish());
      expect(await uploads()).toEqual([]);
      expect(await repository.size('infra/a')).toBe(6 * mebibyte);
    });

    test('and leaves the upload of another writer of the same key alone', async () => {
      await repository.stage('infra/a', owner('dead'), never);
      await begin('infra/a');
      const living = await repository.stage('infra/a', owner('living'), never);
      await living.write(randomBytes(6 * mebibyte));
      await repository.sweep({ run: 'dead' });
      await repository.publish(await living.finish());
      expect(await repository.size('infra/a')).toBe(6 * mebibyte);
    });
  });

  test('goes on over a restart of the store', async () => {
    const data = randomBytes(11 * mebibyte);
    const patient = openS3(spec, keysOf(server), { ...impatient, attempts: 10 });
    const writer = await patient.stage('k', owner(), never);
    await writer.write(data.subarray(0, 6 * mebibyte));
    await server.restart();
    await writer.write(data.subarray(6 * mebibyte));
    const staged = await writer.finish();
    await server.restart();
    await patient.publish(staged);
    expect((await gather(repository.read('k', undefined, never))).equals(data)).toBe(true);
  });
});

test('a repository is opened by its kind, with secrets out of files that rotate', async () => {
  const scratch = makeScratch();
  try {
    const secrets = join(scratch.directory, 'secrets/s3-creds');
    await mkdir(secrets, { recursive: true });
    const write = () => {
      writeFileSync(join(secrets, 'ACCESS_KEY_ID'), `${server.accessKeyId}\n`);
      writeFileSync(join(secrets, 'SECRET'), server.secretAccessKey);
    };
    write();
    const read = secretReader({ HOLDFAST_SECRETS: join(scratch.directory, 'secrets') });
    const credentials = {
      accessKeyId: { secret: 's3-creds', key: 'ACCESS_KEY_ID' },
      secretAccessKey: { secret: 's3-creds', key: 'SECRET' },
      sessionToken: null,
    };
    const s3Spec = newSpec(server, { credentials });
    await initialiseRepository(s3Spec, read, { now });
    const opened = openRepository(s3Spec, read);
    await opened.put('k', owner(), bytes('content'), never);
    await server.rotate();
    write();
    expect(await opened.readText('k')).toBe('content');
    rmSync(secrets, { recursive: true });
    await expect(openRepository(s3Spec, read).check()).rejects.toMatchObject({
      type: 'ConfigurationInvalid',
      message: expect.stringContaining('s3-creds/ACCESS_KEY_ID'),
      hint: expect.stringContaining('mount Secret s3-creds'),
    });

    const directory = { name: 'nas', directory: join(scratch.directory, 'backup') };
    await mkdir(directory.directory);
    const { id } = await initialiseRepository(directory, read, { now });
    const nas = openRepository(directory, read);
    expect((await nas.check()).id).toBe(id);
    await nas.put('k', owner(), bytes('content'), never);
    expect(await readFile(nas.localPath('k') ?? '', 'utf8')).toBe('content');
  } finally {
    scratch.close();
  }
});
