import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HoldfastError } from '../../domain/errors.ts';
import type { Compressors } from '../../streams/compress.ts';
import { unpackedFrom } from '../../streams/unpack.ts';

/** More than any history or note on a backup has. */
export const smallBytes = 1024 * 1024;

/** A file's bytes, unpacked. Never follows a link. */
export function readPlain(
  path: string,
  compression: 'none' | 'gzip' | 'zstd',
  { compressors, signal }: { readonly compressors: Compressors; readonly signal: AbortSignal },
): AsyncIterable<Uint8Array> {
  return unpackedFrom(bytesOf(path), compression, compressors, signal);
}

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  // A FIFO would block a thread for ever.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

/** All of it at once; ObjectDamaged where it is more than it may be. */
export async function readAll(body: AsyncIterable<Uint8Array>, name: string, mostBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > mostBytes)
      throw new HoldfastError(
        'ObjectDamaged',
        `${name} holds more than ${String(mostBytes)} bytes`,
        'it stays where it is; look at how it came there',
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
