import { HoldfastError } from '../domain/errors.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import type { LiveServer } from '../domain/recovery-facts.ts';
import type { RunIdentity } from '../domain/run.ts';
import { workerPodName, type Purpose, type Workload } from '../domain/workload.ts';
import { found } from '../kubernetes/failures.ts';
import { assertDown, podsOfSet, readStatefulSet, scaleDown, scaleUp } from '../kubernetes/scale.ts';
import { workloadOf } from '../kubernetes/statefulset-volume.ts';
import type { WorkerOrder } from '../kubernetes/worker-pod/job.ts';
import { raiseWorkerPod, removeWorkerPod, sweepWorkerPods } from '../kubernetes/worker-pod/raise.ts';
import { serverOf, whoOf, type Dependencies } from './dependencies.ts';
import { readLive } from './read-live.ts';
import { templateFor } from './worker-pod-template.ts';
import { untilItAnswers } from './until-it-answers.ts';
import type { Working } from './working.ts';

/** Recovery in the place of a StatefulSet's server: what is asked of Kubernetes, beside the work on the volume. */

export interface WorkloadInput {
  readonly spec: RecoverSpec;
  readonly run: RunIdentity;
}

/** A StatefulSet as it is now, and what its server and its Secret tell. */
export interface FoundWorkload {
  readonly workload: Workload;
  /** null: it doesn't answer. */
  readonly live: LiveServer | null;
  readonly who: { readonly user: string; readonly database: string };
}

/** Where the data lies, and as whom its server runs. Changes nothing; what can't be recovered in place is refused. */
export async function locateWorkload(
  deps: Dependencies,
  { spec, run }: WorkloadInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<FoundWorkload> {
  const place = placeOf(spec);
  const kubernetes = await deps.kubernetes(signal);
  const live = await readLive(deps, spec, signal);
  const set = await readStatefulSet(kubernetes, place);
  const pods = await podsOfSet(kubernetes, set);
  const workload = await workloadOf(
    { ...place, dataDirectory: place.inPlace?.dataDirectory },
    {
      ...{ set, pod: pods[0], liveDirectory: live?.dataDirectory ?? null, run: run.short },
      claim: (name) =>
        found(
          `read PersistentVolumeClaim ${place.namespace}/${name}`,
          kubernetes.core.readNamespacedPersistentVolumeClaim({ name, namespace: place.namespace }),
        ),
    },
  );
  return { workload, live, who: await whoOf(deps, spec.source) };
}

export interface WorkerPodInput extends WorkloadInput {
  readonly workload: Workload;
  readonly purpose: Purpose;
}

/**
 * Makes sure that the run's pod is there and takes work, after pods of runs that are over have been removed. For work on
 * the volume of a StatefulSet that is down: also that nobody else has started it meanwhile.
 */
export async function readyWorkerPod(
  deps: Dependencies,
  { isDown, ...input }: WorkerPodInput & { readonly isDown: boolean },
  { signal, report }: Working,
): Promise<{ readonly host: string }> {
  const { workload, run } = input;
  const kubernetes = await deps.kubernetes(signal);
  const order = orderOf(input);
  if (input.purpose === 'work')
    await sweepWorkerPods(kubernetes, order, (runs) => deps.leases.closed(runs), { signal });
  if (isDown) await assertDown(kubernetes, workload, run);
  await raiseWorkerPod(kubernetes, order, await templateFor(deps, kubernetes), {
    signal,
    onWait: (why) => {
      report({ doing: `waiting for the worker's pod: ${why}` });
    },
  });
  await deps.failpoint('workload:pod');
  if (isDown) await assertDown(kubernetes, workload, run);
  return { host: order.name };
}

/** The run's pod is gone when this answers. */
export async function removeWorkerPodOf(
  deps: Dependencies,
  input: WorkerPodInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  await removeWorkerPod(await deps.kubernetes(signal), orderOf(input), { signal });
}

export interface ScaleInput extends WorkloadInput {
  readonly workload: Workload;
}

/** No pod of the StatefulSet is left when this answers. */
export async function scaleDownWorkload(
  deps: Dependencies,
  { workload, run }: ScaleInput,
  { signal, report }: Working,
): Promise<void> {
  await deps.failpoint('workload:scale down');
  await scaleDown(await deps.kubernetes(signal), workload, run, {
    signal,
    onWait: (why) => {
      report({ doing: why });
    },
  });
  await deps.failpoint('workload:down');
}

export interface ScaleUpInput extends ScaleInput {
  /** The server that must answer then; null: whichever, also none. */
  readonly expected: { readonly systemIdentifier: string; readonly timeline: number } | null;
}

const readyWithinMs = 8 * 60_000;

/** Its pods are ready when this answers, and the server that runs there is the one that was recovered. */
export async function scaleUpWorkload(
  deps: Dependencies,
  { spec, run, workload, expected }: ScaleUpInput,
  { signal, report }: Working,
): Promise<void> {
  await deps.failpoint('workload:scale up');
  await scaleUp(await deps.kubernetes(signal), workload, run, {
    signal,
    patienceMs: readyWithinMs,
    onWait: (why) => {
      report({ doing: why });
    },
  });
  if (expected === null) return;
  report({ doing: 'waiting for its server to answer' });
  await untilItAnswers(await serverOf(deps, spec.source), signal);
  const live = await readLive(deps, spec, signal);
  if (live?.systemIdentifier === expected.systemIdentifier && live.timeline >= expected.timeline) return;
  throw new HoldfastError(
    'RestoreFailed',
    live === null
      ? `the server of cluster ${spec.argument.cluster} answered, and then no more`
      : `what answers for cluster ${spec.argument.cluster} is system ${live.systemIdentifier} on timeline ${String(live.timeline)}, not what was recovered (${expected.systemIdentifier}, timeline ${String(expected.timeline)})`,
    'see where its Service leads, and its data directory',
  );
}

function placeOf({ source, argument }: RecoverSpec) {
  if ('statefulset' in source) return source.statefulset;
  throw new HoldfastError('Unexpected', `cluster ${argument.cluster} is no StatefulSet`, 'report this as a bug');
}

function orderOf({ spec, run, workload, purpose }: WorkerPodInput): WorkerOrder {
  const { namespace, claim, mountPath, subPath, user, fsGroup, node } = workload;
  return {
    ...{ namespace, purpose, run, user, fsGroup, node },
    name: workerPodName(spec.argument.cluster, run.short, purpose),
    site: spec.source.site,
    installation: spec.installation,
    cluster: spec.argument.cluster,
    volume: { claim, mountPath, subPath },
    passwordFrom: null,
  };
}
