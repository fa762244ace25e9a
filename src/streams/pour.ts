import { Readable, type Writable } from 'node:stream';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/** Takes bytes, one chunk after the other; resolves when it is ready for the next. StageWriter is one. */
export interface Sink {
  write(chunk: Uint8Array): Promise<void>;
}

export interface PourOptions {
  readonly signal: AbortSignal;
  /** Who sends and who takes, for the message about a stall. */
  readonly from: string;
  readonly to: string;
  /**
   * Longest time without a byte moving, in milliseconds; seen after one to two times as long. Without it a pour may
   * rest for ever.
   */
  readonly stallMs?: number;
  /** Sees every chunk before it is written. */
  readonly meter?: { update(chunk: Uint8Array): void };
  /** After every chunk that was taken: bytes of this pour so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Moves everything from the source to the sink, one chunk at a time, and returns how many bytes. The source's end is
 * not the sink's: that stays open for more. Rejects with the error that was first, as it was thrown (stream.pipeline()
 * would say AbortError); with the signal's reason; or with ToolFailed (the source stalled) or StoreUnavailable (the
 * sink did). The source is destroyed then. At most one write is still under way when it rejects: a sink has to bear an
 * abort() or rollback() that waits behind it.
 */
export function pour(source: AsyncIterable<Uint8Array>, sink: Sink, options: PourOptions): Promise<number> {
  const { signal, stallMs } = options;
  const iterator = source[Symbol.asyncIterator]();
  return new Promise<number>((resolve, reject) => {
    let over = false;
    const isOver = () => over;
    let waitingFor: 'source' | 'sink' = 'source';
    let timer: NodeJS.Timeout | undefined;
    const finish = (): boolean => {
      if (over) return false;
      over = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      return true;
    };
    const fail = (error: unknown) => {
      if (!finish()) return;
      close(source, iterator, error);
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort's reason may be anything
      reject(error);
    };
    const onAbort = () => {
      fail(signal.reason);
    };
    let moves = 0;
    const watch = (limitMs: number) => {
      const seen = moves;
      // A worker that was stopped finds its timer due before it has looked at what arrived meanwhile: one more turn.
      timer = setTimeout(() => {
        setImmediate(() => {
          if (over) return;
          if (moves === seen) fail(stalled(waitingFor, limitMs, options.from, options.to));
          else watch(limitMs);
        });
      }, limitMs);
    };
    const run = async () => {
      let bytes = 0;
      for (;;) {
        waitingFor = 'source';
        const next = await iterator.next();
        if (isOver()) return;
        if (next.done === true) break;
        waitingFor = 'sink';
        moves += 1;
        options.meter?.update(next.value);
        await sink.write(next.value);
        if (isOver()) return;
        bytes += next.value.length;
        options.onProgress?.(bytes);
        moves += 1;
      }
      if (finish()) resolve(bytes);
    };
    if (signal.aborted) {
      fail(signal.reason);
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    if (stallMs !== undefined) watch(stallMs);
    run().catch(fail);
  });
}

/**
 * Passes on what a source sends, each chunk as it comes. Fails as pour does where the source fails, stalls, or the
 * signal is aborted, and never waits for a source that hangs.
 */
export async function* guarded(
  source: AsyncIterable<Uint8Array>,
  { signal, from, stallMs }: { readonly signal: AbortSignal; readonly from: string; readonly stallMs: number },
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await soon(
        () => iterator.next(),
        signal,
        stallMs,
        () => stalled('source', stallMs, from, ''),
      );
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Of one that has ended nothing is left to close.
    close(source, iterator, signal.reason);
  }
}

/** What comes, if it comes in time and before the signal's end. */
function soon<T>(ask: () => Promise<T>, signal: AbortSignal, limitMs: number, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => {
      fail(signal.reason);
    };
    // As in pour: what has arrived while this process was stopped is looked at first.
    const timer = setTimeout(() => {
      setImmediate(() => {
        fail(late());
      });
    }, limitMs);
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      finish();
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort's reason may be anything
      reject(error);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    ask().then((value) => {
      finish();
      resolve(value);
    }, fail);
  });
}

/** Lets go of the source without waiting for it: one that hangs would never answer. */
function close(source: AsyncIterable<Uint8Array>, iterator: AsyncIterator<Uint8Array>, error: unknown): void {
  if (source instanceof Readable) {
    source.on('error', () => undefined);
    source.destroy(error instanceof Error ? error : new Error(messageOf(error)));
    return;
  }
  iterator.return?.().then(undefined, () => undefined);
}

function stalled(waitingFor: 'source' | 'sink', stallMs: number, from: string, to: string): HoldfastError {
  const seconds = `${String(Math.round(stallMs / 1_000))} s`;
  return waitingFor === 'source'
    ? new HoldfastError(
        'ToolFailed',
        `${from} has sent nothing for ${seconds}`,
        `look at what ${from} waits for: a lock, a network, a disk`,
      )
    : new HoldfastError(
        'StoreUnavailable',
        `${to} has taken nothing for ${seconds}`,
        `look whether ${to} still answers: a hung mount, a full disk`,
      );
}

/** A Node stream as a sink, for a chain's stdin. Errors are the stream's own. */
export function sinkOf(
  stream: Writable,
): Sink & { /** Ends it and waits until everything is taken. */ end(): Promise<void> } {
  const attempt = (act: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      act((error) => {
        if (error) reject(stream.errored ?? error);
        else resolve();
      });
    });
  return {
    write: (chunk) => attempt((done) => stream.write(chunk, done)),
    end: () => attempt((done) => stream.end(done)),
  };
}
