import type { V1Pod } from '@kubernetes/client-node';
import type { HoldfastError } from '../../domain/errors.ts';
import { podStanding, type Obstacle } from '../pod-standing.ts';

/** How the pods of one Job stand together, of which Kubernetes makes another where one ends. */
export type JobStanding =
  | { readonly state: 'ready' }
  | { readonly state: 'waiting'; readonly doing: string; readonly obstacle: Obstacle | null }
  /** Waiting changes nothing. */
  | { readonly state: 'hopeless'; readonly failure: HoldfastError };

/** Of one Job's pods: then it isn't bad luck. */
const failuresAtMost = 4;

/** @param pods of one Job, in any order */
export function jobStanding(pods: readonly V1Pod[]): JobStanding {
  const newest = [...pods].sort(byAge).at(-1);
  if (newest === undefined) return { state: 'waiting', doing: 'it has no pod yet', obstacle: null };
  const what = `pod ${newest.metadata?.name ?? ''}`;
  const standing = podStanding(newest, what);
  switch (standing.state) {
    case 'running':
      return standing.isReady
        ? { state: 'ready' }
        : { state: 'waiting', doing: `the worker in ${what} is not ready`, obstacle: null };
    case 'waiting':
      return { ...standing, doing: `${what}: ${standing.doing}` };
    case 'unable':
      return { state: 'hopeless', failure: standing.failure };
    case 'over':
      // Evicted, killed, deleted, of a node that went: the next one may live.
      return pods.filter(({ status }) => status?.phase === 'Failed').length >= failuresAtMost
        ? { state: 'hopeless', failure: standing.failure }
        : { state: 'waiting', doing: standing.failure.message, obstacle: null };
  }
}

const byAge = (a: V1Pod, b: V1Pod) =>
  (a.metadata?.creationTimestamp?.getTime() ?? 0) - (b.metadata?.creationTimestamp?.getTime() ?? 0);
