import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { verified, verify } from '../../src/streams/verified.ts';

const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

async function* cut(data: Uint8Array, size: number) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
  await Promise.resolve();
}

describe('a verified stream', () => {
  test('passes on what is right, unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 1, max: 50 }), async (data, size) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of verified(cut(data, size), { name: 'x', bytes: data.length, sha256: digest(data) }))
          chunks.push(chunk);
        expect(Buffer.concat(chunks).equals(data)).toBe(true);
      }),
    );
  });

  test('never lets a flipped bit, a missing end or an addition pass', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 2, maxLength: 300 }),
        fc.nat(),
        fc.integer({ min: 1, max: 50 }),
        async (data, where, size) => {
          const expected = { name: 'gatus content', bytes: data.length, sha256: digest(data) };
          const flipped = Uint8Array.from(data);
          flipped[where % data.length] = (flipped[where % data.length] ?? 0) ^ (1 << (where % 8));
          const shorter = data.subarray(0, where % data.length);
          const longer = Uint8Array.from([...data, where % 256]);
          for (const wrong of [flipped, shorter, longer]) {
            await expect(verify(cut(wrong, size), expected)).rejects.toMatchObject({
              type: 'ObjectDamaged',
              message: expect.stringContaining('gatus content'),
            });
          }
        },
      ),
    );
  });

  test('that is longer than recorded fails before the surplus is passed on', async () => {
    const data = Buffer.from('expected and then some');
    let passed = 0;
    const reading = async () => {
      for await (const chunk of verified(cut(data, 4), { name: 'x', bytes: 8, sha256: digest(data.subarray(0, 8)) }))
        passed += chunk.length;
    };
    await expect(reading()).rejects.toMatchObject({ type: 'ObjectDamaged' });
    expect(passed).toBe(8);
  });

  test('reports how far verification has come', async () => {
    const data = Buffer.from('0123456789');
    const progress: number[] = [];
    await verify(cut(data, 4), { name: 'x', bytes: 10, sha256: digest(data) }, (bytes) => progress.push(bytes));
    expect(progress).toEqual([4, 8, 10]);
  });
});
