import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findTool } from '../../src/process/environment.ts';
import { findCompressors } from '../../src/streams/compress.ts';
import { unpacked } from '../../src/streams/unpack.ts';

const signal = new AbortController().signal;
const found = await findCompressors(findTool, signal);
if (found.zstd?.library === undefined) throw new Error('this machine has no zstd, or no libzstd.so.1');
const zstd = found.zstd;

const packed = (...plain: readonly Uint8Array[]) =>
  Buffer.concat(plain.map((input) => execFileSync('zstd', ['-1', '-q', '-c'], { input, maxBuffer: 2 ** 27 })));

/** In pieces of these lengths; memory that is used again, as a repository's may be. */
async function* inPieces(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(Math.max(...lengths));
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = Math.min(lengths[turn % lengths.length] ?? 1, bytes.length - at);
    memory.fill(0);
    memory.set(bytes.subarray(at, at + length));
    at += length;
    yield memory.subarray(0, length);
    await Promise.resolve();
  }
}

async function all(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends one chunk and then nothing for ever. */
const hangs = (first: Uint8Array): AsyncIterable<Uint8Array> & { left: boolean } => {
  const body = {
    left: false,
    [Symbol.asyncIterator]() {
      let sent = false;
      return {
        next(): Promise<IteratorResult<Uint8Array>> {
          if (sent) return new Promise(() => undefined);
          sent = true;
          return Promise.resolve({ done: false, value: first });
        },
        return(): Promise<IteratorResult<Uint8Array>> {
          body.left = true;
          return new Promise(() => undefined);
        },
      };
    },
  };
  return body;
};

describe.each([
  ['libzstd in this process', zstd],
  ['the zstd command', { ...zstd, library: undefined }],
])('unpacking with %s', (_, compressor) => {
  const unpack = (body: AsyncIterable<Uint8Array>) => unpacked(body, compressor, { signal });
  const unpackAll = (bytes: Uint8Array, lengths = [65_536]) => all(unpack(inPieces(bytes, lengths)));
  const megabyte = 1024 * 1024;

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('a')],
    ['exactly one piece', randomBytes(megabyte)],
    ['exactly two pieces', Buffer.alloc(2 * megabyte, 'ab')],
    ['one byte more than a piece', randomBytes(megabyte + 1)],
    ['far more than comes in', Buffer.alloc(40 * megabyte)],
  ])('gives back a frame of %s', async (_name, plain) => {
    expect((await unpackAll(packed(plain))).equals(plain)).toBe(true);
  });

  test('gives back any frames after each other, however they are cut into chunks', async () => {
    const body = fc.uint8Array({ maxLength: 5_000 });
    const repeated = fc.tuple(body, fc.integer({ min: 1, max: 800 })).map(([bytes, times]) => {
      return Buffer.concat(Array.from({ length: times }, () => bytes));
    });
    const lengths = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(repeated, { minLength: 1, maxLength: 4 }), lengths, async (bodies, cuts) => {
        expect((await unpackAll(packed(...bodies), cuts)).equals(Buffer.concat(bodies))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  test.each([
    ['no byte at all', Buffer.alloc(0)],
    ['what is no frame', Buffer.from('-- PostgreSQL database cluster dump')],
    ['a frame that is cut off', packed(randomBytes(300_000)).subarray(0, 200_000)],
    ['a frame whose last byte is missing', packed(Buffer.from('one')).subarray(0, -1)],
    ['bytes behind a frame', Buffer.concat([packed(Buffer.from('one')), Buffer.from('two')])],
    [
      'a second frame that is cut off',
      Buffer.concat([packed(Buffer.from('one')), packed(randomBytes(99)).subarray(0, 50)]),
    ],
  ])('refuses %s', async (_name, stored) => {
    await expect(unpackAll(stored)).rejects.toMatchObject({ type: 'ToolFailed' });
  });

  test('refuses a frame with a changed byte', async () => {
    const stored = packed(randomBytes(100_000));
    stored.writeUInt8(stored.readUInt8(50_000) ^ 1, 50_000);
    await expect(unpackAll(stored)).rejects.toMatchObject({ type: 'ToolFailed' });
  });

  test("fails with the body's own error", async () => {
    const stored = packed(randomBytes(3 * megabyte));
    async function* breaks() {
      yield* inPieces(stored.subarray(0, 2 * megabyte), [100_000]);
      throw new Error('the disk is gone');
    }
    await expect(all(unpack(breaks()))).rejects.toThrow('the disk is gone');
  });

  test('lets go of a body that hangs when the caller leaves', async () => {
    const body = hangs(packed(randomBytes(5 * megabyte)));
    const iterator = unpack(body);
    await iterator.next();
    await iterator.return(undefined);
    expect(body.left).toBe(true);
  });

  test('ends with the reason of its signal, also where the body hangs', async () => {
    const abort = new AbortController();
    const body = hangs(packed(randomBytes(5 * megabyte)).subarray(0, -1));
    const reading = all(unpacked(body, compressor, { signal: abort.signal }));
    setTimeout(() => {
      abort.abort(new Error('cancelled'));
    }, 100);
    await expect(reading).rejects.toThrow('cancelled');
    expect(body.left).toBe(true);
  });

  test('fails where the body sends nothing for too long', async () => {
    const body = hangs(packed(randomBytes(megabyte)).subarray(0, -1));
    const reading = all(unpacked(body, compressor, { signal, stallMs: 200 }));
    await expect(reading).rejects.toThrow(/^the repository has sent nothing/);
  });
});
