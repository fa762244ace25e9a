import { HoldfastError } from '../domain/errors.ts';
import { Meter } from './meter.ts';

export interface Expected {
  /** For the message: the object's key, or a part of it. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Passes on what was stored and fails with ObjectDamaged where it isn't what it should be: at once when it is longer
 * (nothing beyond the expected length is passed on), at the end when it is shorter or its SHA-256 differs. So what
 * comes out is to be trusted only after the end; whoever can't take bytes back verifies first and reads again.
 */
export async function* verified(body: AsyncIterable<Uint8Array>, expected: Expected): AsyncGenerator<Uint8Array> {
  const meter = new Meter();
  for await (const chunk of body) {
    if (meter.bytes + chunk.length > expected.bytes) throw damaged(expected, 'is longer than recorded');
    meter.update(chunk);
    yield chunk;
  }
  if (meter.bytes < expected.bytes) throw damaged(expected, `is shorter than recorded: ${String(meter.bytes)} bytes`);
  if (meter.digest() !== expected.sha256) throw damaged(expected, 'does not have the recorded sha-256');
}

/** Reads all of it and keeps nothing; errors as `verified` does. */
export async function verify(
  body: AsyncIterable<Uint8Array>,
  expected: Expected,
  onProgress?: (bytes: number) => void,
): Promise<void> {
  let bytes = 0;
  for await (const chunk of verified(body, expected)) {
    bytes += chunk.length;
    onProgress?.(bytes);
  }
}

function damaged({ name, bytes }: Expected, what: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${name} (${String(bytes)} bytes) ${what}`,
    'restore from another backup, and look for the cause at the storage: the bytes were right when they were written',
  );
}
