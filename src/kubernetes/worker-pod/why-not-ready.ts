import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';

/** Why a pod isn't ready, in words; `hopeless`: waiting changes nothing. */
export interface NotReady {
  readonly why: string;
  readonly hopeless: boolean;
}

/** Nothing of these passes by itself while somebody watches. */
const hopelessReasons = new Set([
  'ErrImageNeverPull',
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/** Of one Job's pods: then it isn't bad luck. */
const failuresAtMost = 4;

export const isReady = ({ metadata, status }: V1Pod): boolean =>
  metadata?.deletionTimestamp === undefined &&
  status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true;

/** @param pods of one Job, in any order */
export function whyNotReady(pods: readonly V1Pod[]): NotReady {
  const newest = [...pods].sort(byAge).at(-1);
  if (newest === undefined) return { why: 'it has no pod yet', hopeless: false };
  const name = newest.metadata?.name ?? '';
  const { status } = newest;
  const conditions = status?.conditions ?? [];
  const containerStatuses = status?.containerStatuses ?? [];
  if (newest.metadata?.deletionTimestamp !== undefined) return { why: `pod ${name} is being deleted`, hopeless: false };
  if (status?.phase === 'Failed')
    return {
      why: `pod ${name} failed: ${[status.reason, status.message, ...containerStatuses.map(lastWords)].filter(isText).join('; ')}`,
      // Evicted, killed, of a node that went: the next one may live.
      hopeless: pods.filter((pod) => pod.status?.phase === 'Failed').length >= failuresAtMost,
    };
  const scheduled = conditions.find(({ type, status: holds }) => type === 'PodScheduled' && holds === 'False');
  if (scheduled !== undefined)
    return { why: `pod ${name} has no node: ${scheduled.message ?? scheduled.reason ?? ''}`, hopeless: false };
  const [waiting] = containerStatuses.flatMap(({ state }) => state?.waiting ?? []);
  if (waiting !== undefined)
    return {
      why: `pod ${name} waits: ${[waiting.reason, waiting.message].filter(isText).join(': ')}`,
      hopeless: hopelessReasons.has(waiting.reason ?? ''),
    };
  return { why: `the worker in pod ${name} is not ready`, hopeless: false };
}

function lastWords({ state }: V1ContainerStatus): string {
  const { exitCode, reason, message } = state?.terminated ?? {};
  if (exitCode === undefined) return '';
  return `${reason ?? ''} (exit code ${String(exitCode)})${isText(message) ? `: ${message.trim().split('\n').slice(-3).join('; ')}` : ''}`;
}

const isText = (text: string | undefined): text is string => text !== undefined && text !== '';

const byAge = (a: V1Pod, b: V1Pod) =>
  (a.metadata?.creationTimestamp?.getTime() ?? 0) - (b.metadata?.creationTimestamp?.getTime() ?? 0);
