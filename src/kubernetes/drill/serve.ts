import { setTimeout as sleep } from 'node:timers/promises';
import type { V1DeleteOptions, V1Pod } from '@kubernetes/client-node';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { labels } from '../cnpg/backup.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found } from '../failures.ts';
import { obstacleWatch, podStanding } from '../pod-standing.ts';
import { drillLabels, type drillPod } from './pod.ts';

type Core = Pick<Kubernetes, 'core'>;

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** A pod that serves. */
export interface ServingPod extends PodName {
  readonly ip: string;
  readonly uid: string;
}

export const describePod = ({ namespace, name }: PodName) => `pod ${namespace}/${name}`;

const pollMs = 500;
/** A large image over a slow line, a volume that has to be made. */
const startMs = 30 * 60_000;
/** initdb takes seconds. */
const readyMs = 5 * 60_000;

/**
 * Creates the pod and waits until it is ready. Fails as `asked` and podStanding say; with PodFailed and PodUnavailable
 * for an image that can't be pulled, a node that isn't found, a start that takes too long.
 */
export async function serve(
  { core }: Core,
  pod: ReturnType<typeof drillPod>,
  { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: (doing: string) => void },
): Promise<ServingPod> {
  const { namespace, name } = pod.metadata;
  const what = describePod({ namespace, name });
  await asked(`create ${what}`, core.createNamespacedPod({ namespace, body: pod }));
  const begun = performance.now();
  const overdue = obstacleWatch();
  let runningSince: number | undefined;
  for (;;) {
    const there = await found(`read ${what}`, core.readNamespacedPod({ name, namespace })).catch(passing(signal));
    if (there !== null) {
      const standing = podStanding(there, what);
      const now = performance.now();
      switch (standing.state) {
        case 'unable':
        case 'over':
          throw standing.failure;
        case 'waiting': {
          onWait(`${what}: ${standing.doing}`);
          const failure = overdue(standing.obstacle, now);
          if (failure !== undefined) throw failure;
          if (now - begun > startMs)
            throw new HoldfastError(
              'PodUnavailable',
              `${what} was not started in 30 minutes: ${standing.doing}`,
              `kubectl -n ${namespace} describe pod ${name} says why, as long as it is there`,
            );
          break;
        }
        case 'running':
          if (standing.isReady) return { namespace, name, ip: standing.ip, uid: standing.uid };
          onWait(`${what}: starting PostgreSQL`);
          runningSince ??= now;
          if (now - runningSince > readyMs)
            throw new HoldfastError(
              'PodFailed',
              `${what} runs, and its PostgreSQL isn't ready after 5 minutes`,
              `kubectl -n ${namespace} logs ${name} says why, as long as it is there`,
            );
      }
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Why a pod can't go on serving; undefined: nothing is wrong with it, or that can't be asked now. */
export async function troubleOf({ core }: Core, pod: ServingPod): Promise<HoldfastError | undefined> {
  const { namespace, name, uid } = pod;
  const what = describePod(pod);
  const there = await found(`read ${what}`, core.readNamespacedPod({ name, namespace })).catch(() => null);
  if (there === null) return undefined;
  const standing = podStanding(there?.metadata?.uid === uid ? there : undefined, what);
  return standing.state === 'over' || standing.state === 'unable' ? standing.failure : undefined;
}

/** null: it can't be asked right now; an API server may be away for a moment. */
const passing =
  (signal: AbortSignal) =>
  (error: unknown): null => {
    signal.throwIfAborted();
    if (error instanceof HoldfastError && error.type === 'KubernetesUnavailable') return null;
    throw error;
  };

export interface Sweep {
  readonly namespace: string;
  readonly installation: string;
  /** Short id: every pod of this run goes. Of others, what is over. */
  readonly run: string;
}

/** A pod that has ended just now may still be looked at by its own run. */
const overForMs = 60_000;

/**
 * Deletes the pods of a run, and those of other runs of this installation that are over: the worker that made them was
 * killed. What they had goes with them. Returns what is still there when the time is up, with the reason.
 */
export async function sweepDrillPods({ core }: Core, sweep: Sweep, patienceMs: number): Promise<string[]> {
  const { namespace, installation, run } = sweep;
  const labelSelector = Object.entries(drillLabels(installation))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const find = async () => {
    const what = `list the pods of drills in namespace ${namespace}`;
    const { items } = await asked(what, core.listNamespacedPod({ namespace, labelSelector }));
    return items.filter((pod) => pod.metadata?.labels?.[labels.run] === run || isOver(pod));
  };
  return removeAll({ core }, namespace, find, patienceMs);
}

/** Deletes one pod, as sweepDrillPods does. Done twice is done once. */
export async function removeDrillPod({ core }: Core, pod: PodName, patienceMs: number): Promise<string[]> {
  const find = async () => {
    const there = await found(`read ${describePod(pod)}`, core.readNamespacedPod({ ...pod }));
    return there === undefined ? [] : [there];
  };
  return removeAll({ core }, pod.namespace, find, patienceMs);
}

async function removeAll(
  { core }: Core,
  namespace: string,
  find: () => Promise<readonly V1Pod[]>,
  patienceMs: number,
): Promise<string[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const going = await find();
    if (going.length === 0) return [];
    const refused = new Map<string, string>();
    for (const { metadata } of going) {
      if (metadata?.deletionTimestamp !== undefined) continue;
      const name = metadata?.name ?? '';
      const body = thisOne(metadata?.uid ?? '');
      const deleting = core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds: 1, body });
      await found(`delete pod ${namespace}/${name}`, deleting).catch((error: unknown) => {
        refused.set(name, messageOf(error));
      });
    }
    if (performance.now() > deadline)
      return going.map(({ metadata }) => {
        const name = metadata?.name ?? '';
        return `pod ${namespace}/${name}: ${refused.get(name) ?? 'it is deleted, and not gone yet'}`;
      });
    await sleep(pollMs);
  }
}

/** No other pod that has got its name meanwhile. */
const thisOne = (uid: string): V1DeleteOptions => ({ preconditions: { uid } });

function isOver({ status, metadata }: V1Pod): boolean {
  if (status?.phase !== 'Failed' && status?.phase !== 'Succeeded') return false;
  const since = status.containerStatuses?.[0]?.state?.terminated?.finishedAt ?? metadata?.creationTimestamp;
  return since === undefined || Date.now() - new Date(since).getTime() > overForMs;
}
