import { Receiver } from './receiver.ts';
import type { ReceiveInput, ReceiveResult } from './receiving.ts';

export type { WalReport } from './monitor.ts';
export type { ReceiveInput, ReceiveResult, WalGap } from './receiving.ts';

/**
 * Streams a server's log into an archive through a physical replication slot, from where the archive ends. The server
 * is told only of what the archive holds lastingly, so that it keeps everything else: a process that dies here, a store
 * that stalls or a connection that breaks costs nothing, and the next call goes on without a gap. While the store is
 * slow nothing more is read from the server, and no more than `inFlight` + 1 segments (of 16 MiB; larger ones are
 * passed on as they come) are in memory.
 *
 * A timeline that ends is followed: its successor's history is stored before the successor's first segment, its last
 * segment as a partial one. What isn't in a whole segment yet isn't archived: see `maxAgeMs`.
 *
 * Ends well, with everything that is whole stored and confirmed, when the signal is aborted or the time is over.
 * Fails with ConfigurationChanged (another cluster answers), Busy (the slot is in use), PostgresUnavailable (broken,
 * stopping, silent, behind the archive: try again), PostgresRefused, or with what the sink fails with: NameTaken where
 * the archive has other bytes.
 */
export async function receiveWal(input: ReceiveInput): Promise<ReceiveResult> {
  const { signal, durationMs } = input;
  signal.throwIfAborted();
  /** Ends every connection at once. */
  const hard = new AbortController();
  const end = once();
  let ending = () => {
    hard.abort(signal.reason);
  };
  const onAbort = () => {
    ending();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  let receiver: Receiver | undefined;
  try {
    receiver = await Receiver.open(input, hard.signal);
    await receiver.prepare();
    ending = end.now;
    if (signal.aborted) end.now();
    if (durationMs !== undefined) timer = setTimeout(end.now, durationMs);
    const following = receiver.follow(end.come);
    const watching = receiver.watch(following);
    const failures: unknown[] = [];
    const onFailure = (error: unknown) => {
      failures.push(error);
      hard.abort(error);
    };
    await Promise.all([following.catch(onFailure), watching.catch(onFailure)]);
    if (failures.length > 0) throw failures[0];
    return receiver.result();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    await receiver?.close();
  }
}

/** Something that happens at most once. */
function once(): { readonly come: Promise<void>; readonly now: () => void } {
  let now!: () => void;
  const come = new Promise<void>((resolve) => {
    now = resolve;
  });
  return { come, now };
}
