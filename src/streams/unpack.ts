import { HoldfastError, messageOf } from '../domain/errors.ts';
import { startChain } from '../process/chain.ts';
import { compressorFor, type Compressor, type Compressors } from './compress.ts';
import type { Lending } from './lent.ts';
import { guarded, pour, sinkOf } from './pour.ts';

const usualStallMs = 10 * 60_000;

/** What a body of this compression holds; of `none` the body itself. Fails as `unpacked` does, and as `compressorFor`. */
export function unpackedFrom(
  body: AsyncIterable<Uint8Array>,
  compression: Compressor['compression'] | 'none',
  compressors: Compressors,
  signal: AbortSignal,
  { lent = false }: Lending = {},
): AsyncIterable<Uint8Array> {
  return compression === 'none' ? body : unpacked(body, compressorFor(compressors, compression), { signal, lent });
}

export interface UnpackOptions extends Lending {
  readonly signal: AbortSignal;
  readonly stallMs?: number;
}

/**
 * What a compressed stream holds, unpacked by the compressor's library, else by its own tool. Ends only once all of it
 * was right. Fails with the body's own error where that fails, else with ToolFailed, which for a decompressor means
 * damaged bytes. Leaving the iteration early lets go of everything.
 */
export async function* unpacked(
  body: AsyncIterable<Uint8Array>,
  compressor: Pick<Compressor, 'name' | 'decompress' | 'library'>,
  { signal, stallMs = usualStallMs, lent = false }: UnpackOptions,
): AsyncGenerator<Uint8Array> {
  const leaving = new AbortController();
  const either = AbortSignal.any([signal, leaving.signal]);
  const stored = guarded(body, { signal: either, from: 'the repository', stallMs });
  const pieces = compressor.library?.unpack(stored, { lent }) ?? unpackedByTool(stored, compressor, either, stallMs);
  try {
    // By hand: leaving must first let go of a body that hangs.
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
  } finally {
    leaving.abort();
    await pieces.return(undefined);
  }
}

async function* unpackedByTool(
  body: AsyncIterable<Uint8Array>,
  compressor: Pick<Compressor, 'name' | 'decompress'>,
  signal: AbortSignal,
  stallMs: number,
): AsyncGenerator<Uint8Array> {
  const chain = startChain([compressor.decompress], { stdin: 'pipe', stdout: 'pipe', signal });
  const { stdin } = chain;
  if (!stdin)
    throw new HoldfastError('Unexpected', `${compressor.name} was started without an input`, 'report this as a bug');
  let bodyError: unknown;
  const fed = (async () => {
    try {
      await pour(
        watched(body, (error) => (bodyError = error)),
        sinkOf(stdin),
        { signal, from: 'the repository', to: compressor.name, stallMs },
      );
      stdin.end();
    } catch (error) {
      stdin.destroy(error instanceof Error ? error : new Error(messageOf(error)));
      throw error;
    }
  })();
  fed.catch(() => undefined);
  try {
    for await (const chunk of chain.stdout) yield chunk as Uint8Array;
    await fed;
    await chain.finished;
  } catch (error) {
    throw bodyError ?? error;
  } finally {
    await chain.kill();
  }
}

async function* watched(
  body: AsyncIterable<Uint8Array>,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    onError(error);
    throw error;
  }
}
