import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { HoldfastError } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found, statusCodeOf } from '../failures.ts';
import { obstacleWatch } from '../pod-standing.ts';
import { labelsOf, runAnnotation, workerJob, workflowAnnotation, type WorkerOrder } from './job.ts';
import { jobStanding } from './job-standing.ts';
import type { WorkerTemplate } from './template.ts';

const pollMs = 500;
/** An image of some hundred megabytes has to be pulled. */
const readyWithinMs = 8 * 60_000;

export interface RaiseOptions {
  readonly signal: AbortSignal;
  readonly onWait?: (why: string) => void;
}

type Apis = Pick<Kubernetes, 'batch' | 'core'>;

/**
 * Makes the worker's pod of a run, or finds the one that there is, and waits until it takes work. Called again it changes
 * nothing. Where it doesn't come up it fails with Kubernetes' own reason: PodFailed where somebody must change something
 * (its image, a Secret), PodUnavailable where it may pass (no node), StoreFull where its volume was full.
 */
export async function raiseWorkerPod(
  kubernetes: Apis,
  order: WorkerOrder,
  template: WorkerTemplate,
  { signal, onWait }: RaiseOptions,
): Promise<void> {
  const what = `Job ${order.namespace}/${order.name}`;
  const begun = performance.now();
  const overdue = obstacleWatch();
  for (;;) {
    signal.throwIfAborted();
    await ensureJob(kubernetes, order, template, what);
    const pods = await podsOf(kubernetes, order);
    const standing = jobStanding(pods);
    if (standing.state === 'ready') return;
    const now = performance.now();
    if (standing.state === 'hopeless') throw await downFor(kubernetes, order, pods, standing.failure);
    const failure = overdue(standing.obstacle, now);
    if (failure !== undefined) throw await downFor(kubernetes, order, pods, failure);
    if (now - begun > readyWithinMs) throw await downFor(kubernetes, order, pods, tooLate(standing.doing));
    onWait?.(standing.doing);
    await sleep(pollMs, undefined, { signal });
  }
}

const tooLate = (doing: string) =>
  new HoldfastError(
    'PodUnavailable',
    `after ${String(readyWithinMs / 60_000)} minutes, ${doing}`,
    'see what it waits for',
  );

async function downFor(
  kubernetes: Apis,
  order: WorkerOrder,
  pods: readonly V1Pod[],
  { type, message, hint }: HoldfastError,
): Promise<HoldfastError> {
  const { namespace, name } = order;
  return new HoldfastError(
    type,
    `the worker's pod of Job ${namespace}/${name} does not come up: ${message}${await eventsOf(kubernetes, order, pods)}`,
    `${hint}; kubernetes.workerPod says what it is made of, kubectl -n ${namespace} describe job ${name} what it lacks`,
  );
}

/** The Job is there and has not ended. One of another run is left alone; one that has ended makes room. */
async function ensureJob({ batch }: Apis, order: WorkerOrder, template: WorkerTemplate, what: string): Promise<void> {
  const { namespace, name } = order;
  const there = await found(`read ${what}`, batch.readNamespacedJob({ namespace, name }));
  if (there === undefined) {
    await asked(
      `create ${what}`,
      batch.createNamespacedJob({ namespace, body: workerJob(order, template) }).catch((error: unknown) => {
        // Another attempt's: the next look finds it.
        if (statusCodeOf(error) !== 409) throw error;
      }),
    );
    return;
  }
  if (there.metadata?.annotations?.[runAnnotation] !== order.run.firstExecutionRunId)
    throw new HoldfastError(
      'NameTaken',
      `${what} is not this run's`,
      `see whose it is: kubectl -n ${namespace} describe job ${name}`,
    );
  if (hasEnded(there) && there.metadata.deletionTimestamp === undefined)
    await found(`delete ${what}`, batch.deleteNamespacedJob({ namespace, name, propagationPolicy: 'Foreground' }));
}

const hasEnded = ({ status }: V1Job) =>
  status?.conditions?.some(
    ({ type, status: holds }) => (type === 'Complete' || type === 'Failed') && holds === 'True',
  ) === true;

/** Removes the pod and waits until it is gone: what it mounted is free then. Nothing there is fine. */
export async function removeWorkerPod(
  kubernetes: Apis,
  order: Pick<WorkerOrder, 'namespace' | 'name'>,
  { signal }: Pick<RaiseOptions, 'signal'>,
): Promise<void> {
  const { namespace, name } = order;
  const what = `Job ${namespace}/${name}`;
  await found(
    `delete ${what}`,
    kubernetes.batch.deleteNamespacedJob({ namespace, name, propagationPolicy: 'Foreground' }),
  );
  for (;;) {
    const job = await found(`read ${what}`, kubernetes.batch.readNamespacedJob({ namespace, name }));
    if (job === undefined && (await podsOf(kubernetes, order)).length === 0) return;
    await sleep(pollMs, undefined, { signal });
  }
}

/** A run, as a pod of it names it. */
export interface RunOfPod {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * Removes pods of runs that are over: one that was terminated could not. `isOver` judges; pods of the run itself stay.
 */
export async function sweepWorkerPods(
  kubernetes: Apis,
  order: Pick<WorkerOrder, 'namespace' | 'installation' | 'cluster' | 'run'>,
  areOver: (runs: readonly RunOfPod[]) => Promise<readonly RunOfPod[]>,
  { signal }: Pick<RaiseOptions, 'signal'>,
): Promise<readonly string[]> {
  const { namespace } = order;
  const labelSelector = Object.entries(labelsOf(order))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const { items } = await asked(
    `list Jobs in namespace ${namespace}`,
    kubernetes.batch.listNamespacedJob({ namespace, labelSelector }),
  );
  const others = items.flatMap(({ metadata }) => {
    const workflowId = metadata?.annotations?.[workflowAnnotation];
    const runId = metadata?.annotations?.[runAnnotation];
    if (workflowId === undefined || runId === undefined || runId === order.run.firstExecutionRunId) return [];
    return [{ name: metadata?.name ?? '', run: { workflowId, runId } }];
  });
  if (others.length === 0) return [];
  const over = new Set((await areOver(others.map(({ run }) => run))).map(({ runId }) => runId));
  const removed = others.filter(({ run }) => over.has(run.runId)).map(({ name }) => name);
  for (const name of removed) await removeWorkerPod(kubernetes, { namespace, name }, { signal });
  return removed;
}

async function podsOf({ core }: Apis, { namespace, name }: Pick<WorkerOrder, 'namespace' | 'name'>): Promise<V1Pod[]> {
  const labelSelector = `batch.kubernetes.io/job-name=${name}`;
  const { items } = await asked(
    `list pods in namespace ${namespace}`,
    core.listNamespacedPod({ namespace, labelSelector }),
  );
  return items;
}

/** Volumes that can't be mounted are told in events only. A worker that may not read those says less. */
async function eventsOf({ core }: Apis, { namespace }: WorkerOrder, pods: readonly V1Pod[]): Promise<string> {
  const names = new Set(pods.map(({ metadata }) => metadata?.name));
  try {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: 'type=Warning' });
    const said = items.flatMap(({ involvedObject, reason, message }) =>
      names.has(involvedObject.name) ? [`${reason ?? ''}: ${message ?? ''}`] : [],
    );
    return said.length === 0 ? '' : `; ${[...new Set(said)].slice(-2).join('; ')}`;
  } catch {
    return '';
  }
}
