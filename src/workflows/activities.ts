import { proxyActivities, sleep } from '@temporalio/workflow';
import type {
  BytesActivities,
  ControlActivities,
  HostActivities,
  SiteActivities,
  WalActivities,
} from '../activities/index.ts';
import { bytesQueue, controlQueue, hostQueue, siteQueue, walQueue } from '../domain/ids.ts';
import { mayTryAgain, nameMissingWorker } from './failures.ts';

/** Reads the configuration. Safe to retry: changes nothing. */
export const control = proxyActivities<ControlActivities>({
  taskQueue: controlQueue,
  startToCloseTimeout: '1 minute',
  scheduleToStartTimeout: '5 minutes',
  retry: { initialInterval: '1 second', maximumInterval: '20 seconds', maximumAttempts: 5 },
});

/** Waits for a busy cluster, for about five minutes. Safe to retry: asking again for a lease one holds is granted. */
export const leases = proxyActivities<ControlActivities>({
  taskQueue: controlQueue,
  startToCloseTimeout: '30 seconds',
  scheduleToStartTimeout: '5 minutes',
  retry: { initialInterval: '1 second', backoffCoefficient: 1.5, maximumInterval: '15 seconds', maximumAttempts: 25 },
});

/** Gives a lease back. Tries for a day: a lease that stays behind blocks the cluster until its holder is closed. */
export const givingBack = proxyActivities<ControlActivities>({
  taskQueue: controlQueue,
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '1 day',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 2000 },
});

type Proxied<T> = ReturnType<typeof proxyActivities<T>>;

/**
 * Quick work beside the data: reads facts, publishes, deletes, swaps. Every one of them can be done again after a
 * crash at any point: each looks first at what is already done.
 */
function atSite(site: string): Proxied<SiteActivities> {
  return proxyActivities<SiteActivities>({
    taskQueue: siteQueue(site),
    startToCloseTimeout: '1 hour',
    heartbeatTimeout: '30 seconds',
    scheduleToStartTimeout: '5 minutes',
    retry: { initialInterval: '2 seconds', maximumInterval: '20 seconds', maximumAttempts: 5 },
  });
}

/**
 * The swap and its undo: tried for a quarter of an hour, because a server that went away in the middle of one may have
 * left the live database closed, and only going on opens it again. Each finds out how far it has come. A pod that found no
 * place has been waited for already.
 */
export async function decisive<T>(site: string, run: (activities: Proxied<SiteActivities>) => Promise<T>): Promise<T> {
  const activities = proxyActivities<SiteActivities>({
    taskQueue: siteQueue(site),
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout: '30 seconds',
    scheduleToStartTimeout: '5 minutes',
    retry: {
      initialInterval: '1 second',
      maximumInterval: '20 seconds',
      maximumAttempts: 50,
      nonRetryableErrorTypes: ['PodUnavailable'],
    },
  });
  try {
    return await run(activities);
  } catch (error) {
    throw nameMissingWorker(error, siteQueue(site));
  }
}

/**
 * Moves bytes for hours; lives as long as it heartbeats. One attempt each: `persist` decides about the next, because
 * a worker that stops must not use up the attempts that real failures are given.
 */
export function movingBytes(site: string): Proxied<BytesActivities> {
  return proxyActivities<BytesActivities>({
    taskQueue: bytesQueue(site),
    startToCloseTimeout: '48 hours',
    heartbeatTimeout: '30 seconds',
    scheduleToStartTimeout: '24 hours',
    retry: { maximumAttempts: 1 },
  });
}

/**
 * Streams a log for an hour. One attempt: the workflow tries again for ever. It waits without end for a worker: what
 * isn't archived is kept by the server meanwhile.
 */
export const streamingWal = (site: string): Proxied<WalActivities> =>
  proxyActivities<WalActivities>({
    taskQueue: walQueue(site),
    startToCloseTimeout: '6 hours',
    heartbeatTimeout: '30 seconds',
    retry: { maximumAttempts: 1 },
  });

/** Work on an instance that lies on one machine's disk; moves bytes, so one attempt each (see persist). */
export const onHost = (site: string, host: string): Proxied<HostActivities> =>
  proxyActivities<HostActivities>({
    taskQueue: hostQueue(site, host),
    startToCloseTimeout: '7 days',
    heartbeatTimeout: '30 seconds',
    scheduleToStartTimeout: '1 day',
    retry: { maximumAttempts: 1 },
  });

/**
 * Waits for what somebody else does, for days if need be. Safe to retry: only looks, as often as a worker goes away.
 */
export const watching = (site: string): Proxied<SiteActivities> =>
  proxyActivities<SiteActivities>({
    taskQueue: siteQueue(site),
    startToCloseTimeout: '7 days',
    heartbeatTimeout: '30 seconds',
    retry: { initialInterval: '2 seconds', maximumInterval: '1 minute', maximumAttempts: 500 },
  });

const pausesMs = [5_000, 20_000];
const lostWorkersAtMost = 50;

/**
 * Runs byte-moving work until it succeeds or fails for good: three times when it fails in a way that may pass, and
 * as often as it takes (50 times at most) when its worker went away.
 * @param run gets a number that no other attempt of this run has
 */
export async function persist<T>(site: string, run: (attempt: number) => Promise<T>): Promise<T> {
  let failures = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run(attempt);
    } catch (error) {
      const again = mayTryAgain(error);
      if (again === 'no') throw nameMissingWorker(error, bytesQueue(site));
      if (again === 'at once') {
        if (attempt - failures > lostWorkersAtMost) throw error;
        continue;
      }
      const pauseMs = pausesMs[failures];
      if (pauseMs === undefined) throw error;
      failures += 1;
      await sleep(pauseMs);
    }
  }
}

/** Runs work on a site's quick queue, and says so where no worker serves that site. */
export async function quick<T>(site: string, run: (activities: Proxied<SiteActivities>) => Promise<T>): Promise<T> {
  try {
    return await run(atSite(site));
  } catch (error) {
    throw nameMissingWorker(error, siteQueue(site));
  }
}
