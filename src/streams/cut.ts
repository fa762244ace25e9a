import { HoldfastError } from '../domain/errors.ts';
import { Meter } from './meter.ts';

export interface Range {
  /** For the message: what the range is of. */
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  /** Of the range's bytes. */
  readonly sha256: string;
}

/**
 * Passes on one range of a stream. Once the range is out the source is left: nothing behind it is read. Fails with
 * ObjectDamaged at the end where the stream is too short or the digest is another, so what came out is to be trusted
 * only then; with the body's own error where that fails.
 */
export async function* cut(body: AsyncIterable<Uint8Array>, range: Range): AsyncGenerator<Uint8Array> {
  const end = range.offset + range.length;
  const meter = new Meter();
  let at = 0;
  if (range.length > 0) {
    for await (const chunk of body) {
      const from = Math.max(range.offset - at, 0);
      const to = Math.min(end - at, chunk.length);
      at += chunk.length;
      if (to > from) {
        const piece = chunk.subarray(from, to);
        meter.update(piece);
        yield piece;
      }
      if (at >= end) break;
    }
  }
  if (meter.bytes < range.length) {
    throw damaged(range, `ends after ${String(meter.bytes)} of ${String(range.length)} bytes`);
  }
  if (meter.digest() !== range.sha256) throw damaged(range, 'does not have the recorded sha-256');
}

function damaged({ name, offset }: Range, what: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${name}, from byte ${String(offset)} of what it unpacks to, ${what}`,
    'the file was changed or damaged since it was read; survey it again, or restore from another backup',
  );
}
