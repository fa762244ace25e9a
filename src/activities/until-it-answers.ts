import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { withSession } from '../postgres/connection.ts';
import type { Server } from '../postgres/server.ts';

const patienceMs = 5 * 60_000;
const pauseMs = 500;

/** After a start: until a session can be had. RestoreFailed where none can be within five minutes. */
export async function untilItAnswers(server: Server, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      await withSession(server, { signal }, () => Promise.resolve());
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (performance.now() > deadline)
        throw new HoldfastError(
          'RestoreFailed',
          `the server was started and doesn't answer: ${messageOf(error)}`,
          'see its own log; its directories are in their places',
          { cause: error },
        );
    }
    await sleep(pauseMs, undefined, { signal });
  }
}
