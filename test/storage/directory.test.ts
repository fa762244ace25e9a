import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDirectory } from '../../src/storage/directory.ts';
import { initialiseDirectory } from '../../src/storage/initialise.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { verify } from '../../src/streams/verified.ts';
import {
  all,
  bytes,
  describeRepository,
  gather,
  never,
  type OpenedRepository,
  owner,
  sha256,
  stageText,
} from './contract.ts';
import { makeScratch, type Mounted, mountTmpfs, type Scratch } from './scratch.ts';

const now = new Date('2026-11-21T02:00:00Z');

async function openMarked(directory: string): Promise<Repository> {
  await initialiseDirectory({ directory, now });
  return openDirectory({ directory });
}

async function openScratch(readBack: boolean): Promise<OpenedRepository> {
  const scratch = makeScratch();
  await initialiseDirectory({ directory: scratch.directory, now });
  return {
    repository: openDirectory({ directory: scratch.directory, readBack }),
    async close() {
      scratch.close();
      await Promise.resolve();
    },
  };
}

describeRepository('a directory', () => openScratch(true));
describeRepository('a directory that is not read back', () => openScratch(false));

/** Everything in a directory, hidden files too. */
const filesIn = (directory: string): string[] => readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('a repository in a directory', () => {
  let scratch: Scratch;
  let directory: string;
  let repository: Repository;
  beforeEach(async () => {
    scratch = makeScratch();
    directory = scratch.directory;
    repository = await openMarked(directory);
  });
  afterEach(() => {
    scratch.close();
  });

  test('is for its owner alone', async () => {
    const staged = await stageText(repository, 'infra/logical/a.sql.gz', 'hash');
    expect(modeOf(join(directory, 'infra/logical', staged.token))).toBe('600');
    await repository.publish(staged);
    expect(modeOf(join(directory, 'infra/logical/a.sql.gz'))).toBe('600');
    expect([modeOf(join(directory, 'infra')), modeOf(join(directory, 'infra/logical'))]).toEqual(['700', '700']);
  });

  test('finishes a publication that was killed between link and unlink', async () => {
    const staged = await stageText(repository, 'infra/a', 'content');
    linkSync(join(directory, 'infra', staged.token), join(directory, 'infra/a'));
    expect(await repository.publish(staged)).toMatchObject({ key: 'infra/a', sha256: sha256('content') });
    expect(readdirSync(join(directory, 'infra'))).toEqual(['a']);
  });

  test('sweeps the second name of an object that was published, not the object', async () => {
    const staged = await stageText(repository, 'infra/a', 'content');
    linkSync(join(directory, 'infra', staged.token), join(directory, 'infra/a'));
    expect(await repository.sweep({ run: 'aaaa1111' })).toBe(1);
    expect(await repository.readText('infra/a')).toBe('content');
  });

  test('refuses to publish what reads back differently from what was written', async () => {
    const staged = await stageText(repository, 'k', 'content');
    writeFileSync(join(directory, staged.token), 'c0ntent');
    await expect(repository.publish(staged)).rejects.toMatchObject({ type: 'ObjectDamaged' });
    writeFileSync(join(directory, staged.token), 'short');
    await expect(repository.publish(staged)).rejects.toMatchObject({ type: 'ObjectDamaged' });
    expect(existsSync(join(directory, 'k'))).toBe(false);
  });

  test('leaves an object alone that somebody else put under the name', async () => {
    writeFileSync(join(directory, 'k'), 'foreign');
    const staged = await stageText(repository, 'k', 'ours');
    await expect(repository.publish(staged)).rejects.toMatchObject({ type: 'NameTaken' });
    expect(readFileSync(join(directory, 'k'), 'utf8')).toBe('foreign');
  });

  test('finds a flipped bit when an object is read against its digest', async () => {
    const { sha256: digest, bytes: size } = await repository.put('k', owner(), randomBytes(600_000), never);
    await verify(repository.read('k', undefined, never), { name: 'k', bytes: size, sha256: digest });
    const content = readFileSync(join(directory, 'k'));
    content[300_000] = (content[300_000] ?? 0) ^ 4;
    writeFileSync(join(directory, 'k'), content);
    const reading = verify(repository.read('k', undefined, never), { name: 'k', bytes: size, sha256: digest });
    await expect(reading).rejects.toMatchObject({ type: 'ObjectDamaged', message: expect.stringContaining('sha-256') });
  });

  test('follows no symbolic link, neither an object nor a folder on the way', async () => {
    const outside = makeScratch();
    try {
      writeFileSync(join(outside.directory, 'secret'), 'secret');
      mkdirSync(join(directory, 'real'));
      symlinkSync(outside.directory, join(directory, 'out'));
      symlinkSync('/no/such/place', join(directory, 'nowhere'));
      symlinkSync(join(directory, 'real'), join(directory, 'inside'));
      symlinkSync(join(outside.directory, 'secret'), join(directory, 'object'));
      const refused = { type: 'InvalidArgument', message: expect.stringContaining('symbolic link') };
      for (const key of ['out/secret', 'out/new/secret', 'nowhere/a', 'inside/a']) {
        await expect(repository.stage(key, owner(), never)).rejects.toMatchObject(refused);
        await expect(repository.readText(key)).rejects.toMatchObject(refused);
        await expect(gather(repository.read(key, undefined, never))).rejects.toMatchObject(refused);
        await expect(repository.size(key)).rejects.toMatchObject(refused);
        await expect(repository.remove(key)).rejects.toMatchObject(refused);
        await expect(all(repository.list(key))).rejects.toMatchObject(refused);
      }
      await expect(repository.readText('object')).rejects.toMatchObject(refused);
      await repository.remove('object');
      expect(readFileSync(join(outside.directory, 'secret'), 'utf8')).toBe('secret');
      const listed = (await all(repository.list(''))).map(({ key }) => key);
      expect(listed).toEqual(['README.holdfast.txt', 'holdfast.json']);
      expect(filesIn(outside.directory)).toEqual(['secret']);
    } finally {
      outside.close();
    }
  });

  test('may itself be reached through a symbolic link', async () => {
    const links = makeScratch();
    try {
      symlinkSync(directory, join(links.directory, 'backup'));
      const throughLink = openDirectory({ directory: join(links.directory, 'backup') });
      await throughLink.put('infra/a', owner(), bytes('x'), never);
      expect(await throughLink.readText('infra/a')).toBe('x');
    } finally {
      links.close();
    }
  });

  test('lists the dumps that somebody else left, and passes over hidden and special files', async () => {
    writeFileSync(join(directory, 'postgres-backup-20261120-020000.sql.gz'), 'foreign');
    writeFileSync(join(directory, '.nfs0000001'), '');
    mkdirSync(join(directory, '.snapshot'));
    writeFileSync(join(directory, '.snapshot/a'), '');
    mkdirSync(join(directory, 'lost+found'), { mode: 0 });
    writeFileSync(join(directory, 'a\nb'), '');
    expect((await all(repository.list('postgres'))).map(({ key, bytes: size }) => [key, size])).toEqual([
      ['postgres-backup-20261120-020000.sql.gz', 7],
    ]);
    expect(await all(repository.list(''))).toHaveLength(3);
  });

  test('reads no directory and no pipe for an object', async () => {
    mkdirSync(join(directory, 'folder'));
    expect(await repository.size('folder')).toBeUndefined();
    await expect(repository.readText('folder')).rejects.toMatchObject({ type: 'StoreUnavailable' });
    await repository.remove('folder');
    expect(existsSync(join(directory, 'folder'))).toBe(true);
    writeFileSync(join(directory, 'file'), '');
    await expect(repository.stage('file/below', owner(), never)).rejects.toMatchObject({ type: 'StoreUnavailable' });
    expect(await repository.readText('file/below')).toBeUndefined();
  });

  test('refuses a text that is far too large', async () => {
    writeFileSync(join(directory, 'huge'), '');
    const { truncateSync } = await import('node:fs');
    truncateSync(join(directory, 'huge'), 65 * 1024 * 1024);
    await expect(repository.readText('huge')).rejects.toMatchObject({ type: 'ObjectDamaged' });
  });

  test('is not mounted when its marker is missing, for whatever is asked, and nothing is written', async () => {
    const staged = await stageText(repository, 'k', 'content');
    renameSync(join(directory, 'holdfast.json'), join(directory, '.gone'));
    const before = filesIn(directory);
    const missing = {
      type: 'StoreNotMounted',
      message: expect.stringContaining(directory),
      hint: expect.stringContaining('mount'),
    };
    await expect(repository.check()).rejects.toMatchObject(missing);
    await expect(repository.stage('a/b', owner(), never)).rejects.toMatchObject(missing);
    await expect(repository.put('a/b', owner(), bytes('x'), never)).rejects.toMatchObject(missing);
    await expect(repository.publish(staged)).rejects.toMatchObject(missing);
    await expect(repository.sweep({ run: 'aaaa1111' })).rejects.toMatchObject(missing);
    await expect(repository.readText('a')).rejects.toMatchObject(missing);
    await expect(repository.size('a')).rejects.toMatchObject(missing);
    await expect(gather(repository.read('a', undefined, never))).rejects.toMatchObject(missing);
    await expect(all(repository.list(''))).rejects.toMatchObject(missing);
    await expect(all(repository.listStaged())).rejects.toMatchObject(missing);
    await expect(repository.remove('README.holdfast.txt')).rejects.toMatchObject(missing);
    expect(filesIn(directory)).toEqual(before);
  });

  test('notices another repository in its place', async () => {
    const { id } = await repository.check();
    writeFileSync(
      join(directory, 'holdfast.json'),
      JSON.stringify({ format: 1, id: 'another', createdAt: now.toISOString() }),
    );
    const other = { type: 'StoreNotMounted', message: expect.stringContaining(`another where repository ${id} was`) };
    await expect(repository.check()).rejects.toMatchObject(other);
    await expect(repository.stage('k', owner(), never)).rejects.toMatchObject(other);
  });

  test('refuses a marker that is damaged or of a later format', async () => {
    for (const text of ['', '{', '[]', '{"format":1}', '{"format":"1","id":"x","createdAt":"2026-11-21T02:00:00Z"}']) {
      writeFileSync(join(directory, 'holdfast.json'), text);
      await expect(openDirectory({ directory }).check()).rejects.toMatchObject({ type: 'ObjectDamaged' });
    }
    writeFileSync(join(directory, 'holdfast.json'), '{"format":2,"something":"new"}');
    await expect(openDirectory({ directory }).check()).rejects.toMatchObject({ type: 'NotBuiltYet' });
  });

  test('tells how much space is left', async () => {
    const { freeBytes, totalBytes } = await repository.check();
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes ?? 0);
  });
});

