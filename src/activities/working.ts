import { Context } from '@temporalio/activity';

const beatMs = 5_000;

/** What a heartbeat says; a hint for whoever watches, never the truth: that is read from the repository. */
export interface Heartbeat {
  readonly doing: string;
  readonly bytes?: number;
  readonly totalBytes?: number;
  readonly done?: number;
  readonly total?: number;
}

export interface Working {
  /** Aborted when the run is cancelled, timed out or terminated, and when the worker stops. */
  readonly signal: AbortSignal;
  /** Cheap: called as often as bytes move. */
  readonly report: (heartbeat: Heartbeat) => void;
}

/**
 * Runs an activity's work and heartbeats every five seconds with what it last reported, which is also how it hears
 * of a cancellation. Whether the work itself still moves is watched where bytes are poured: a tool that hangs ends
 * there, not here.
 */
export async function working<T>(doing: string, run: (work: Working) => Promise<T>): Promise<T> {
  const context = Context.current();
  let last: Heartbeat = { doing };
  const beat = () => {
    context.heartbeat(last);
  };
  beat();
  const timer = setInterval(beat, beatMs);
  try {
    return await run({
      signal: context.cancellationSignal,
      report: (heartbeat) => {
        last = heartbeat;
      },
    });
  } finally {
    clearInterval(timer);
  }
}
