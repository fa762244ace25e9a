import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, type Header } from 'tar-stream';
import { packTar, unpackTar, type UnpackOptions } from '../../src/streams/tar.ts';
import { mountTmpfs } from '../storage/scratch.ts';

let base: string;
let from: string;
let into: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-tar-'));
  from = join(base, 'from');
  into = join(base, 'into');
  mkdirSync(from);
  mkdirSync(into);
});

afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function* inChunks(bytes: Buffer, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

type Wanted = Partial<Header> & Pick<Header, 'name'>;

const roomy: UnpackOptions = { signal: new AbortController().signal, limits: { bytes: 100_000_000, entries: 1000 } };

function fillFrom(): void {
  writeFileSync(join(from, 'toc.dat'), 'PGDMP');
  writeFileSync(join(from, '0.dat'), '');
  writeFileSync(join(from, '1.dat.gz'), Buffer.alloc(3_000_001, 'abc'), { mode: 0o4755 });
  mkdirSync(join(from, 'below'));
  writeFileSync(join(from, 'below', `${'long'.repeat(40)}é`), 'deep');
}

describe('a packed directory', () => {
  it('comes out of tar and of us as it went in, for nobody else to read', async () => {
    fillFrom();
    const tar = await bytesOf(packTar(from));
    await unpackTar(inChunks(tar), into, roomy);
    const theirs = join(base, 'theirs');
    mkdirSync(theirs);
    execFileSync('tar', ['-x', '-C', theirs], { input: tar });
    for (const name of ['toc.dat', '0.dat', '1.dat.gz', join('below', `${'long'.repeat(40)}é`)]) {
      expect(readFileSync(join(into, name)).equals(readFileSync(join(from, name)))).toBe(true);
      expect(readFileSync(join(theirs, name)).equals(readFileSync(join(from, name)))).toBe(true);
      expect(statSync(join(into, name)).mode & 0o7777).toBe(0o600);
    }
    expect(statSync(join(into, 'below')).mode & 0o7777).toBe(0o700);
  });

  it('has the same bytes whenever the files are the same', async () => {
    fillFrom();
    const first = await bytesOf(packTar(from));
    rmSync(from, { recursive: true });
    mkdirSync(from);
    fillFrom();
    expect((await bytesOf(packTar(from))).equals(first)).toBe(true);
  });

  it('holds no link', async () => {
    symlinkSync('/etc/passwd', join(from, 'toc.dat'));
    await expect(bytesOf(packTar(from))).rejects.toMatchObject({ type: 'DumpRefused' });
  });

  it('leaves no file open when its reader goes away', async () => {
    fillFrom();
    for await (const chunk of packTar(from)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const open = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return execFileSync('readlink', [`/proc/${String(process.pid)}/fd/${fd}`], { stdio: 'pipe' }).toString();
      } catch {
        return '';
      }
    });
    expect(open.filter((target) => target.includes(from))).toEqual([]);
  });
});

/** As somebody might make it, entry by entry. */
function tarOf(entries: readonly (readonly [Wanted, string?])[]): Promise<Buffer> {
  const tar = pack();
  for (const [headers, content] of entries) tar.entry(headers, content ?? '');
  tar.finalize();
  return bytesOf(tar as AsyncIterable<Uint8Array>);
}

