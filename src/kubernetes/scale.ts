import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod, V1StatefulSet } from '@kubernetes/client-node';
import { HoldfastError } from '../domain/errors.ts';
import type { Workload } from '../domain/workload.ts';
import type { Kubernetes } from './connection.ts';
import { asked, found } from './failures.ts';
import { recoveryAnnotation, rememberedOn, type Remembered } from './statefulset-volume.ts';

const pollMs = 500;

type Apis = Pick<Kubernetes, 'apps' | 'core' | 'mergePatch'>;
type Named = Pick<Workload, 'namespace' | 'name' | 'replicas'>;

export interface RunAtWork {
  readonly short: string;
  readonly workflowId: string;
}

/** The StatefulSet. ConfigurationInvalid where it isn't there. */
export async function readStatefulSet(
  { apps }: Pick<Kubernetes, 'apps'>,
  { namespace, name }: Pick<Workload, 'namespace' | 'name'>,
): Promise<V1StatefulSet> {
  const set = await found(`read StatefulSet ${namespace}/${name}`, apps.readNamespacedStatefulSet({ namespace, name }));
  if (set !== undefined) return set;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `there is no StatefulSet '${name}' in namespace ${namespace}`,
    'correct the name in the configuration',
  );
}

/** Its pods, also those that are just ending. */
export async function podsOfSet({ core }: Pick<Kubernetes, 'core'>, set: V1StatefulSet): Promise<V1Pod[]> {
  const namespace = set.metadata?.namespace ?? '';
  const labelSelector = Object.entries(set.spec?.selector.matchLabels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const { items } = await asked(
    `list pods in namespace ${namespace}`,
    core.listNamespacedPod({ namespace, labelSelector }),
  );
  return items.filter(({ metadata }) =>
    metadata?.ownerReferences?.some(({ uid, controller }) => controller === true && uid === set.metadata?.uid),
  );
}

/**
 * Scales it to 0, remembers on it how many pods it had and for which run, and waits until the last one is gone. Called
 * again it goes on. Busy where somebody changes it at the same time.
 */
export async function scaleDown(
  kubernetes: Apis,
  workload: Named,
  run: RunAtWork,
  { signal, onWait }: { readonly signal: AbortSignal; readonly onWait?: (why: string) => void },
): Promise<void> {
  const set = await readStatefulSet(kubernetes, workload);
  if (rememberedOn(set)?.run !== run.short) {
    const note: Remembered = { run: run.short, workflowId: run.workflowId, replicas: workload.replicas };
    await change(kubernetes, set, 0, JSON.stringify(note));
  } else if (set.spec?.replicas !== 0) throw scaledByOthers(workload, set.spec?.replicas);
  for (;;) {
    const now = await readStatefulSet(kubernetes, workload);
    assertStill(workload, now, run);
    const pods = await podsOfSet(kubernetes, now);
    if (pods.length === 0) return;
    onWait?.(`waiting for the end of pod ${pods.map(({ metadata }) => metadata?.name ?? '').join(', ')}`);
    await sleep(pollMs, undefined, { signal });
  }
}

/** Nobody has started it meanwhile. KubernetesRefused that says so. */
export async function assertDown(kubernetes: Apis, workload: Named, run: RunAtWork): Promise<void> {
  const set = await readStatefulSet(kubernetes, workload);
  assertStill(workload, set, run);
  const [pod] = await podsOfSet(kubernetes, set);
  if (pod !== undefined) throw scaledByOthers(workload, set.spec?.replicas);
}

function assertStill(workload: Named, set: V1StatefulSet, run: RunAtWork): void {
  if (set.spec?.replicas !== 0 || rememberedOn(set)?.run !== run.short)
    throw scaledByOthers(workload, set.spec?.replicas);
}

const scaledByOthers = ({ namespace, name }: Named, replicas: number | undefined) =>
  new HoldfastError(
    'KubernetesRefused',
    `StatefulSet ${namespace}/${name} was scaled to 0 for this recovery, and somebody else has scaled it to ${String(replicas ?? 1)}`,
    'an operator, Argo CD, Helm or a person did: let them leave it alone meanwhile, and begin again',
  );

/**
 * Gives it its pods back and forgets the recovery. What somebody else has scaled up already stays as it is. Answers
 * once it has ready pods again; KubernetesRefused, with what its pod says, where they don't come within `patienceMs`.
 */
export async function scaleUp(
  kubernetes: Apis,
  workload: Named,
  run: RunAtWork,
  {
    signal,
    onWait,
    patienceMs,
  }: { readonly signal: AbortSignal; readonly onWait?: (why: string) => void; readonly patienceMs: number },
): Promise<void> {
  const { namespace, name } = workload;
  const set = await readStatefulSet(kubernetes, workload);
  const remembered = rememberedOn(set);
  if (remembered?.run === run.short || set.spec?.replicas === 0)
    await change(
      kubernetes,
      set,
      set.spec?.replicas === 0 ? (remembered?.replicas ?? workload.replicas) : undefined,
      null,
    );
  const began = performance.now();
  for (;;) {
    const now = await readStatefulSet(kubernetes, workload);
    const wanted = now.spec?.replicas ?? 1;
    const { readyReplicas = 0, observedGeneration = 0 } = now.status ?? {};
    if (wanted > 0 && readyReplicas >= wanted && observedGeneration >= (now.metadata?.generation ?? 0)) return;
    const why = (await podsOfSet(kubernetes, now)).map(saysOf).join('; ');
    if (performance.now() - began > patienceMs)
      throw new HoldfastError(
        'KubernetesRefused',
        `StatefulSet ${namespace}/${name} was scaled up and has no ready pod${why === '' ? '' : `: ${why}`}`,
        `look at it: kubectl -n ${namespace} describe pod ${name}-0, and its log`,
      );
    onWait?.(why === '' ? 'waiting for its pod' : why);
    await sleep(pollMs, undefined, { signal });
  }
}

function saysOf({ metadata, status }: V1Pod): string {
  const reasons = (status?.containerStatuses ?? []).flatMap(({ state, lastState }) => [
    ...(state?.waiting === undefined ? [] : [[state.waiting.reason, state.waiting.message].join(': ')]),
    ...(lastState?.terminated === undefined ? [] : [`it ended with ${String(lastState.terminated.exitCode)}`]),
  ]);
  return [`pod ${metadata?.name ?? ''} is ${status?.phase ?? 'unknown'}`, ...reasons].join(', ');
}

/** With the version that was read: who comes between is told by a conflict. */
async function change(
  { apps, mergePatch }: Pick<Kubernetes, 'apps' | 'mergePatch'>,
  { metadata }: V1StatefulSet,
  replicas: number | undefined,
  note: string | null,
): Promise<void> {
  const namespace = metadata?.namespace ?? '';
  const name = metadata?.name ?? '';
  const body: object = {
    metadata: { resourceVersion: metadata?.resourceVersion, annotations: { [recoveryAnnotation]: note } },
    ...(replicas === undefined ? {} : { spec: { replicas } }),
  };
  await asked(
    `scale StatefulSet ${namespace}/${name}`,
    apps.patchNamespacedStatefulSet({ namespace, name, body }, mergePatch),
  );
}
