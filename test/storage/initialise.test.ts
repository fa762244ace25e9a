import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDirectory } from '../../src/storage/directory.ts';
import { initialiseDirectory } from '../../src/storage/initialise.ts';
import { never, owner, stageText } from './contract.ts';
import { makeScratch, mountTmpfs, type Scratch } from './scratch.ts';

const now = new Date('2026-11-21T02:00:00Z');

describe('marking a directory as a repository', () => {
  let scratch: Scratch;
  let directory: string;
  beforeEach(() => {
    scratch = makeScratch();
    directory = scratch.directory;
  });
  afterEach(() => {
    scratch.close();
  });

  test('writes a marker and a README, once', async () => {
    const first = await initialiseDirectory({ directory, now });
    expect(first).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), created: true });
    expect(JSON.parse(readFileSync(join(directory, 'holdfast.json'), 'utf8'))).toEqual({
      format: 1,
      id: first.id,
      createdAt: '2026-11-21T02:00:00.000Z',
    });
    expect(readdirSync(directory).sort()).toEqual(['README.holdfast.txt', 'holdfast.json']);
    expect(statSync(join(directory, 'holdfast.json')).mode & 0o777).toBe(0o600);
    expect(await initialiseDirectory({ directory, now: new Date() })).toEqual({ id: first.id, created: false });
    expect((await openDirectory({ directory }).check()).id).toBe(first.id);
  });

  test('by many at the same time makes one repository', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => initialiseDirectory({ directory, now })));
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    expect(readdirSync(directory).sort()).toEqual(['README.holdfast.txt', 'holdfast.json']);
  });

  test('goes on after it was killed: with a hidden file left, or without the README', async () => {
    writeFileSync(join(directory, '.holdfast-staged.initialise.0.0123abcd.holdfast.json'), '{"for');
    const { id } = await initialiseDirectory({ directory, now });
    rmSync(join(directory, 'README.holdfast.txt'));
    expect(await initialiseDirectory({ directory, now })).toEqual({ id, created: false });
    expect(readdirSync(directory)).toContain('README.holdfast.txt');
    expect(await openDirectory({ directory }).sweep({ run: 'initialise' })).toBe(1);
  });

  test('accepts dumps that somebody else left there', async () => {
    writeFileSync(join(directory, 'postgres-backup-20261120-020000.sql.gz'), 'foreign');
    mkdirSync(join(directory, 'photos'));
    expect((await initialiseDirectory({ directory, now })).created).toBe(true);
  });

  test('refuses a directory that does not exist, and does not make it', async () => {
    const missing = join(directory, 'backup');
    await expect(initialiseDirectory({ directory: missing, now })).rejects.toMatchObject({
      type: 'StoreNotMounted',
      message: expect.stringContaining('does not exist'),
    });
    symlinkSync(missing, join(directory, 'link'));
    await expect(initialiseDirectory({ directory: join(directory, 'link'), now })).rejects.toMatchObject({
      type: 'StoreNotMounted',
    });
    writeFileSync(missing, 'a file');
    await expect(initialiseDirectory({ directory: missing, now })).rejects.toMatchObject({ type: 'StoreNotMounted' });
  });

  test.each([
    [
      'a manifest',
      (at: string) => {
        mkdirSync(join(at, 'infra/logical'), { recursive: true });
        writeFileSync(join(at, 'infra/logical/a.manifest.json'), '{}');
      },
    ],
    [
      'a tombstone',
      (at: string) => {
        writeFileSync(join(at, 'a.tombstone.json'), '{}');
      },
    ],
    [
      'the README',
      (at: string) => {
        writeFileSync(join(at, 'README.holdfast.txt'), '');
      },
    ],
  ])('refuses one without a marker that holds %s, unless a person insists', async (_what, leave) => {
    leave(directory);
    const refused = {
      type: 'StoreNotMounted',
      message: expect.stringContaining('part of a repository'),
      hint: expect.stringContaining('put the marker back'),
    };
    await expect(initialiseDirectory({ directory, now })).rejects.toMatchObject(refused);
    expect(readdirSync(directory)).not.toContain('holdfast.json');
    expect((await initialiseDirectory({ directory, now, evenIfUsed: true })).created).toBe(true);
  });

  test('refuses one whose marker was lost while a backup was under way', async () => {
    await initialiseDirectory({ directory, now });
    await stageText(openDirectory({ directory }), 'infra/a', 'half');
    rmSync(join(directory, 'holdfast.json'));
    rmSync(join(directory, 'README.holdfast.txt'));
    await expect(initialiseDirectory({ directory, now })).rejects.toMatchObject({
      type: 'StoreNotMounted',
      message: expect.stringContaining('infra/a'),
    });
  });

  test('does not replace a marker that is damaged', async () => {
    writeFileSync(join(directory, 'holdfast.json'), '');
    await expect(initialiseDirectory({ directory, now })).rejects.toMatchObject({ type: 'ObjectDamaged' });
    expect(readFileSync(join(directory, 'holdfast.json'), 'utf8')).toBe('');
  });

  test('with the line of the README works as it says', async () => {
    const { readmeText } = await import('../../src/storage/readme.ts');
    const { execFileSync } = await import('node:child_process');
    const section = readmeText.slice(readmeText.indexOf('IF holdfast.json IS MISSING'));
    const commands = section.split('\n').filter((line) => line.startsWith('     '));
    execFileSync('sh', ['-c', commands.join('\n')], { cwd: directory });
    expect((await openDirectory({ directory }).check()).id).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test('a full disk leaves no half marker', async () => {
  const mounted = mountTmpfs('size=16k,nr_inodes=20');
  try {
    writeFileSync(join(mounted.directory, 'filler'), Buffer.alloc(16 * 1024));
    await expect(initialiseDirectory({ directory: mounted.directory, now })).rejects.toMatchObject({
      type: 'StoreFull',
    });
    expect(readdirSync(mounted.directory)).toEqual(['filler']);
    rmSync(join(mounted.directory, 'filler'));
    expect((await initialiseDirectory({ directory: mounted.directory, now })).created).toBe(true);
    await openDirectory({ directory: mounted.directory }).put('k', owner(), new Uint8Array(10), never);
  } finally {
    mounted.close();
  }
});