describe('a hostile tar is refused, names the entry and writes nothing outside', () => {
  const harmless = [{ name: 'toc.dat' }, 'x'] as const;

  it.each<[string, readonly (readonly [Wanted, string?])[], RegExp]>([
    ['an absolute name', [[{ name: '/tmp/holdfast-evil' }, 'x']], /"\/tmp\/holdfast-evil" has an absolute name/],
    ['a way up', [[{ name: '../evil' }, 'x']], /"\.\.\/evil" leads out/],
    ['a way down and up', [[{ name: 'a/../../evil' }, 'x']], /leads out/],
    ['a symbolic link', [[{ name: 'evil', type: 'symlink', linkname: '/etc' }]], /"evil" is a symlink/],
    ['a link within', [harmless, [{ name: 'evil', type: 'symlink', linkname: 'toc.dat' }]], /"evil" is a symlink/],
    ['a hard link', [[{ name: 'evil', type: 'link', linkname: '/etc/passwd' }]], /"evil" is a link/],
    ['a device', [[{ name: 'evil', type: 'character-device', devmajor: 1, devminor: 3 }]], /is a character-device/],
    ['a block device', [[{ name: 'evil', type: 'block-device', devmajor: 8, devminor: 0 }]], /is a block-device/],
    ['a fifo', [[{ name: 'evil', type: 'fifo' }]], /is a fifo/],
    ['a name twice', [harmless, harmless], /"toc\.dat" is there twice/],
    ['a name twice in other words', [harmless, [{ name: './/toc.dat' }, 'y']], /is there twice/],
    ['more bytes than announced', [[{ name: 'toc.dat' }, 'x'.repeat(2000)]], /brings more than the 1000 bytes/],
    [
      'more entries than announced',
      Array.from({ length: 4 }, (_, i) => [{ name: String(i) }] as const),
      /one more than the 3/,
    ],
  ])('%s', async (_, entries, message) => {
    const limits = { bytes: 1000, entries: 3 };
    await expect(unpackTar(inChunks(await tarOf(entries)), into, { ...roomy, limits })).rejects.toMatchObject({
      type: 'DumpRefused',
      message: expect.stringMatching(message),
    });
    expect(readdirSync(base).sort()).toEqual(['from', 'into']);
    expect(existsSync('/tmp/holdfast-evil')).toBe(false);
  });

  it('a file where a directory is needed', async () => {
    const tar = await tarOf([harmless, [{ name: 'toc.dat/below' }, 'y']]);
    await expect(unpackTar(inChunks(tar), into, roomy)).rejects.toMatchObject({ name: expect.any(String) });
    expect(readFileSync(join(into, 'toc.dat'), 'utf8')).toBe('x');
  });

  it('setuid and the like are dropped', async () => {
    await unpackTar(inChunks(await tarOf([[{ name: 'evil', mode: 0o6777 }, 'x']])), into, roomy);
    expect(statSync(join(into, 'evil')).mode & 0o7777).toBe(0o600);
  });
});

describe('a tar that is not whole', () => {
  it('is ObjectDamaged wherever it was cut', async () => {
    writeFileSync(join(from, 'a'), 'a'.repeat(700));
    writeFileSync(join(from, 'b'), 'b'.repeat(700));
    const tar = await bytesOf(packTar(from));
    for (let end = 0; end < tar.length; end += 256) {
      rmSync(into, { recursive: true });
      mkdirSync(into);
      await expect(unpackTar(inChunks(tar.subarray(0, end)), into, roomy)).rejects.toMatchObject({
        type: 'ObjectDamaged',
      });
    }
    await expect(unpackTar(inChunks(Buffer.alloc(5000, 'no tar')), into, roomy)).rejects.toMatchObject({
      type: 'ObjectDamaged',
    });
  });

  it("fails with the body's own error", async () => {
    fillFrom();
    const tar = await bytesOf(packTar(from));
    const error = new Error('the digest differs');
    async function* failing() {
      yield* inChunks(tar, 65_536);
      await Promise.resolve();
      throw error;
    }
    await expect(unpackTar(failing(), into, roomy)).rejects.toBe(error);
  });

  it("ends with the signal's reason", async () => {
    fillFrom();
    const tar = await bytesOf(packTar(from));
    const controller = new AbortController();
    async function* hanging() {
      yield* inChunks(tar.subarray(0, 10_000));
      controller.abort(new Error('cancelled by a person'));
      await new Promise<never>(() => undefined);
    }
    await expect(unpackTar(hanging(), into, { ...roomy, signal: controller.signal })).rejects.toThrow(
      'cancelled by a person',
    );
  });

  it('is StoreFull where the disk is full, and names the directory', async () => {
    const disk = mountTmpfs('size=1m');
    try {
      fillFrom();
      const tar = await bytesOf(packTar(from));
      await expect(unpackTar(inChunks(tar, 65_536), disk.directory, roomy)).rejects.toMatchObject({
        type: 'StoreFull',
        message: expect.stringContaining(disk.directory),
      });
    } finally {
      disk.close();
    }
  });
});

it('what PostgreSQL would read is what was packed, byte by byte, at any chunking', async () => {
  fillFrom();
  const tar = await bytesOf(packTar(from));
  for (const size of [1, 511, 512, 513, 1_000_000]) {
    const target = join(base, `by-${String(size)}`);
    mkdirSync(target);
    await unpackTar(inChunks(size === 1 ? tar.subarray(tar.length - 20_000) : tar, size), target, roomy).catch(
      () => undefined,
    );
    if (size > 1)
      expect((await readFile(join(target, '1.dat.gz'))).equals(readFileSync(join(from, '1.dat.gz')))).toBe(true);
  }
});
