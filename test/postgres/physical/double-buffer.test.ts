import { describe, expect, it } from '@jest/globals';
import { DoubleBuffer } from '../../../src/postgres/physical/double-buffer.ts';

/** A sink that takes its time: each write waits until it is let through. */
function slowSink() {
  const chunks: Buffer[] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  return {
    chunks,
    waiting,
    write: (chunk: Uint8Array) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({
          resolve: () => {
            chunks.push(Buffer.from(chunk));
            resolve();
          },
          reject,
        });
      }),
  };
}

const turns = () => new Promise((resolve) => setImmediate(resolve));

describe('a double buffer', () => {
  it('hands on every byte in order, whatever the sizes of the pieces', async () => {
    const written: Buffer[] = [];
    const sink = {
      write: async (chunk: Uint8Array) => {
        await turns();
        written.push(Buffer.from(chunk));
      },
    };
    const buffer = new DoubleBuffer(sink, 10);
    const pieces = [0, 1, 9, 10, 11, 25, 3, 40, 7].map((length, index) => Buffer.alloc(length, 65 + index));
    for (const piece of pieces) await buffer.add(piece);
    await buffer.flush();
    await buffer.flush();
    expect(Buffer.concat(written).toString()).toBe(Buffer.concat(pieces).toString());
    expect(Math.max(...written.map(({ length }) => length))).toBe(10);
  });

  it('asks to wait only where both are full', async () => {
    const sink = slowSink();
    const buffer = new DoubleBuffer(sink, 4);
    expect(buffer.add(Buffer.from('abcd'))).toBeUndefined();
    expect(buffer.add(Buffer.from('efg'))).toBeUndefined();
    const waits = buffer.add(Buffer.from('hi'));
    expect(waits).toBeInstanceOf(Promise);
    sink.waiting[0]?.resolve();
    await waits;
    sink.waiting[1]?.resolve();
    const flushed = buffer.flush();
    await turns();
    sink.waiting[2]?.resolve();
    await flushed;
    expect(sink.chunks.map(String)).toEqual(['abcd', 'efgh', 'i']);
  });

  it('fails with what the sink failed with, now and ever after', async () => {
    const sink = slowSink();
    const buffer = new DoubleBuffer(sink, 4);
    expect(buffer.add(Buffer.from('abcdef'))).toBeUndefined();
    const waits = buffer.add(Buffer.from('gh'));
    const full = new Error('full');
    sink.waiting[0]?.reject(full);
    await expect(waits).rejects.toBe(full);
    expect(() => buffer.add(Buffer.from('x'))).toThrow(full);
    await expect(buffer.flush()).rejects.toBe(full);
  });
});
