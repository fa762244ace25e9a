import { readdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DirectoryWriter } from '../../src/storage/directory-writer.ts';
import { bytes, never, sha256 } from './contract.ts';
import { makeScratch, type Scratch } from './scratch.ts';

const eio = Object.assign(new Error('EIO: i/o error'), { errno: -5, code: 'EIO' });

type Faults = Partial<Pick<FileHandle, 'sync' | 'datasync' | 'close' | 'truncate'>> & { write?: FileHandle['write'] };

describe('a writer', () => {
  let scratch: Scratch;
  beforeEach(() => {
    scratch = makeScratch();
  });
  afterEach(() => {
    scratch.close();
  });

  /** A real file whose operations can be made to fail as a disk's do. */
  async function writerWith(faults: (real: FileHandle) => Faults): Promise<DirectoryWriter> {
    const path = join(scratch.directory, '.staged');
    const real = await open(path, 'wx', 0o600);
    const { sync, datasync, close, truncate, write } = faults(real);
    const handle = {
      write: write ?? real.write.bind(real),
      sync: sync ?? real.sync.bind(real),
      datasync: datasync ?? real.datasync.bind(real),
      close: close ?? real.close.bind(real),
      truncate: truncate ?? real.truncate.bind(real),
    } as unknown as FileHandle;
    return new DirectoryWriter(handle, { key: 'infra/a', token: '.staged', path, directory: '/backup' }, never);
  }

  test('that can not flush to the disk has failed for good, and leaves nothing', async () => {
    let syncs = 0;
    const writer = await writerWith(() => ({
      sync: () => {
        syncs += 1;
        return syncs === 1 ? Promise.reject(eio) : Promise.resolve();
      },
    }));
    await writer.write(bytes('content'));
    await expect(writer.finish()).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: 'writing infra/a in /backup failed: the file system failed (EIO)',
    });
    await expect(writer.finish()).rejects.toThrow();
    await expect(writer.rollback()).rejects.toThrow();
    expect(syncs).toBe(1);
    await writer.abort();
    expect(readdirSync(scratch.directory)).toEqual([]);
  });

  test('that could not flush on the way has failed for good, whatever is rolled back', async () => {
    const writer = await writerWith(() => ({ datasync: () => Promise.reject(eio) }));
    const block = new Uint8Array(20 * 1024 * 1024);
    await writer.write(block);
    await writer.write(block);
    await writer.rollback();
    await expect(writer.write(block)).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: expect.stringContaining('EIO'),
    });
    await expect(writer.finish()).rejects.toMatchObject({ type: 'StoreUnavailable' });
    await writer.abort();
    expect(readdirSync(scratch.directory)).toEqual([]);
  });

  test('flushes on the way and does not wait for it to write on', async () => {
    let release: () => void = () => undefined;
    const flushed = new Promise<void>((resolve) => (release = resolve));
    let flushes = 0;
    const writer = await writerWith(() => ({
      datasync: () => {
        flushes += 1;
        return flushed;
      },
    }));
    const block = new Uint8Array(20 * 1024 * 1024);
    for (let i = 0; i < 3; i += 1) await writer.write(block);
    expect(flushes).toBe(1);
    release();
    await writer.write(block);
    expect(flushes).toBe(2);
    expect(await writer.finish()).toMatchObject({ bytes: 4 * block.length });
  });

  test('hears of an error that only closing tells', async () => {
    const quota = Object.assign(new Error('EDQUOT'), { errno: -122, code: 'EDQUOT' });
    const writer = await writerWith((real) => ({
      close: async () => {
        await real.close();
        throw quota;
      },
    }));
    await expect(writer.finish()).rejects.toMatchObject({ type: 'StoreFull' });
  });

  test('goes on where the kernel took only a part of a chunk', async () => {
    const writer = await writerWith((real) => ({
      write: ((buffer: Uint8Array, offset: number, length: number, position: number) =>
        real.write(buffer, offset, Math.min(3, length), position)) as unknown as FileHandle['write'],
    }));
    await writer.write(bytes('ten bytes.'));
    expect(await writer.finish()).toMatchObject({ bytes: 10, sha256: sha256('ten bytes.') });
    expect(readdirSync(scratch.directory)).toEqual(['.staged']);
  });

  test('rolls back after the write that is under way, also when nobody waited for it', async () => {
    const writer = await writerWith(() => ({}));
    await writer.write(bytes('kept'));
    writer.mark();
    const abandoned = writer.write(bytes('half a member'));
    await writer.rollback();
    await abandoned;
    await writer.write(bytes('+'));
    expect(await writer.finish()).toMatchObject({ bytes: 5, sha256: sha256('kept+') });
  });

  test('does not write on after a failure, until it was rolled back', async () => {
    let broken = true;
    const writer = await writerWith((real) => ({
      write: ((...args: Parameters<FileHandle['write']>) =>
        broken ? Promise.reject(eio) : real.write(...args)) as unknown as FileHandle['write'],
    }));
    await expect(writer.write(bytes('x'))).rejects.toMatchObject({ type: 'StoreUnavailable' });
    broken = false;
    await expect(writer.write(bytes('y'))).rejects.toMatchObject({ type: 'StoreUnavailable' });
    await writer.rollback();
    await writer.write(bytes('z'));
    expect(await writer.finish()).toMatchObject({ bytes: 1, sha256: sha256('z') });
  });
});
