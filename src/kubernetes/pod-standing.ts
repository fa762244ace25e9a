import { HoldfastError, type ErrorType } from '../domain/errors.ts';
import { oneLine } from '../domain/format.ts';

/** What is looked at of a pod, as the API answers it. */
export interface PodSeen {
  readonly metadata?: { readonly uid?: string; readonly deletionTimestamp?: Date };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
    readonly containerStatuses?: readonly ContainerSeen[];
  };
}

interface ContainerSeen {
  readonly image: string;
  readonly ready: boolean;
  readonly state?: {
    readonly running?: object;
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
  };
}

/** How a short-lived pod with one container stands. */
export type PodStanding =
  | { readonly state: 'waiting'; readonly doing: string; readonly obstacle: Obstacle | null }
  | { readonly state: 'running'; readonly isReady: boolean; readonly ip: string; readonly uid: string }
  /** It has never run, and never will. */
  | { readonly state: 'unable'; readonly failure: HoldfastError }
  | { readonly state: 'over'; readonly failure: HoldfastError };

/** What may pass by itself, and is waited for a while only. */
export interface Obstacle {
  readonly kind: 'image' | 'node';
  readonly failure: HoldfastError;
}

/** How long what may pass by itself is waited for. */
const patienceMs: Readonly<Record<Obstacle['kind'], number>> = { image: 20_000, node: 3 * 60_000 };

/**
 * Remembers since when something has been in a pod's way. Each answer is the failure of what has been there for too long;
 * undefined: there is nothing, or not for so long.
 */
export function obstacleWatch(): (obstacle: Obstacle | null, nowMs: number) => HoldfastError | undefined {
  let since: number | undefined;
  return (obstacle, nowMs) => {
    since = obstacle === null ? undefined : (since ?? nowMs);
    if (obstacle === null || since === undefined) return undefined;
    return nowMs - since > patienceMs[obstacle.kind] ? obstacle.failure : undefined;
  };
}

/** A registry that is away for a moment; the scheduler's second thought. */
const imageTroubles = ['ErrImagePull', 'ImagePullBackOff', 'RegistryUnavailable', 'SignatureValidationFailed'];
/** No waiting helps against these. */
const startTroubles = [
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'StartError',
];

/**
 * What the API says of a pod, as one answer; what ends it is named: PodFailed where somebody must change something
 * (the image, its memory), PodUnavailable where it may pass (evicted, deleted, no node), StoreFull where its volume was
 * full. Pure.
 * @param pod undefined: there is none any more
 * @param what for messages: "pod infra/holdfast-drill-1a2b3c4d-1"
 */
export function podStanding(pod: PodSeen | undefined, what: string): PodStanding {
  const over = (type: ErrorType, text: string, hint: string): PodStanding => ({
    state: 'over',
    failure: new HoldfastError(type, oneLine(`${what} ${text}`), hint),
  });
  if (pod === undefined) return over('PodUnavailable', 'was deleted', 'it is tried again; see who deletes pods there');
  const { status, metadata } = pod;
  const own = status?.containerStatuses?.[0];
  if (status?.reason === 'Evicted') return evicted(over, status.message ?? '');
  if (status?.reason === 'DeadlineExceeded')
    return over('PodFailed', 'was ended because it ran for too long', 'see what it did for so long');
  const ended = own?.state?.terminated;
  if (
    ended?.reason === 'OOMKilled' ||
    (ended !== undefined && ended.message?.includes('terminated by signal 9') === true)
  )
    return over(
      'PodFailed',
      'ran out of memory',
      'raise its limit: resources: { limits: { memory: … } } in the configuration',
    );
  if (metadata?.deletionTimestamp !== undefined)
    return over('PodUnavailable', 'is being deleted', 'it is tried again; see who deletes pods there');
  if (ended !== undefined)
    return over(
      'PodFailed',
      `ended with exit code ${String(ended.exitCode)}: ${lastWords(ended.message)}`,
      'the text above says why',
    );
  if (status?.phase === 'Failed' || status?.phase === 'Succeeded')
    return over(
      'PodUnavailable',
      `is over: ${[status.reason, status.message].filter(Boolean).join(': ') || 'nobody says why'}`,
      'it is tried again; see what happened to its node',
    );
  if (own?.state?.running !== undefined && status?.podIP !== undefined)
    return { state: 'running', isReady: own.ready, ip: status.podIP, uid: metadata?.uid ?? '' };
  return waiting(pod, own, what);
}

type Over = (type: ErrorType, text: string, hint: string) => PodStanding;

const evicted = (over: Over, message: string) =>
  /EmptyDir|ephemeral (local )?storage usage|ephemeral-storage.*exceeds/i.test(message)
    ? over('StoreFull', `was evicted, because its volume was full: ${message}`, 'give it a larger volume')
    : over('PodUnavailable', `was evicted: ${message}`, 'it is tried again; look at the node');

function waiting({ status }: PodSeen, own: ContainerSeen | undefined, what: string): PodStanding {
  const { reason = '', message = '' }: { readonly reason?: string; readonly message?: string } =
    own?.state?.waiting ?? {};
  if (startTroubles.includes(reason))
    return {
      state: 'unable',
      failure: new HoldfastError(
        'PodFailed',
        oneLine(`${what} can't start: ${reason}: ${message}`),
        'correct what the text above names',
      ),
    };
  if (imageTroubles.includes(reason)) {
    const text = `can't start, because image ${own?.image ?? ''} can't be pulled: ${message}`;
    const hint = 'correct the image, or give the namespace a pull secret for its registry';
    return {
      state: 'waiting',
      doing: 'waiting for its image',
      obstacle: { kind: 'image', failure: new HoldfastError('PodFailed', oneLine(`${what} ${text}`), hint) },
    };
  }
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable')
    return {
      state: 'waiting',
      doing: 'waiting for a node',
      obstacle: {
        kind: 'node',
        failure: new HoldfastError(
          'PodUnavailable',
          oneLine(`${what} finds no node: ${scheduled.message ?? ''}`),
          'make room, or ask for less: the text above names what no node has',
        ),
      },
    };
  return { state: 'waiting', doing: reason === '' ? 'waiting to be started' : reason, obstacle: null };
}

/** The kubelet keeps at most the last two kilobytes. */
function lastWords(message: string | undefined): string {
  const lines = (message ?? '').split('\n').filter((line) => line.trim() !== '');
  return lines.length === 0 ? 'it said nothing' : lines.slice(-6).join('; ').slice(-1_000);
}