describe('a repository on a file system that fails', () => {
  let mounted: Mounted;
  const mountSmall = async (options: string): Promise<Repository> => {
    mounted = mountTmpfs(options);
    return openMarked(mounted.directory);
  };
  afterEach(() => {
    mounted.close();
  });

  test('is full: the writer fails with StoreFull, an older backup stays, and after the sweep there is room again', async () => {
    const repository = await mountSmall('size=1m');
    await repository.put('old', owner('old'), randomBytes(200_000), never);
    const before = filesIn(mounted.directory);
    const writer = await repository.stage('infra/new', owner(), never);
    const fill = async () => {
      for (;;) await writer.write(randomBytes(65_536));
    };
    const full = {
      type: 'StoreFull',
      message: expect.stringMatching(/infra\/new .*no space/),
      hint: expect.stringContaining('df -i'),
    };
    await expect(fill()).rejects.toMatchObject(full);
    await expect(writer.write(bytes('x'))).rejects.toMatchObject(full);
    await expect(writer.finish()).rejects.toMatchObject(full);
    expect(await repository.sweep({ run: 'aaaa1111' })).toBe(1);
    await writer.abort();
    expect(filesIn(mounted.directory)).toEqual([...before, 'infra'].sort());
    await repository.put('infra/new', owner(), randomBytes(500_000), never);
    expect(await repository.size('old')).toBe(200_000);
  });

  test('is full half-way through a member: a rollback gives what was marked, whole', async () => {
    const repository = await mountSmall('size=1m');
    const writer = await repository.stage('k', owner(), never);
    const kept = randomBytes(300_000);
    await writer.write(kept);
    writer.mark();
    await expect(writer.write(randomBytes(2_000_000))).rejects.toMatchObject({ type: 'StoreFull' });
    await writer.rollback();
    expect(writer.offset).toBe(300_000);
    await writer.write(bytes('footer'));
    const { sha256: digest } = await repository.publish(await writer.finish());
    expect(digest).toBe(sha256(Buffer.concat([kept, bytes('footer')])));
  });

  test('has no inode left: nothing can be staged, and that is StoreFull too', async () => {
    const repository = await mountSmall('size=1m,nr_inodes=6');
    const stageMany = async () => {
      for (let i = 0; i < 10; i += 1) await stageText(repository, `k${String(i)}`, 'x');
    };
    await expect(stageMany()).rejects.toMatchObject({ type: 'StoreFull', message: expect.stringContaining('inodes') });
    expect(await repository.sweep({ run: 'aaaa1111' })).toBeGreaterThan(0);
    await repository.put('k', owner(), bytes('x'), never);
  });

  test('was remounted read-only: writing, publishing and removing fail, reading goes on', async () => {
    const repository = await mountSmall('size=1m');
    await repository.put('k', owner(), bytes('content'), never);
    const staged = await stageText(repository, 'new', 'x');
    mounted.remount('ro');
    const readOnly = { type: 'StoreUnavailable', message: expect.stringContaining('read-only') };
    await expect(repository.stage('a/b', owner(), never)).rejects.toMatchObject(readOnly);
    await expect(repository.publish(staged)).rejects.toMatchObject(readOnly);
    await expect(repository.remove('k')).rejects.toMatchObject(readOnly);
    await expect(repository.sweep({ run: 'aaaa1111' })).rejects.toMatchObject(readOnly);
    expect(await repository.readText('k')).toBe('content');
    mounted.remount('rw');
    await repository.publish(staged);
  });

  test('went away: nothing is written to the bare mount point, and the old repository is whole when it is back', async () => {
    const repository = await mountSmall('size=1m');
    const writer = await repository.stage('k', owner(), never);
    const staged = await stageText(repository, 'staged', 'x');
    mounted.unmount();
    const missing = { type: 'StoreNotMounted' };
    await expect(repository.check()).rejects.toMatchObject(missing);
    await expect(repository.stage('k', owner(), never)).rejects.toMatchObject(missing);
    await expect(repository.publish(staged)).rejects.toMatchObject(missing);
    await expect(all(repository.list(''))).rejects.toMatchObject(missing);
    await writer.write(bytes('to the file that is still open'));
    const late = await writer
      .finish()
      .then(
        (token) => repository.publish(token),
        (error: unknown) => Promise.reject(error as Error),
      )
      .catch((error: unknown) => error);
    expect(late).toMatchObject(missing);
    expect(filesIn(mounted.directory)).toEqual([]);
    rmSync(mounted.directory, { recursive: true });
    await expect(repository.check()).rejects.toMatchObject(missing);
  });
});
