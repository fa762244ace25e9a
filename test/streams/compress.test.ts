import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { captureBytes } from '../../src/process/chain.ts';
import { findTool } from '../../src/process/environment.ts';
import { type Compressor, compressorFor, findCompressors, gzipMember, member } from '../../src/streams/compress.ts';

const { signal } = new AbortController();
const only =
  (...names: readonly string[]) =>
  (name: string) =>
    names.includes(name) ? findTool(name) : undefined;

async function compressorNamed(name: string): Promise<Compressor> {
  const { gzip, zstd } = await findCompressors(only(name), signal);
  return name === 'zstd' && zstd !== undefined ? zstd : gzip;
}

const squeeze = async (compressor: Compressor, input: Uint8Array) =>
  (await captureBytes(compressor.compress, { signal, input })).stdout;
const unpack = async (compressor: Compressor, input: Uint8Array) =>
  (await captureBytes(compressor.decompress, { signal, input, maxBytes: 64 * 1024 * 1024 })).stdout;

const text = Buffer.from(
  Array.from({ length: 60_000 }, (_, i) => `${String(i)}\tsome row\t${String(i * 7_919)}\t\\N\n`).join(''),
);
const noise = randomBytes(300_000);

describe.each(['igzip', 'pigz', 'gzip', 'node:zlib', 'zstd'])('compressing with %s', (name) => {
  test('gives back what was put in, several members in a row too', async () => {
    const compressor = await compressorNamed(name);
    expect(compressor.name).toBe(name);
    expect(compressor.version).toMatch(/^\d+\./);
    const members = [
      await squeeze(compressor, text),
      await squeeze(compressor, noise),
      await squeeze(compressor, Buffer.alloc(0)),
      await member(compressor, 'footer\n', signal),
    ];
    expect(members[0]?.length).toBeLessThan(text.length / 2);
    expect(
      (await unpack(compressor, Buffer.concat(members))).equals(Buffer.concat([text, noise, Buffer.from('footer\n')])),
    ).toBe(true);
  });

  test('fails to unpack what is cut off or damaged', async () => {
    const compressor = await compressorNamed(name);
    const whole = await squeeze(compressor, text);
    const flipped = Buffer.from(whole);
    flipped[whole.length - 6] = (flipped[whole.length - 6] ?? 0) ^ 1;
    await expect(unpack(compressor, whole.subarray(0, whole.length - 20_000))).rejects.toMatchObject({
      type: 'ToolFailed',
    });
    await expect(unpack(compressor, flipped)).rejects.toMatchObject({ type: 'ToolFailed' });
  });

  test('makes the same bytes of the same input', async () => {
    const compressor = await compressorNamed(name);
    expect((await squeeze(compressor, text)).equals(await squeeze(compressor, text))).toBe(true);
  });
});

test('the members of every gzip compressor can stand in one file', async () => {
  const parts = await Promise.all(
    ['igzip', 'pigz', 'gzip', 'node:zlib'].map(async (name) => squeeze(await compressorNamed(name), text)),
  );
  const file = Buffer.concat([...parts, gzipMember('end')]);
  const expected = Buffer.concat([text, text, text, text, Buffer.from('end')]);
  expect(gunzipSync(file).equals(expected)).toBe(true);
  for (const name of ['igzip', 'pigz', 'gzip', 'node:zlib'])
    expect((await unpack(await compressorNamed(name), file)).equals(expected)).toBe(true);
});

test('the fastest tool there is gets taken, and what is missing is said', async () => {
  const all = await findCompressors(findTool, signal);
  expect([all.gzip.name, all.zstd?.name, all.slower]).toEqual(['igzip', 'zstd', []]);
  const none = await findCompressors(() => undefined, signal);
  expect([none.gzip.name, none.zstd]).toEqual(['node:zlib', undefined]);
  expect(none.slower).toEqual([
    expect.stringContaining('gzip files are made by node:zlib'),
    expect.stringContaining('zstd is not installed'),
  ]);
  expect(compressorFor(none, 'gzip').name).toBe('node:zlib');
  expect(() => compressorFor(none, 'zstd')).toThrow(expect.objectContaining({ type: 'ToolMissing' }));
});

test('a tool that is there but does not run counts as missing', async () => {
  const broken = (name: string) => (name === 'igzip' ? '/bin/false' : only('gzip')(name));
  expect((await findCompressors(broken, signal)).gzip.name).toBe('gzip');
});

test('looking for compressors ends when it is cancelled', async () => {
  const reason = new Error('cancelled');
  await expect(findCompressors(findTool, AbortSignal.abort(reason))).rejects.toBe(reason);
});
