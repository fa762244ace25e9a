import type { Sink } from './output.ts';

/** What a command has of the world around it: handed in, so that tests hand in their own. */
export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  readonly directory: string;
  /** Who the operating system says is typing. */
  readonly userName: string | undefined;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly clock: Clock;
  /** Calls once on Ctrl-C; the answer takes that back. A second Ctrl-C ends the process. */
  readonly onInterrupt: (handler: () => void) => () => void;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after so long, or at once when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Runs something with a signal that Ctrl-C aborts. */
export async function interruptible<T>(context: Context, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stopListening = context.onInterrupt(() => {
    controller.abort();
  });
  try {
    return await run(controller.signal);
  } finally {
    stopListening();
  }
}
