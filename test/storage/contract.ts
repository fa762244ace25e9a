import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { markerKey } from '../../src/domain/ids.ts';
import type { Repository, Staged } from '../../src/storage/repository.ts';

export interface OpenedRepository {
  readonly repository: Repository;
  /** Removes the repository and all that it holds. */
  close(): Promise<void>;
}

export const never = new AbortController().signal;
export const owner = (run = 'aaaa1111', attempt = 1) => ({ run, attempt });
export const bytes = (text: string) => new TextEncoder().encode(text);
export const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

export async function gather(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

export async function stageText(repository: Repository, key: string, text: string, by = owner()): Promise<Staged> {
  const writer = await repository.stage(key, by, never);
  await writer.write(bytes(text));
  return writer.finish();
}

const notKeys = [
  '',
  '/',
  '/etc/passwd',
  '../x',
  'a/../b',
  'a/..',
  './a',
  'a//b',
  'a/',
  '.hidden',
  'a/.hidden/b',
  'a\\b',
  'a\0b',
  'a\nb',
  'x'.repeat(181),
  '\ud800',
];

/** What every repository promises. One call per kind. */
export function describeRepository(name: string, open: () => Promise<OpenedRepository>): void {
  describe(`${name}, as every repository,`, () => {
    let opened: OpenedRepository;
    let repository: Repository;
    const objects = async (prefix = '') =>
      (await all(repository.list(prefix)))
        .map(({ key }) => key)
        .filter((key) => key !== markerKey && !key.startsWith('README'));
    const text = async (key: string) => (await gather(repository.read(key, undefined, never))).toString();

    beforeEach(async () => {
      opened = await open();
      repository = opened.repository;
    });
    afterEach(() => opened.close());

    test('has an identity that stays', async () => {
      const first = await repository.check();
      expect(first.id).not.toBe('');
      expect((await repository.check()).id).toBe(first.id);
      expect(repository.description).not.toBe('');
    });

    test('gives back what was put, with size and digest', async () => {
      const stored = await repository.put('infra/logical/a.sql.gz', owner(), bytes('grüße'), never);
      expect(stored).toEqual({ key: 'infra/logical/a.sql.gz', bytes: 7, sha256: sha256('grüße') });
      expect(await text('infra/logical/a.sql.gz')).toBe('grüße');
      expect(await repository.readText('infra/logical/a.sql.gz')).toBe('grüße');
      expect(await repository.size('infra/logical/a.sql.gz')).toBe(7);
      const [listed] = await all(repository.list('infra/'));
      expect(listed).toMatchObject({ key: 'infra/logical/a.sql.gz', bytes: 7 });
      expect(listed?.modifiedAt.getTime()).toBeGreaterThan(0);
    });

    test('keeps empty objects and ones of many chunks', async () => {
      await repository.put('empty', owner(), new Uint8Array(), never);
      expect(await repository.size('empty')).toBe(0);
      expect(await text('empty')).toBe('');
      const noise = randomBytes(3_000_001);
      const writer = await repository.stage('noise', owner(), never);
      for (let at = 0; at < noise.length; at += 70_000) {
        expect(writer.offset).toBe(at);
        const chunk = Buffer.from(noise.subarray(at, at + 70_000));
        await writer.write(chunk);
        chunk.fill(0);
      }
      const staged = await writer.finish();
      expect(staged).toMatchObject({ key: 'noise', bytes: 3_000_001, sha256: sha256(noise) });
      await repository.publish(staged);
      expect((await gather(repository.read('noise', undefined, never))).equals(noise)).toBe(true);
    });

    test('reads exactly the bytes of a range, and never fewer', async () => {
      const noise = randomBytes(1_000_000);
      await repository.put('noise', owner(), noise, never);
      for (const [offset, length] of [
        [0, 1],
        [999_999, 1],
        [123_456, 700_000],
        [500, 0],
        [0, 1_000_000],
      ] as const) {
        const part = await gather(repository.read('noise', { offset, length }, never));
        expect(part.equals(noise.subarray(offset, offset + length))).toBe(true);
      }
      await expect(gather(repository.read('noise', { offset: 999_999, length: 2 }, never))).rejects.toMatchObject({
        type: 'ObjectDamaged',
      });
    });

    test('knows nothing of what is not there', async () => {
      await expect(gather(repository.read('a/b', undefined, never))).rejects.toMatchObject({
        type: 'NoSuchBackup',
        message: expect.stringContaining('a/b'),
      });
      expect(await repository.readText('a/b')).toBeUndefined();
      expect(await repository.size('a/b')).toBeUndefined();
      expect(await objects('a/')).toEqual([]);
      await repository.remove('a/b');
      expect(await repository.sweep({ run: 'aaaa1111' })).toBe(0);
    });

    test('shows nothing of an object before it is published', async () => {
      const writer = await repository.stage('infra/a', owner(), never);
      await writer.write(bytes('half'));
      const invisible = async () => {
        expect(await objects()).toEqual([]);
        expect(await repository.size('infra/a')).toBeUndefined();
        expect(await repository.readText('infra/a')).toBeUndefined();
        await expect(text('infra/a')).rejects.toMatchObject({ type: 'NoSuchBackup' });
      };
      await invisible();
      const staged = await writer.finish();
      await invisible();
      await repository.publish(staged);
      expect(await objects()).toEqual(['infra/a']);
    });

    test('stages a small object in one go, and gives it back before it is published', async () => {
      const staged = await repository.stageSmall('infra/a.json', owner('run-7', 3), bytes('{"grüße":1}'), never);
      expect(staged).toMatchObject({ key: 'infra/a.json', bytes: 13, sha256: sha256('{"grüße":1}') });
      expect(await repository.readStagedText(JSON.parse(JSON.stringify(staged)) as Staged)).toBe('{"grüße":1}');
      expect(await objects()).toEqual([]);
      expect(await all(repository.listStaged())).toMatchObject([
        { key: 'infra/a.json', run: 'run-7', attempt: 3, bytes: 13 },
      ]);
      expect(await repository.publish(staged)).toEqual({ key: staged.key, bytes: 13, sha256: staged.sha256 });
      expect(await text('infra/a.json')).toBe('{"grüße":1}');
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test('does not take one staged text for another', async () => {
      const staged = await repository.stageSmall('a', owner(), bytes('content'), never);
      const altered = { ...staged, sha256: sha256('another') };
      await expect(repository.readStagedText(altered)).rejects.toMatchObject({ type: 'ObjectDamaged' });
    });

    test('leaves nothing staged of a small object that is cancelled', async () => {
      const reason = new Error('cancelled');
      const staging = repository.stageSmall('a', owner(), bytes('content'), AbortSignal.abort(reason));
      await expect(staging).rejects.toBe(reason);
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test.each([0, 1, 10_000_000_000_000])('takes %d for an expected size that is wrong', async (expectedBytes) => {
      const noise = randomBytes(100_000);
      const writer = await repository.stage('k', owner(), never, { expectedBytes });
      await writer.write(noise);
      await repository.publish(await writer.finish());
      expect((await gather(repository.read('k', undefined, never))).equals(noise)).toBe(true);
    });

    test('says where an object lies as a file, or that it lies in none', async () => {
      await repository.put('infra/a', owner(), bytes('content'), never);
      const path = repository.localPath('infra/a');
      if (path !== undefined) expect(readFileSync(path, 'utf8')).toBe('content');
      expect(() => repository.localPath('../a')).toThrow(expect.objectContaining({ type: 'InvalidArgument' }));
    });

    test('publishes once, however often it is told to', async () => {
      const staged = await stageText(repository, 'a', 'content');
      const first = await repository.publish(JSON.parse(JSON.stringify(staged)) as Staged);
      expect(await repository.publish(staged)).toEqual(first);
      expect(await text('a')).toBe('content');
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test('tells how far a publication is, and publishes nothing when it is cancelled', async () => {
      const writer = await repository.stage('k', owner(), never);
      await writer.write(randomBytes(1_000_000));
      const staged = await writer.finish();
      const reason = new Error('cancelled');
      await expect(repository.publish(staged, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      expect(await objects()).toEqual([]);
      const progress: number[] = [];
      await repository.publish(staged, { onProgress: (n) => progress.push(n) });
      expect(progress).toEqual([...progress].sort((a, b) => a - b));
      expect(await objects()).toEqual(['k']);
    });

    test('takes the same bytes of another attempt for the same object', async () => {
      const one = await stageText(repository, 'a', 'content', owner('aaaa1111', 1));
      const two = await stageText(repository, 'a', 'content', owner('aaaa1111', 2));
      await repository.publish(two);
      await repository.publish(one);
      expect(await text('a')).toBe('content');
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test('never overwrites: other bytes under a name that is taken stay staged', async () => {
      await repository.put('a', owner(), bytes('first'), never);
      const staged = await repository.stageSmall('a', owner('bbbb2222'), bytes('other'), never);
      await expect(repository.publish(staged)).rejects.toMatchObject({
        type: 'NameTaken',
        message: expect.stringContaining('a'),
      });
      await expect(repository.publish(staged)).rejects.toMatchObject({ type: 'NameTaken' });
      expect(await text('a')).toBe('first');
      expect(await repository.readStagedText(staged)).toBe('other');
      await expect(repository.put('a', owner('cccc3333'), bytes('third'), never)).rejects.toMatchObject({
        type: 'NameTaken',
      });
      expect((await all(repository.listStaged())).map(({ run }) => run)).toEqual(['bbbb2222']);
    });

    test('lets exactly one of many writers of a key win', async () => {
      const staged = await Promise.all(
        Array.from({ length: 8 }, (_, i) => stageText(repository, 'k', `writer ${String(i)}`, owner('race', i))),
      );
      const results = await Promise.allSettled(staged.map((each) => repository.publish(each)));
      const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
      expect(winners).toHaveLength(1);
      expect(await text('k')).toBe(`writer ${String(winners[0])}`);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ type: 'NameTaken' });
    });

    test('takes back what was written since the last mark, any number of times', async () => {
      const step = fc.oneof(
        fc.record({ kind: fc.constant('write' as const), data: fc.uint8Array({ maxLength: 200 }) }),
        fc.record({ kind: fc.constant('mark' as const) }),
        fc.record({ kind: fc.constant('rollback' as const) }),
      );
      let turn = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          turn += 1;
          const key = `rolled/${String(turn)}`;
          const writer = await repository.stage(key, owner(), never);
          let kept = Buffer.alloc(0);
          let now = kept;
          for (const each of steps) {
            if (each.kind === 'write') {
              await writer.write(each.data);
              now = Buffer.concat([now, each.data]);
            } else if (each.kind === 'mark') {
              writer.mark();
              kept = now;
            } else {
              await writer.rollback();
              now = kept;
            }
            expect(writer.offset).toBe(now.length);
          }
          const staged = await writer.finish();
          expect(staged.sha256).toBe(sha256(now));
          await repository.publish(staged);
          expect((await gather(repository.read(key, undefined, never))).equals(now)).toBe(true);
        }),
        { numRuns: 30 },
      );
    });

    test('sweeps what one attempt or every attempt of a run left, and nothing else', async () => {
      await repository.publish(await stageText(repository, 'x/published', 'p', owner('aaaa1111', 1)));
      await stageText(repository, 'x/one', '1', owner('aaaa1111', 1));
      const open = await repository.stage('x/y/open', owner('aaaa1111', 1), never);
      await open.write(bytes('half'));
      await stageText(repository, 'x/one', '2', owner('aaaa1111', 2));
      await stageText(repository, 'z', '3', owner('aaaa1111', 3));
      await stageText(repository, 'z', 'other', owner('bbbb2222', 1));
      const left = async () =>
        (await all(repository.listStaged())).map(({ key, run, attempt }) => `${run} ${String(attempt)} ${key}`).sort();
      expect(await repository.sweep({ run: 'aaaa1111', attempt: 1 })).toBe(2);
      expect(await left()).toEqual(['aaaa1111 2 x/one', 'aaaa1111 3 z', 'bbbb2222 1 z']);
      expect(await repository.sweep({ run: 'aaaa1111' })).toBe(2);
      expect(await left()).toEqual(['bbbb2222 1 z']);
      expect(await objects()).toEqual(['x/published']);
      await open.abort();
    });

    test('lists what is staged, with sizes and times', async () => {
      await stageText(repository, 'infra/logical/a.sql.gz', 'content', owner('run-7', 12));
      const [listed, ...others] = await all(repository.listStaged());
      expect(others).toEqual([]);
      expect(listed).toMatchObject({ key: 'infra/logical/a.sql.gz', run: 'run-7', attempt: 12, bytes: 7 });
      expect(listed?.modifiedAt.getTime()).toBeGreaterThan(0);
    });

    test('fences off an attempt that was swept while it still wrote', async () => {
      const zombie = await repository.stage('k', owner('aaaa1111', 1), never);
      await zombie.write(bytes('zombie'));
      await repository.sweep({ run: 'aaaa1111', attempt: 1 });
      await repository.publish(await stageText(repository, 'k', 'second attempt', owner('aaaa1111', 2)));
      const outcome = await zombie
        .write(bytes(' goes on'))
        .then(() => zombie.finish())
        .then((staged) => repository.publish(staged))
        .then(
          () => 'published',
          () => 'refused',
        );
      expect(outcome).toBe('refused');
      expect(await text('k')).toBe('second attempt');
    });

    test('says so when what is to be published is gone', async () => {
      const gone = { type: 'ObjectDamaged', message: expect.stringContaining('gone') };
      const written = await stageText(repository, 'k', 'content');
      const small = await repository.stageSmall('s', owner(), bytes('content'), never);
      await repository.sweep({ run: 'aaaa1111' });
      await expect(repository.publish(written)).rejects.toMatchObject(gone);
      await expect(repository.publish(small)).rejects.toMatchObject(gone);
      await expect(repository.readStagedText(small)).rejects.toMatchObject(gone);
    });

    test('keeps nothing of a writer that was aborted, before or after a failure, once or twice', async () => {
      const writer = await repository.stage('k', owner(), never);
      await writer.write(bytes('half'));
      const writing = writer.write(bytes('more'));
      await writer.abort();
      await writing;
      await writer.abort();
      expect(await all(repository.listStaged())).toEqual([]);
      await expect(writer.write(bytes('late'))).rejects.toThrow();
      await expect(writer.finish()).rejects.toThrow();
      await (await repository.stage('unwritten', owner(), never)).abort();
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test('lets an abort after the end be', async () => {
      const writer = await repository.stage('k', owner(), never);
      const staged = await writer.finish();
      await writer.abort();
      await repository.publish(staged);
      expect(await repository.size('k')).toBe(0);
    });

    test("stops with the signal's reason", async () => {
      const reason = new Error('cancelled');
      const controller = new AbortController();
      await repository.put('k', owner(), randomBytes(2_000_000), never);
      const writer = await repository.stage('w', owner(), controller.signal);
      await writer.write(bytes('half'));
      const reading = repository.read('k', undefined, controller.signal)[Symbol.asyncIterator]();
      expect((await reading.next()).done).toBe(false);
      controller.abort(reason);
      await expect(
        (async () => {
          while ((await reading.next()).done !== true);
        })(),
      ).rejects.toBe(reason);
      await expect(writer.write(bytes('more'))).rejects.toBe(reason);
      await expect(writer.finish()).rejects.toBe(reason);
      await writer.abort();
      await expect(repository.stage('x', owner(), controller.signal)).rejects.toBe(reason);
      await expect(repository.put('x', owner(), bytes('x'), controller.signal)).rejects.toBe(reason);
      expect(await all(repository.listStaged())).toEqual([]);
    });

    test('lists by prefix, in the order of the keys, whatever lies in folders', async () => {
      const keys = ['a', 'a-b/c', 'a.b', 'a/b', 'a/b-c', 'a/b/c', 'a/b0', 'ab', 'b/ü', 'b/z', 'infra/x', 'infra2/x'];
      for (const key of [...keys].reverse()) {
        if (key !== 'a' && key !== 'a/b') await repository.put(key, owner(), bytes(key), never);
      }
      const present = keys
        .filter((key) => key !== 'a' && key !== 'a/b')
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await objects()).toEqual(present);
      for (const prefix of [
        'a',
        'a/',
        'a/b',
        'a/b/',
        'a-',
        'b/',
        'infra',
        'infra/',
        'nothing',
        'nothing/at/all/',
        'b/ü',
      ]) {
        expect([prefix, await objects(prefix)]).toEqual([prefix, present.filter((key) => key.startsWith(prefix))]);
      }
    });

    test('forgets what was removed and gives the name free', async () => {
      await repository.put('k', owner(), bytes('old'), never);
      await repository.remove('k');
      await repository.remove('k');
      expect(await objects()).toEqual([]);
      await repository.put('k', owner(), bytes('new'), never);
      expect(await text('k')).toBe('new');
    });

    test('refuses to remove its own marker', async () => {
      await expect(repository.remove(markerKey)).rejects.toMatchObject({ type: 'InvalidArgument' });
      await repository.check();
    });

    test.each(notKeys)('refuses %j as a key', async (key) => {
      const refused = { type: 'InvalidArgument', message: expect.stringContaining('is not an object') };
      await expect(repository.stage(key, owner(), never)).rejects.toMatchObject(refused);
      await expect(repository.put(key, owner(), bytes('x'), never)).rejects.toMatchObject(refused);
      await expect(repository.stageSmall(key, owner(), bytes('x'), never)).rejects.toMatchObject(refused);
      expect(() => repository.localPath(key)).toThrow(expect.objectContaining(refused));
      await expect(repository.publish({ key, token: 'x', bytes: 0, sha256: sha256('') })).rejects.toMatchObject(
        refused,
      );
      await expect(gather(repository.read(key, undefined, never))).rejects.toMatchObject(refused);
      await expect(repository.readText(key)).rejects.toMatchObject(refused);
      await expect(repository.size(key)).rejects.toMatchObject(refused);
      await expect(repository.remove(key)).rejects.toMatchObject(refused);
      if (key !== '' && key !== 'a/') await expect(all(repository.list(key))).rejects.toMatchObject(refused);
    });

    test.each([
      ['../x', 1],
      ['', 1],
      ['a.b', 1],
      ['x'.repeat(33), 1],
      ['a', -1],
      ['a', 1.5],
      ['a', Number.NaN],
    ])('refuses run %j, attempt %d as an owner', async (run, attempt) => {
      await expect(repository.stage('k', { run, attempt }, never)).rejects.toMatchObject({ type: 'InvalidArgument' });
      await expect(repository.sweep({ run, attempt })).rejects.toMatchObject({ type: 'InvalidArgument' });
    });

    test('refuses a token that is not its own', async () => {
      const staged = await stageText(repository, 'k', 'content');
      for (const token of ['', '../../etc/passwd', 'k', `${staged.token}/x`]) {
        await expect(repository.publish({ ...staged, token })).rejects.toMatchObject({ type: 'InvalidArgument' });
      }
      await expect(repository.publish({ ...staged, key: 'other' })).rejects.toMatchObject({ type: 'InvalidArgument' });
    });
  });
}
