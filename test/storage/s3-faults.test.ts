/**
 * What a store, and what lies between, can do wrong.
 *
 * | row of the fault matrix | test below |
 * | --- | --- |
 * | 29, 30 | 503 and 500: "a burst of 503", "a 500 at any one call", "500s without end at any one call" |
 * | 31 | "a 200 with an error in it …" |
 * | 32 | "a connection that breaks in the middle of a part" |
 * | 33, 34 | "a store that says nothing", "a store that takes 1 KB a second", "an answer at a trickle" |
 * | 35 | "a part, or an object, of which only the beginning arrives" |
 * | 36, 37, 38 | "an answer that is cut", "other bytes in an answer", "a flipped bit", "an object of 0 bytes" |
 * | 39, 40 | "two writers of one key", "a store that ignores If-None-Match" |
 * | 41, 42, 43 | "a listing …"; 42 is in s3-versions.test.ts; "a deletion that is refused" |
 * | 44 | "more parts than the limit" |
 * | 45, 60 | "keys that are rotated", "a clock that differs" |
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startFront, type MisbehavingFront, type Rule } from '../../parts/misbehaving-front.ts';
import { startS3, type S3Server } from '../../parts/s3-server.ts';
import type { S3Spec } from '../../src/domain/specs.ts';
import type { Repository, Staged } from '../../src/storage/repository.ts';
import type { S3Options } from '../../src/storage/s3/connection.ts';
import { openS3 } from '../../src/storage/s3/s3.ts';
import { verify } from '../../src/streams/verified.ts';
import { all, bytes, gather, never, owner, sha256 } from './contract.ts';
import { impatient, keysOf, mebibyte, newSpec, openMarked, smallestPart } from './s3-scratch.ts';

let server: S3Server;
let front: MisbehavingFront;
beforeAll(async () => {
  server = await startS3();
  front = await startFront(server);
});
afterAll(async () => {
  await front.stop();
  await server.stop();
});

/** Of two parts. */
const content = randomBytes(6 * mebibyte);
const key = 'infra/logical/a.sql.gz';

let spec: S3Spec;
/** Through the front. */
let repository: Repository;
beforeEach(async () => {
  front.behave();
  spec = newSpec({ ...server, endpoint: front.endpoint });
  repository = await openMarked(server, spec);
  await repository.check();
  await repository.put('infra/logical/older.sql.gz', owner('older'), bytes('older'), never);
  front.behave();
});

async function stage(attempt = 1, data: Uint8Array = content, to: Repository = repository): Promise<Staged> {
  const writer = await to.stage(key, owner('aaaa1111', attempt), never);
  try {
    for (let at = 0; at < data.length; at += mebibyte) await writer.write(data.subarray(at, at + mebibyte));
    return await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

const run = async (attempt = 1, to = repository) => to.publish(await stage(attempt, content, to));
/** Gives a silent store up at once. */
const hasty = (more: S3Options = {}) =>
  openS3(spec, keysOf(server), { ...impatient, idleTimeoutMs: 300, completeTimeoutMs: 300, ...more });
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as { readonly type?: string }).type ?? String(error),
  );
const misbehave = (operation: string, does: Rule['does'], more: Partial<Rule> = {}) => {
  front.misbehave({ operation, does, ...more });
};
const failing = (status: number, code: string): Rule['does'] => ({ kind: 'answer', status, code });

/** What must hold after every fault. */
async function afterwards(): Promise<void> {
  front.behave();
  const size = await repository.size(key);
  if (size !== undefined) expect((await gather(repository.read(key, undefined, never))).equals(content)).toBe(true);
  await repository.sweep({ run: 'aaaa1111' });
  expect(await all(repository.listStaged())).toEqual([]);
  const { Uploads = [] } = await server.client().listMultipartUploads({ Bucket: server.bucket });
  expect(Uploads.filter(({ Key }) => Key?.startsWith(spec.s3.prefix))).toEqual([]);
  await run(2);
  expect(await visible()).toEqual([key, 'infra/logical/older.sql.gz']);
  expect((await gather(repository.read(key, undefined, never))).equals(content)).toBe(true);
  expect(await repository.readText('infra/logical/older.sql.gz')).toBe('older');
  const { Contents = [] } = await server.client().listObjectsV2({ Bucket: server.bucket, Prefix: spec.s3.prefix });
  expect(Contents.filter(({ Key }) => Key?.includes('/.holdfast-staged'))).toEqual([]);
}

const visible = async (of = repository) => (await all(of.list('infra/'))).map((object) => object.key);

