import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { memberText } from '../../../src/postgres/restore/member.ts';
import { gzip, stored } from './contents.ts';

const signal = new AbortController().signal;
const script = `CREATE ROLE "ünï";\n${'-- filler\n'.repeat(20_000)}`;

describe('a small member’s text', () => {
  it('is read whole, packed or plain', async () => {
    expect(await memberText(stored(gzipSync(script), undefined, 10), await gzip(), signal)).toBe(script);
    // Chunks that end inside a character.
    expect(await memberText(stored(Buffer.from(script), undefined, 1_001), undefined, signal)).toBe(script);
  });

  it('is not taken where its digest differs, it is cut off, or it is something else', async () => {
    const bytes = gzipSync(script);
    const read = async (body: AsyncIterable<Uint8Array>) => memberText(body, await gzip(), signal);
    await expect(read(stored(bytes, new Error('does not have the recorded sha-256')))).rejects.toThrow(
      'does not have the recorded sha-256',
    );
    await expect(read(stored(bytes.subarray(0, -20)))).rejects.toMatchObject({ type: 'ToolFailed' });
    await expect(read(stored(gzipSync(Buffer.from([0x43, 0xe9]))))).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining('is not UTF-8') as unknown,
    });
  });

  it('is never so long that it fills the memory', async () => {
    async function* endless() {
      for (;;) {
        await Promise.resolve();
        yield Buffer.alloc(1024 * 1024, 32);
      }
    }
    await expect(memberText(endless(), undefined, signal)).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining('is longer than') as unknown,
    });
  });
});
