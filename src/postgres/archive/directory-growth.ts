import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';

export interface GrowthOptions {
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Longest time without a byte more. */
  readonly stallMs: number;
  /** pg_dump has written its table of contents: it has all its locks by then. */
  readonly onLocked: () => void;
  /** Bytes so far. */
  readonly onBytes: (bytes: number) => void;
}

const pauseMs = 250;

/**
 * Looks at how a directory grows that pg_dump writes, since it tells nobody. Resolves when its signal is aborted;
 * rejects with ToolFailed when nothing has come for too long. A directory of many files is looked at less often.
 */
export async function watchGrowth(directory: string, options: GrowthOptions): Promise<void> {
  const { signal, stallMs, onLocked, onBytes } = options;
  let last = -1;
  let idleMs = 0;
  let locked = false;
  let restMs = pauseMs;
  // Counted in rests, not by the clock: a worker that was stopped has not waited all that time.
  while (await rested(restMs, signal)) {
    const begin = performance.now();
    const { bytes, hasContents } = await sizeOf(directory);
    if (hasContents && !locked) {
      locked = true;
      onLocked();
    }
    idleMs = bytes === last ? idleMs + restMs : 0;
    last = bytes;
    if (idleMs >= stallMs)
      throw new HoldfastError(
        'ToolFailed',
        `pg_dump has written nothing for ${String(Math.round(idleMs / 1000))} s`,
        'look at what pg_dump waits for: a lock, a network, a disk',
      );
    onBytes(bytes);
    restMs = Math.max(pauseMs, 10 * (performance.now() - begin));
  }
}

const rested = (ms: number, signal: AbortSignal) =>
  sleep(ms, undefined, { signal }).then(
    () => true,
    () => false,
  );

/** What isn't there, or goes away meanwhile, counts nothing. */
async function sizeOf(directory: string): Promise<{ bytes: number; hasContents: boolean }> {
  const names: string[] = await readdir(directory).catch(() => []);
  let bytes = 0;
  for (const name of names) {
    bytes += await stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return { bytes, hasContents: names.includes('toc.dat') };
}
