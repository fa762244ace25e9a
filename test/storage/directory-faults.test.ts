import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDirectory } from '../../src/storage/directory.ts';
import { initialiseDirectory } from '../../src/storage/initialise.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { verify } from '../../src/streams/verified.ts';
import { all, bytes, gather, never, owner, sha256, stageText } from './contract.ts';
import { makeDisk, type Disk } from './failing-disk.ts';
import { makeScratch, type Scratch } from './scratch.ts';
import type { StoringOrder, StoringResult } from './storing-process.ts';

const now = new Date('2026-11-21T02:00:00Z');
const old = randomBytes(3_000_000);

/** Not one of the first, with which every program's libraries are loaded. */
const readError = 'pread64:error=EIO:when=8';

interface Outcome {
  /** undefined: it was killed before it could say anything. */
  readonly result: StoringResult | undefined;
  readonly signal: NodeJS.Signals | null;
}

/** Runs a process that stores or reads, in which these system calls go wrong. One thread, so that calls have an order. */
async function storing(order: StoringOrder, ...injections: string[]): Promise<Outcome> {
  const traced = injections.map((injection) => injection.slice(0, injection.indexOf(':'))).join(',');
  const inject = injections.flatMap((injection) => ['-e', `inject=${injection}`]);
  const child = spawn(
    'strace',
    [
      ...['-f', '-qq', '-o', '/dev/null', '-e', `trace=${traced}`, ...inject],
      ...[process.execPath, '--import', 'tsx', join(import.meta.dirname, 'storing-process.ts')],
    ],
    {
      env: {
        ...{ PATH: process.env['PATH'], HOME: process.env['HOME'], UV_THREADPOOL_SIZE: '1', TSX_DISABLE_CACHE: '1' },
        STORING: JSON.stringify(order),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const said = gather(child.stdout);
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const text = (await said).toString();
  return { result: text === '' ? undefined : (JSON.parse(text) as StoringResult), signal };
}

const contentOf = (key: string, length: number) =>
  Buffer.concat(Array.from({ length: Math.ceil(length / 1_048_576) }, () => Buffer.alloc(1_048_576, key))).subarray(
    0,
    length,
  );

async function openMarked(directory: string): Promise<Repository> {
  await initialiseDirectory({ directory, now });
  const repository = openDirectory({ directory });
  await repository.put('old', owner('old'), old, never);
  return repository;
}

const visible = async (repository: Repository) =>
  (await all(repository.list(''))).map(({ key }) => key).filter((key) => !/^(holdfast\.json|README.*)$/.test(key));

/** After any fault: only whole objects are seen, the sweep leaves nothing staged, the old is as it was, a retry gets there. */
async function converges(directory: string, put: readonly { readonly key: string; readonly bytes: number }[]) {
  const repository = openDirectory({ directory });
  const seen = await visible(repository);
  expect(put.map(({ key }) => key).concat('old')).toEqual(expect.arrayContaining(seen));
  for (const { key, bytes: length } of put) {
    if (!seen.includes(key)) continue;
    expect(sha256(await gather(repository.read(key, undefined, never)))).toBe(sha256(contentOf(key, length)));
  }
  await repository.sweep({ run: 'aaaa1111' });
  expect(await all(repository.listStaged())).toEqual([]);
  expect(sha256(await gather(repository.read('old', undefined, never)))).toBe(sha256(old));
  for (const { key, bytes: length } of put) {
    const writer = await repository.stage(key, owner('aaaa1111', 2), never);
    await writer.write(contentOf(key, length));
    expect(await repository.publish(await writer.finish())).toEqual({
      key,
      bytes: length,
      sha256: sha256(contentOf(key, length)),
    });
  }
  expect(await visible(repository)).toEqual([...put.map(({ key }) => key), 'old'].sort());
  expect(await all(repository.listStaged())).toEqual([]);
}

describe('a repository in a directory whose system calls fail', () => {
  let scratch: Scratch;
  let directory: string;
  beforeEach(async () => {
    scratch = makeScratch();
    directory = scratch.directory;
    await openMarked(directory);
  });
  afterEach(() => {
    scratch.close();
  });
  const put = [{ key: 'new', bytes: 3_000_000 }];

  test('stores when none of them does: the tests below fail for what they inject', async () => {
    const { result } = await storing({ directory, put, read: 'new' }, 'mlock:error=EIO');
    expect(result).toEqual({ sha256: sha256(contentOf('new', 3_000_000)) });
  });

  test.each([
    ['the disk fails at a write', ['pwrite64:error=EIO:when=2'], 'StoreUnavailable', 'EIO', ['old']],
    ['the quota ends at a write', ['pwrite64:error=EDQUOT:when=2+'], 'StoreFull', 'the quota is used up', ['old']],
    ['the disk is full at a write', ['pwrite64:error=ENOSPC:when=3+'], 'StoreFull', 'no space', ['old']],
    ['only the flush of the file fails', ['fsync:error=EIO:when=1'], 'StoreUnavailable', 'EIO', ['old']],
    ['only the flush tells that the quota is used up', ['fsync:error=EDQUOT:when=1'], 'StoreFull', 'quota', ['old']],
    ['the flush of the directory fails', ['fsync:error=EIO:when=2'], 'StoreUnavailable', 'EIO', ['old']],
    ['the mount is stale at the link', ['link:error=ESTALE'], 'StoreUnavailable', 'the mount is stale', ['old']],
    [
      'the mount is stale at the rename, where there are no links',
      ['link:error=EPERM', 'rename:error=ESTALE'],
      'StoreUnavailable',
      'the mount is stale',
      ['old'],
    ],
    [
      'the mount is stale at the unlink',
      ['unlink:error=ESTALE'],
      'StoreUnavailable',
      'the mount is stale',
      ['new', 'old'],
    ],
    ['the last flush of the directory fails', ['fsync:error=EIO:when=3'], 'StoreUnavailable', 'EIO', ['new', 'old']],
  ])('fails in its own words, and shows nothing half: %s', async (_name, injections, type, words, seen) => {
    const { result } = await storing({ directory, put }, ...injections);
    expect(result).toMatchObject({ type, message: expect.stringContaining(words) });
    expect(await visible(openDirectory({ directory }))).toEqual(seen);
    await converges(directory, put);
  });

  test('fails when a flush on the way fails, though the last one succeeds', async () => {
    const large = [{ key: 'large', bytes: 40 * 1_048_576 }];
    const { result } = await storing({ directory, put: large }, 'fdatasync:error=EIO:when=1');
    expect(result).toMatchObject({ type: 'StoreUnavailable', message: expect.stringContaining('EIO') });
    expect(await visible(openDirectory({ directory }))).toEqual(['old']);
    await converges(directory, large);
  });

  test('fails when what it wrote can not be read back', async () => {
    const large = [{ key: 'large', bytes: 12 * 1_048_576 }];
    const { result } = await storing({ directory, put: large }, readError);
    expect(result).toMatchObject({ type: 'StoreUnavailable', message: expect.stringContaining('EIO') });
    expect(await visible(openDirectory({ directory }))).toEqual(['old']);
    await converges(directory, large);
  });

  test('calls a disk that does not read unavailable, and no object damaged', async () => {
    const { result } = await storing({ directory, read: 'old' }, readError);
    expect(result).toMatchObject({ type: 'StoreUnavailable', message: expect.stringContaining('EIO') });
    expect((await storing({ directory, read: 'old' }, 'mlock:error=EIO')).result).toEqual({ sha256: sha256(old) });
  });
});

describe('a repository on a disk', () => {
  let disk: Disk;
  let repository: Repository;
  beforeEach(async () => {
    disk = makeDisk();
    repository = await openMarked(disk.directory);
  });
  afterEach(() => {
    disk.close();
  });
  const broken = { type: 'StoreUnavailable', message: expect.stringContaining('EIO') };

  test('that dies: every way to write and to read fails with StoreUnavailable; what was there is there when it is back', async () => {
    const staged = await stageText(repository, 'staged', 'content');
    const writer = await repository.stage('new', owner(), never);
    await writer.write(randomBytes(100_000));
    disk.die();
    await expect(writer.write(randomBytes(100_000))).rejects.toMatchObject(broken);
    await expect(writer.finish()).rejects.toMatchObject(broken);
    await writer.abort();
    await expect(repository.publish(staged)).rejects.toMatchObject(broken);
    await expect(repository.stage('a/b', owner(), never)).rejects.toMatchObject(broken);
    await expect(repository.readText('old')).rejects.toMatchObject(broken);
    await expect(gather(repository.read('old', undefined, never))).rejects.toMatchObject(broken);
    await expect(repository.check()).rejects.toMatchObject(broken);
    await expect(repository.remove('old')).rejects.toMatchObject(broken);
    disk.crash();
    await repository.publish(staged);
    expect(await repository.readText('staged')).toBe('content');
    expect(await visible(repository)).toEqual(['old', 'staged']);
    await repository.sweep({ run: 'aaaa1111' });
    expect(await all(repository.listStaged())).toEqual([]);
    await verify(repository.read('old', undefined, never), { name: 'old', bytes: old.length, sha256: sha256(old) });
    await repository.put('new', owner('aaaa1111', 2), bytes('again'), never);
  });

  test('that loses power forgets what nobody flushed: the tests below can fail', async () => {
    const { result } = await storing(
      { directory: disk.directory, put: [{ key: 'new', bytes: 500 }] },
      'fsync:retval=0',
    );
    expect(result).toHaveProperty('sha256');
    disk.crash();
    expect(await visible(repository)).toEqual(['old']);
  });

  test('that loses power has every object whose publication was reported, whole', async () => {
    const content = randomBytes(2_000_000);
    for (const key of ['infra/logical/a', 'infra/logical/b', 'c']) {
      const { sha256: digest } = await repository.put(key, owner(), content, never);
      disk.crash();
      await verify(repository.read(key, undefined, never), { name: key, bytes: content.length, sha256: digest });
      expect(await all(repository.listStaged())).toEqual([]);
    }
    await repository.remove('infra/logical/a');
    disk.crash();
    expect(await visible(repository)).toEqual(['c', 'infra/logical/b', 'old']);
  });

  /** Where a backup is stored: the bytes, then the manifest that makes them a backup. */
  const put = [
    { key: 'jigga/bytes', bytes: 2_500_000 },
    { key: 'jigga/manifest', bytes: 500 },
  ];
  const steps = [
    ...Array.from({ length: 7 }, (_, index) => ['fsync', index + 1] as const),
    ...['link', 'unlink'].flatMap((call) => [1, 2].map((turn) => [call, turn] as const)),
  ];
  test.each(steps)(
    'that loses power together with the worker has all of an object or none of it: at %s %i',
    async (call, turn) => {
      const { result } = await storing(
        { directory: disk.directory, put },
        `${call}:error=EIO:signal=SIGKILL:when=${String(turn)}`,
      );
      expect(result).toBeUndefined();
      disk.crash();
      const seen = await visible(repository);
      // The manifest is the commit: it is never there without what it speaks of.
      if (seen.includes('jigga/manifest')) expect(seen).toContain('jigga/bytes');
      await converges(disk.directory, put);
    },
  );
});