describe('a repository in a bucket gets over', () => {
  test('a burst of 503 SlowDown', async () => {
    misbehave('UploadPart', failing(503, 'SlowDown'), { times: 2 });
    expect(await outcome(run())).toBe('done');
    await afterwards();
  });

  test('503 SlowDown without end, with an error that says what to do', async () => {
    misbehave('UploadPart', failing(503, 'SlowDown'));
    await expect(run()).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: expect.stringMatching(/part 1 of .*a\.sql\.gz.*503 SlowDown/),
      hint: expect.stringContaining('fewer policies'),
    });
    await afterwards();
  });

  describe('500', () => {
    let calls = 0;
    const whole = async () => {
      await run();
      await gather(repository.read(key, undefined, never));
    };
    beforeAll(async () => {
      front.behave();
      spec = newSpec({ ...server, endpoint: front.endpoint });
      repository = await openMarked(server, spec);
      await repository.check();
      front.behave();
      await whole();
      calls = new Set(front.seen.map(({ invocation }) => invocation)).size;
    });

    test('once at any one call of a run', async () => {
      expect(calls).toBeGreaterThan(12);
      for (let turn = 1; turn <= calls; turn += 1) {
        front.behave();
        front.misbehave({ turn, times: 1, does: failing(500, 'InternalError') });
        expect([turn, await outcome(whole())]).toEqual([turn, 'done']);
        front.behave();
        expect(await all(repository.listStaged())).toEqual([]);
        await repository.remove(key);
      }
      await afterwards();
    });

    test('without end at any one call of a run', async () => {
      const outcomes = new Set<string>();
      for (let turn = 1; turn <= calls; turn += 1) {
        front.behave();
        front.misbehave({ turn, does: failing(500, 'InternalError') });
        outcomes.add(await outcome(whole()));
        await afterwards();
        await repository.remove(key);
      }
      // Some calls only clean up: a backup doesn't fail for those.
      expect([...outcomes].sort()).toEqual(['StoreUnavailable', 'done']);
    });

    test('at any one call of a sweep, which the next one finishes', async () => {
      front.behave();
      await stage();
      await repository.sweep({ run: 'aaaa1111' });
      const sweeping = new Set(front.seen.map(({ invocation }) => invocation)).size;
      for (let turn = 1; turn <= sweeping; turn += 1) {
        await stage();
        front.behave();
        front.misbehave({ turn, does: failing(500, 'InternalError') });
        await outcome(repository.sweep({ run: 'aaaa1111' }));
        front.behave();
        await repository.sweep({ run: 'aaaa1111' });
        expect(await all(repository.listStaged())).toEqual([]);
      }
      await afterwards();
    });
  });

  test.each([
    ['as S3 writes it', '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code></Error>'],
    ['with a line feed behind it', '<?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>\n'],
    ['that is empty', ''],
    ['that is no XML', 'Bad gateway'],
  ])('a 200 with an error in it when an upload is completed, %s', async (_, body) => {
    const staged = await stage();
    misbehave('CompleteMultipartUpload', { kind: 'answer', status: 200, code: '', body });
    expect(await outcome(repository.publish(staged))).toBe('StoreUnavailable');
    front.behave();
    expect(await repository.size(key)).toBeUndefined();
    expect(await outcome(repository.publish(staged))).toBe('done');
    await afterwards();
  });

  test('a connection that breaks in the middle of a part', async () => {
    misbehave('UploadPart', { kind: 'reset', afterBytes: 2 * mebibyte }, { times: 2 });
    expect(await outcome(run())).toBe('done');
    await afterwards();
  });

  test('a store that says nothing, once', async () => {
    misbehave('UploadPart', { kind: 'blackhole' }, { times: 1 });
    expect(await outcome(run(1, hasty({ idleTimeoutMs: 3_000, completeTimeoutMs: 20_000 })))).toBe('done');
    await afterwards();
  });

  test.each(['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'ListParts', 'HeadObject'])(
    'a store that says nothing any more at %s, in bounded time',
    async (operation) => {
      misbehave(operation, { kind: 'blackhole' });
      expect(await outcome(run(1, hasty()))).toBe('StoreUnavailable');
      await afterwards();
    },
  );

  test('a store that takes 1 KB a second: it holds back, holds four parts at most, and can be cancelled', async () => {
    const patient = openS3(spec, keysOf(server), { ...impatient, idleTimeoutMs: 60_000 });
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const writer = await patient.stage(key, owner(), controller.signal);
    misbehave('UploadPart', { kind: 'stall' });
    let written = 0;
    const writing = (async () => {
      for (;;) {
        await writer.write(content.subarray(0, mebibyte));
        written += mebibyte;
      }
    })();
    const stopped = expect(writing).rejects.toBe(reason);
    // The event loop turns meanwhile: heartbeats go on.
    let before = -1;
    while (written !== before || written === 0) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(written).toBeLessThanOrEqual(4 * smallestPart);
    controller.abort(reason);
    await stopped;
    front.behave();
    await writer.abort();
    expect(await all(repository.listStaged())).toEqual([]);
    await afterwards();
  });

  test('an answer at a trickle, which can be cancelled', async () => {
    await run();
    misbehave('GetObject', { kind: 'trickle', bytesPerSecond: 1_000 });
    const controller = new AbortController();
    const reason = new Error('cancelled');
    const reading = repository.read(key, undefined, controller.signal)[Symbol.asyncIterator]();
    const first = await reading.next();
    expect((first.value as Uint8Array).length).toBeLessThan(10_000);
    controller.abort(reason);
    await expect(
      (async () => {
        while ((await reading.next()).done !== true);
      })(),
    ).rejects.toBe(reason);
    await afterwards();
  });

  test('a part of which only the beginning arrives', async () => {
    misbehave('UploadPart', { kind: 'cut the body', bytes: mebibyte, forged: false }, { times: 2 });
    expect(await outcome(run())).toBe('done');
    await afterwards();
  });

  test('a part of which only the beginning ever arrives', async () => {
    misbehave('UploadPart', { kind: 'cut the body', bytes: mebibyte, forged: false });
    await expect(run()).rejects.toMatchObject({ message: expect.stringContaining('other bytes') });
    await afterwards();
  });

  test('a part of which only the beginning arrives, with an answer that denies it', async () => {
    misbehave('UploadPart', { kind: 'cut the body', bytes: 1_000, forged: true });
    const staged = await stage();
    await expect(repository.publish(staged)).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining(key),
    });
    expect(await repository.size(key)).toBeUndefined();
    await afterwards();
  });

  test('a small object of which only the beginning arrives, with an answer that denies it', async () => {
    misbehave('PutObject', { kind: 'cut the body', bytes: 3, forged: true }, { key: /\.manifest\.json$/ });
    const staged = await repository.stageSmall('infra/a.manifest.json', owner(), bytes('{"version":1}'), never);
    expect(await outcome(repository.publish(staged))).toBe('ObjectDamaged');
    expect(await outcome(repository.readStagedText(staged))).toBe('ObjectDamaged');
    const put = repository.put('infra/b.manifest.json', owner(), bytes('{"version":1}'), never);
    expect(await outcome(put)).toBe('ObjectDamaged');
    expect(await visible()).toEqual(['infra/logical/older.sql.gz']);
    await afterwards();
  });

  test('an answer that is cut, by reading on from there', async () => {
    await run();
    const cut = (body: Buffer) => body.subarray(0, Math.ceil(body.length / 2));
    misbehave('GetObject', { kind: 'edit', honest: false, edit: cut }, { key: /a\.sql\.gz$/, times: 3 });
    expect((await gather(repository.read(key, undefined, never))).equals(content)).toBe(true);
    misbehave('GetObject', { kind: 'edit', honest: true, edit: cut }, { key: /a\.sql\.gz$/, times: 3 });
    const range = { offset: 1_000, length: 2_000_000 };
    const part = await gather(repository.read(key, range, never));
    expect(part.equals(content.subarray(1_000, 2_001_000))).toBe(true);
    await afterwards();
  });

  test('answers that break at their first byte, with an error', async () => {
    await run();
    misbehave('GetObject', { kind: 'edit', honest: false, edit: () => Buffer.alloc(0) }, { key: /a\.sql\.gz$/ });
    expect(await outcome(gather(repository.read(key, undefined, never)))).toBe('StoreUnavailable');
    await afterwards();
  });

  test('other bytes in an answer, when they are read against their digest', async () => {
    await run();
    const flip = (body: Buffer) => {
      body[4_711] = (body[4_711] ?? 0) ^ 1;
      return body;
    };
    misbehave('GetObject', { kind: 'edit', honest: true, edit: flip }, { key: /a\.sql\.gz$/ });
    const wanted = { name: key, bytes: content.length, sha256: sha256(content) };
    expect(await outcome(verify(repository.read(key, undefined, never), wanted))).toBe('ObjectDamaged');
    await afterwards();
  });

  test('a flipped bit and an object of 0 bytes in the store', async () => {
    await run();
    const path = join(server.directory, spec.s3.prefix, key);
    const stored = readFileSync(path);
    stored[4_711] = (stored[4_711] ?? 0) ^ 1;
    writeFileSync(path, stored);
    const wanted = { name: key, bytes: content.length, sha256: sha256(content) };
    expect(await outcome(verify(repository.read(key, undefined, never), wanted))).toBe('ObjectDamaged');
    truncateSync(path, 0);
    const range = { offset: 0, length: content.length };
    await expect(gather(repository.read(key, range, never))).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining('only 0 bytes long'),
    });
    expect(await outcome(verify(repository.read(key, undefined, never), wanted))).toBe('ObjectDamaged');
    expect(await all(repository.list('infra/logical/a'))).toMatchObject([{ bytes: 0 }]);
    expect(await outcome(run(2))).toBe('NameTaken');
    await repository.remove(key);
    await afterwards();
  });

  test('two writers of one key: one wins, the other is told, and keeps what it staged', async () => {
    const other = randomBytes(6 * mebibyte);
    const staged = [await stage(1), await stage(2, other), await stage(3, bytes('small'))];
    const outcomes = await Promise.all(staged.map((each) => outcome(repository.publish(each))));
    expect([...outcomes].sort()).toEqual(['NameTaken', 'NameTaken', 'done']);
    expect(await all(repository.listStaged())).toHaveLength(2);
    await repository.sweep({ run: 'aaaa1111' });
    await repository.remove(key);
    await afterwards();
  });

  test('a store that ignores If-None-Match, by saying so and by looking first', async () => {
    front.misbehave({ does: { kind: 'strip', header: 'if-none-match' } });
    const again = openS3(spec, keysOf(server), impatient);
    expect((await again.check()).warnings).toEqual([expect.stringContaining('ignores If-None-Match')]);
    await again.publish(await stage(1, content, again));
    expect(await outcome(again.publish(await stage(2, randomBytes(6 * mebibyte), again)))).toBe('NameTaken');
    expect(await outcome(again.put(key, owner(), bytes('other'), never))).toBe('NameTaken');
    await again.publish(await stage(3, content, again));
    await afterwards();
  });

  test('credentials that may only read, which can not try whether If-None-Match is honoured', async () => {
    misbehave('PutObject', failing(403, 'AccessDenied'));
    const again = openS3(spec, keysOf(server), impatient);
    expect((await again.check()).warnings).toEqual([expect.stringContaining('could not be tried')]);
    await expect(again.put('infra/x', owner(), bytes('x'), never)).rejects.toMatchObject({
      type: 'StoreUnavailable',
      hint: expect.stringContaining('s3:PutObject'),
    });
    await afterwards();
  });

  test('a listing in pages', async () => {
    const paged = openS3(spec, keysOf(server), { ...impatient, pageSize: 2 });
    const keys = Array.from({ length: 7 }, (_, i) => `infra/many/${String(i)}`);
    for (const each of keys) await repository.put(each, owner(), bytes(each), never);
    expect((await all(paged.list('infra/many/'))).map((object) => object.key)).toEqual(keys);
    await paged.publish(await stage(1, content, paged));
    for (const each of ['one', 'two', 'three']) await paged.stageSmall(each, owner(), bytes(each), never);
    expect(await all(paged.listStaged())).toHaveLength(3);
    for (const each of keys) await paged.remove(each);
    await afterwards();
  });

  test('a listing that does not show an object: it can neither be overwritten nor is it taken for gone', async () => {
    await run();
    const hide = (body: Buffer) =>
      Buffer.from(body.toString().replaceAll(/<Contents>(?:(?!<\/Contents>).)*a\.sql\.gz.*?<\/Contents>/gs, ''));
    misbehave('ListObjectsV2', { kind: 'edit', honest: true, edit: hide });
    expect(await visible()).toEqual(['infra/logical/older.sql.gz']);
    expect(await repository.size(key)).toBe(content.length);
    expect(await outcome(repository.put(key, owner(), bytes('other'), never))).toBe('NameTaken');
    await afterwards();
  });

  test('a listing that never ends, with an error', async () => {
    const loop = (body: Buffer) => Buffer.from(body.toString().replace('<IsTruncated>false', '<IsTruncated>true'));
    misbehave('ListObjectsV2', { kind: 'edit', honest: true, edit: loop });
    expect(await outcome(visible())).toBe('StoreUnavailable');
    await afterwards();
  });

  test('a deletion that is refused, after which it is still there', async () => {
    await run();
    misbehave('DeleteObject', failing(403, 'AccessDenied'), { key: /a\.sql\.gz$/ });
    await expect(repository.remove(key)).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: expect.stringContaining(key),
      hint: expect.stringContaining('s3:DeleteObject'),
    });
    await repository.remove('infra/logical/nothing');
    expect(await visible()).toEqual([key, 'infra/logical/older.sql.gz']);
    await afterwards();
  });

  test('more parts than the limit, with bigger parts or an error that names it', async () => {
    const small = openS3({ ...spec, s3: { ...spec.s3, maxParts: 2 } }, keysOf(server), impatient);
    const writing = (async () => {
      const writer = await small.stage(key, owner(), never);
      try {
        for (let i = 0; i < 11; i += 1) await writer.write(content.subarray(0, mebibyte));
      } finally {
        await writer.abort();
      }
    })();
    await expect(writing).rejects.toMatchObject({
      type: 'StoreFull',
      message: expect.stringMatching(/2 parts of 5242880 bytes/),
      hint: expect.stringContaining('partSize'),
    });
    const growing = openS3({ ...spec, s3: { ...spec.s3, maxParts: 2, partSize: null } }, keysOf(server), impatient);
    const long = Buffer.concat([content, content, content, content]);
    await growing.publish(await stage(1, long, growing));
    expect((await gather(repository.read(key, undefined, never))).equals(long)).toBe(true);
    await repository.remove(key);
    await afterwards();
  });

  test('keys that are rotated in the middle of an upload', async () => {
    const writer = await repository.stage(key, owner(), never);
    await writer.write(content.subarray(0, 5 * mebibyte));
    await server.rotate();
    await writer.write(content.subarray(5 * mebibyte));
    const staged = await writer.finish();
    await server.rotate();
    await repository.publish(staged);
    await afterwards();
  });

  test('keys that are wrong, with an error that tells nothing of them', async () => {
    const wrong = openS3(spec, ({ env }) => Promise.resolve(`wrong-${env ?? ''}`), impatient);
    const failure = await wrong.check().then(
      () => undefined,
      (error: unknown) => error as { readonly type: string; readonly hint: string },
    );
    expect(failure).toMatchObject({ type: 'StoreUnavailable', hint: expect.stringContaining('credentials') });
    expect(inspect(failure)).not.toMatch(/wrong-/);
  });

  test('a clock that differs, once, or with an error that says so', async () => {
    const headers = { date: new Date(Date.now() + 7_200_000).toUTCString() };
    misbehave('UploadPart', { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed', headers }, { times: 1 });
    const patient = openS3(spec, keysOf(server), { ...impatient, attempts: 10 });
    expect(await outcome(stage(1, content, patient).then((staged) => patient.publish(staged)))).toBe('done');
    misbehave('UploadPart', failing(403, 'RequestTimeTooSkewed'));
    await repository.remove(key);
    await expect(run()).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: expect.stringContaining('clock'),
      hint: expect.stringContaining('NTP'),
    });
    await afterwards();
  });

  test.each(['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'])(
    'an answer to %s that is lost',
    async (operation) => {
      misbehave(operation, { kind: 'lose the answer' }, { times: 1 });
      expect(await outcome(run())).toBe('done');
      expect(await repository.sweep({ run: 'aaaa1111' })).toBe(0);
      await afterwards();
    },
  );

  test('answers to an upload’s completion that are all lost', async () => {
    misbehave('CompleteMultipartUpload', { kind: 'lose the answer' });
    expect(await outcome(run())).toBe('done');
    await afterwards();
  });

  test('another write of the same key that is under way, by trying again', async () => {
    misbehave('CompleteMultipartUpload', failing(409, 'ConditionalRequestConflict'), { times: 2 });
    expect(await outcome(run())).toBe('done');
    await repository.remove(key);
    misbehave('CompleteMultipartUpload', failing(409, 'ConditionalRequestConflict'));
    expect(await outcome(run(3))).toBe('StoreUnavailable');
    await afterwards();
  });

  test.each([
    [failing(507, 'InsufficientStorage'), 'StoreFull', /quota/],
    [failing(403, 'QuotaExceeded'), 'StoreFull', /quota/],
    [failing(404, 'NoSuchBucket'), 'StoreNotMounted', /bucket/],
    [{ ...failing(301, 'PermanentRedirect'), headers: { 'x-amz-bucket-region': 'gra' } }, 'StoreUnavailable', /gra/],
  ] as const)('%j, with an error of its own', async (does, type, hint) => {
    misbehave('UploadPart', does);
    await expect(run()).rejects.toMatchObject({ type, hint: expect.stringMatching(hint) });
    await afterwards();
  });
});
