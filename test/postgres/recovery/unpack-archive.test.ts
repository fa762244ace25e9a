import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pack, type Header } from 'tar-stream';
import { makeScratch } from '../../../parts/scratch.ts';
import { SyncQueue } from '../../../src/postgres/recovery/sync-queue.ts';
import { unpackArchive } from '../../../src/postgres/recovery/unpack-archive.ts';

describe('the tar of a base backup', () => {
  let scratch: string;
  let directory: string;

  beforeEach(async () => {
    scratch = await makeScratch('tar', { inMemory: true });
    directory = join(scratch, 'data');
    await mkdir(directory);
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));

  async function tarOf(entries: readonly (readonly [Partial<Header> & { name: string }, string?])[]): Promise<Buffer> {
    const tar = pack();
    for (const [header, content] of entries) tar.entry(header, content ?? '');
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  function* slices(bytes: Buffer, size: number): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }

  const unpack = async (bytes: Buffer, size = 1000) => {
    const syncs = new SyncQueue();
    const { signal } = new AbortController();
    await unpackArchive(Readable.from(slices(bytes, size)), {
      archive: 'base.tar.zst',
      directory,
      owner: undefined,
      syncs,
      signal,
    });
    await syncs.drained();
  };

  test.each([1, 511, 512, 513, 4096, 10_000_000])('comes out whole from pieces of %i bytes', async (size) => {
    const large = 'y'.repeat(300_001);
    const tar = await tarOf([
      [{ name: 'base/', type: 'directory' }],
      [{ name: 'base/empty' }],
      [{ name: 'base/small' }, 'x'.repeat(513)],
      [{ name: 'base/large' }, size === 1 ? 'short' : large],
    ]);
    await unpack(tar, size);
    expect((await readdir(join(directory, 'base'))).sort()).toEqual(['empty', 'large', 'small']);
    expect(await readFile(join(directory, 'base/small'), 'utf8')).toBe('x'.repeat(513));
    expect(await readFile(join(directory, 'base/large'), 'utf8')).toBe(size === 1 ? 'short' : large);
  });

  const hostile: readonly (readonly [string, Partial<Header> & { name: string }, string?])[] = [
    ['an absolute name', { name: '/etc/evil' }, 'x'],
    ['a name that leads out', { name: 'base/../../evil' }, 'x'],
    ['a symbolic link', { name: 'base', type: 'symlink', linkname: '/etc' }],
    ['a hard link', { name: 'passwd', type: 'link', linkname: '/etc/passwd' }],
    ['a device', { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }],
    ['a fifo', { name: 'pipe', type: 'fifo' }],
  ];
  test.each(hostile)('with %s is refused, and nothing lies outside', async (...[, header, content]) => {
    await expect(unpack(await tarOf([[header, content ?? '']]))).rejects.toMatchObject({ type: 'DumpRefused' });
    expect(await readdir(scratch)).toEqual(['data']);
    expect(await readdir(directory)).toEqual([]);
  });

  test('writes nothing through a link that lies in its directory, and a name twice is refused', async () => {
    const elsewhere = join(scratch, 'elsewhere');
    await mkdir(elsewhere);
    await symlink(elsewhere, join(directory, 'base'));
    await symlink(join(elsewhere, 'target'), join(directory, 'file'));
    await expect(unpack(await tarOf([[{ name: 'base/x' }, 'x']]))).rejects.toMatchObject({ type: 'RestoreFailed' });
    await expect(unpack(await tarOf([[{ name: 'file' }, 'x']]))).rejects.toMatchObject({ type: 'RestoreFailed' });
    expect(await readdir(elsewhere)).toEqual([]);
    const twice = await tarOf([
      [{ name: 'a' }, 'x'],
      [{ name: './a' }, 'y'],
    ]);
    await expect(unpack(twice)).rejects.toMatchObject({ type: 'DumpRefused' });
  });

  test('that is cut off anywhere, or goes on after its end, is damaged', async () => {
    const tar = await tarOf([[{ name: 'a' }, 'x'.repeat(700)]]);
    for (const length of [0, 100, 512, 1000, 1536, 2000, 2048])
      await expect(unpack(tar.subarray(0, length))).rejects.toMatchObject({ type: 'ObjectDamaged' });
    await expect(unpack(Buffer.concat([tar, tar]))).rejects.toMatchObject({ type: 'ObjectDamaged' });
    const flipped = Buffer.from(tar);
    flipped[3] = 1;
    await expect(unpack(flipped)).rejects.toMatchObject({ type: 'ObjectDamaged' });
  });
});
