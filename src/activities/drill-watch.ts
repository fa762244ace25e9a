import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { drillPodName } from '../kubernetes/drill/pod.ts';
import { describePod, troubleOf, type ServingPod } from '../kubernetes/drill/serve.ts';
import { connect, type Server, type Session } from '../postgres/connection.ts';

/** A drill's pod that answers. */
export interface Served {
  readonly pod: ServingPod;
  /** Held for as long as the drill takes: as long as it is there, the server is that very one. */
  readonly session: Session;
}

const reachMs = 60_000;
const pollMs = 1_000;

/**
 * A session in template1, in which nobody's way it is: databases are made from template0, and every other one may be
 * renamed.
 */
export async function reach(
  kubernetes: Kubernetes,
  pod: ServingPod,
  server: Server,
  signal: AbortSignal,
): Promise<Session> {
  const begun = performance.now();
  for (;;) {
    try {
      return await connect(server, { database: 'template1', applicationName: 'holdfast drill', signal });
    } catch (error) {
      signal.throwIfAborted();
      const trouble = await troubleOf(kubernetes, pod);
      if (trouble !== undefined) throw trouble;
      if (performance.now() - begun >= reachMs)
        throw new HoldfastError(
          'PodFailed',
          `${describePod(pod)} is ready, and the worker can't reach its PostgreSQL at ${pod.ip}: ${messageOf(error)}`,
          `let the worker in by a NetworkPolicy for pods with app.kubernetes.io/name: ${drillPodName}; a worker outside of that network drills with drill: { on: worker }`,
          { cause: error },
        );
    }
    await sleep(pollMs, undefined, { signal });
  }
}

export interface Watch {
  /** Fails with what ended the server, if it is no more. */
  assertThere(): Promise<void>;
  /** Never fails. */
  end(): Promise<void>;
}

const watchMs = 3_000;
/** An idle server answers at once, a busy node later. */
const answerMs = 60_000;
/** The kubelet says why a container ended some seconds after it has. */
const reasonMs = 15_000;

/** Looks every few seconds whether the server is still there; where it isn't, aborts with the reason. */
export function watchPod(kubernetes: Kubernetes, { pod, session }: Served, lost: AbortController): Watch {
  const over = new AbortController();
  let asking: Promise<void> = Promise.resolve();
  // One query at a time.
  const ask = () => {
    asking = asking.then(() => answered(session));
    return asking;
  };
  const check = async () => {
    try {
      await ask();
    } catch (error) {
      throw await reasonOf(kubernetes, pod, error, over.signal);
    }
  };
  const look = async () => {
    while (!over.signal.aborted) {
      await sleep(watchMs, undefined, { signal: over.signal });
      const trouble = await troubleOf(kubernetes, pod);
      if (trouble !== undefined) throw trouble;
      await check();
    }
  };
  look().catch((error: unknown) => {
    if (!over.signal.aborted) lost.abort(error);
  });
  return {
    assertThere: check,
    end: async () => {
      over.abort();
      await session.close();
    },
  };
}

async function answered(session: Session): Promise<void> {
  const limit = new AbortController();
  const tooLong = sleep(answerMs, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`it has not answered for ${String(answerMs / 1000)} seconds`);
  });
  tooLong.catch(() => undefined);
  try {
    await Promise.race([session.query('SELECT 1'), tooLong]);
  } finally {
    limit.abort();
  }
}

async function reasonOf(
  kubernetes: Kubernetes,
  pod: ServingPod,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const begun = performance.now();
  for (;;) {
    const trouble = await troubleOf(kubernetes, pod);
    if (trouble !== undefined) return trouble;
    if (performance.now() - begun > reasonMs)
      return new HoldfastError(
        'PodUnavailable',
        `the PostgreSQL in ${describePod(pod)} is gone: ${messageOf(error)}`,
        'it is tried again; look at the node and the network',
        { cause: error },
      );
    await sleep(pollMs, undefined, { signal });
  }
}
