import { HoldfastError } from '../domain/errors.ts';
import { storeError } from './errno.ts';
import { openObject, readChunks } from './files.ts';
import type { Lending } from '../streams/lent.ts';
import type { ByteRange } from './repository.ts';

export interface Place {
  readonly key: string;
  readonly path: string;
  /** For messages. */
  readonly directory: string;
}

const maxTextBytes = 64 * 1024 * 1024;

export function damaged({ key, directory }: Place, what: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${key} in ${directory} ${what}`,
    'use another backup, and look for the cause at the disk or the file server',
  );
}

/** The bytes of a range, all of them or ObjectDamaged; returns false if there is no such file. */
export async function* readObject(
  place: Place,
  range: ByteRange | undefined,
  options: Lending & { readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, boolean> {
  options.signal.throwIfAborted();
  try {
    const handle = await openObject(place.path);
    if (handle === undefined) return false;
    try {
      const { size } = await handle.stat();
      const { offset, length } = range ?? { offset: 0, length: size };
      const end = offset + length;
      if (end > size) throw damaged(place, `is only ${String(size)} bytes long, not ${String(end)}`);
      let bytes = 0;
      for await (const chunk of readChunks(handle, offset, end, options)) {
        bytes += chunk.length;
        yield chunk;
      }
      if (bytes < length) throw damaged(place, 'became shorter while it was read');
      return true;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw storeError(error, `reading ${place.key} in ${place.directory}`);
  }
}

/** A whole file as text; undefined if there is none, ObjectDamaged if it is too large to be one. */
export async function readSmall(place: Place): Promise<string | undefined> {
  const handle = await openObject(place.path);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > maxTextBytes) throw damaged(place, `is too large to be a text (${String(size)} bytes)`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of readChunks(handle, 0, size)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    await handle.close();
  }
}
