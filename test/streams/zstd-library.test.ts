import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { findZstdLibrary } from '../../src/streams/zstd-library.ts';

const unpack = (frame: Uint8Array) => execFileSync('zstd', ['-d', '-q', '-c'], { input: frame, maxBuffer: 2 ** 26 });
const kept = (frame: Uint8Array) => Promise.resolve(Buffer.from(frame));

describe('libzstd in this process', () => {
  const library = findZstdLibrary();
  if (library === undefined) throw new Error('this machine has no libzstd.so.1 (Debian: libzstd1)');

  test('says its version', () => {
    expect(library.version).toMatch(/^1\.\d+\.\d+$/);
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a byte', Buffer.from('a')],
    ['what can hardly be compressed', randomBytes(3_000_000)],
    ['a segment of zeros', Buffer.alloc(16 * 1024 * 1024)],
  ])('makes a frame of %s that the zstd command reads', async (_, bytes) => {
    const frame = await library.frame(bytes, kept);
    expect(unpack(frame).equals(bytes)).toBe(true);
  });

  test('gives the frame a checksum: damage is found', async () => {
    const frame = await library.frame(Buffer.from('one and two and three '.repeat(1000)), kept);
    frame.writeUInt8(frame.readUInt8(frame.length - 1) ^ 1, frame.length - 1);
    expect(() => unpack(frame)).toThrow('Restored data doesn');
  });

  test('makes many at once, each of its own bytes, and goes on after a failure of whoever takes them', async () => {
    const bodies = Array.from({ length: 20 }, (_, at) => Buffer.alloc(1_000_000 + at, `body ${String(at)} `));
    const failing = library.frame(randomBytes(10), () => Promise.reject(new Error('the disk is full')));
    const frames = Promise.all(bodies.map((body) => library.frame(body, kept)));
    await expect(failing).rejects.toThrow('the disk is full');
    for (const [at, frame] of (await frames).entries()) expect(unpack(frame).equals(bodies[at] ?? frame)).toBe(true);
  });
});
