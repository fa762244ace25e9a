import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cut } from '../../src/streams/cut.ts';

const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

interface Watched {
  given: number;
  left: boolean;
}

async function* pieces(data: Uint8Array, size: number, watched: Watched = { given: 0, left: false }) {
  try {
    for (let at = 0; at < data.length; at += size) {
      await Promise.resolve();
      watched.given = Math.min(at + size, data.length);
      yield data.subarray(at, at + size);
    }
  } finally {
    watched.left = true;
  }
}

async function all(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const anywhere = fc.record({
  data: fc.uint8Array({ maxLength: 300 }),
  from: fc.nat(),
  to: fc.nat(),
  size: fc.integer({ min: 1, max: 60 }),
});

describe('a range cut out of a stream', () => {
  test('is exactly that, and nothing behind it is read', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, async ({ data, from, to, size }) => {
        const offset = from % (data.length + 1);
        const length = to % (data.length - offset + 1);
        const part = data.subarray(offset, offset + length);
        const watched = { given: 0, left: false };
        const range = { name: 'x', offset, length, sha256: digest(part) };
        expect((await all(cut(pieces(data, size, watched), range))).equals(part)).toBe(true);
        expect(watched.given).toBeLessThan(offset + length + size);
        if (length > 0) expect(watched.left).toBe(true);
      }),
    );
  });

  test('fails at its end where a byte differs or is missing', async () => {
    const data = Buffer.from('the whole of it');
    const range = { name: 'app.sql.gz', offset: 4, length: 5, sha256: digest(data.subarray(4, 9)) };
    expect((await all(cut(pieces(data, 3), range))).toString()).toBe('whole');
    const flipped = Buffer.from('the whOle of it');
    await expect(all(cut(pieces(flipped, 3), range))).rejects.toMatchObject({ name: 'ObjectDamaged' });
    await expect(all(cut(pieces(data.subarray(0, 7), 3), range))).rejects.toMatchObject({
      name: 'ObjectDamaged',
      message: expect.stringContaining('ends after 3 of 5 bytes'),
    });
  });

  test("fails with the stream's own error", async () => {
    async function* failing() {
      yield Buffer.from('abc');
      await Promise.reject(new Error('the mount went away'));
    }
    const range = { name: 'x', offset: 1, length: 5, sha256: '' };
    await expect(all(cut(failing(), range))).rejects.toThrow('the mount went away');
  });
});
