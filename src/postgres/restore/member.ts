import { HoldfastError } from '../../domain/errors.ts';
import type { Compressor } from '../../streams/compress.ts';
import { unpacked } from '../../streams/unpack.ts';

/** Roles and tablespaces as text: far below this, even with ten thousand roles. */
const maxBytes = 256 * 1024 * 1024;

/**
 * The plain text of a small member. Fails with the error of `stored`, with ToolFailed (damaged), or with ObjectDamaged
 * where it isn't UTF-8 or is far too long.
 * @param compressor undefined: stored as plain text
 */
export async function memberText(
  stored: AsyncIterable<Uint8Array>,
  compressor: Compressor | undefined,
  signal: AbortSignal,
): Promise<string> {
  const plain = compressor === undefined ? stored : unpacked(stored, compressor, { signal });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of plain) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw damaged(`is longer than ${String(maxBytes)} bytes`);
    chunks.push(Uint8Array.from(chunk));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw damaged('is not UTF-8');
  }
}

const damaged = (what: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `a part of the backup that should be a small SQL text ${what}`,
    'verify the backup, and restore from another one',
  );
