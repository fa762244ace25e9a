import { describe, expect, test } from '@jest/globals';
import { obstacleWatch, podStanding, type PodSeen } from '../../src/kubernetes/pod-standing.ts';

const what = 'pod infra/drill';
type Status = NonNullable<PodSeen['status']>;
type State = NonNullable<NonNullable<Status['containerStatuses']>[number]['state']>;

const pod = (status: Status): PodSeen => ({ metadata: { uid: 'u' }, status });
const withContainer = (state: State): PodSeen =>
  pod({
    phase: 'Running',
    podIP: '10.0.0.7',
    containerStatuses: [{ image: 'i:17', ready: true, state }],
  });

const told = (found: PodSeen | undefined) => {
  const standing = podStanding(found, what);
  if (standing.state === 'over' || standing.state === 'unable')
    return `${standing.failure.type}: ${standing.failure.message}`;
  if (standing.state === 'running') return `running at ${standing.ip}${standing.isReady ? ', ready' : ''}`;
  const { obstacle, doing } = standing;
  return obstacle === null ? doing : `${doing}: ${obstacle.failure.type}: ${obstacle.failure.message}`;
};

describe('how a short-lived pod stands', () => {
  test.each<[string, PodSeen | undefined, string]>([
    ['new', pod({ phase: 'Pending' }), 'waiting to be started'],
    ['being made', withContainer({ waiting: { reason: 'ContainerCreating' } }), 'ContainerCreating'],
    ['serving', withContainer({ running: {} }), 'running at 10.0.0.7, ready'],
    ['gone', undefined, 'PodUnavailable: pod infra/drill was deleted'],
    [
      'on its way out',
      { ...withContainer({ running: {} }), metadata: { deletionTimestamp: new Date(0) } },
      'PodUnavailable: pod infra/drill is being deleted',
    ],
    [
      'without a node',
      pod({
        phase: 'Pending',
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/1 nodes: Insufficient cpu.' },
        ],
      }),
      'waiting for a node: PodUnavailable: pod infra/drill finds no node: 0/1 nodes: Insufficient cpu.',
    ],
    [
      'without its image',
      withContainer({ waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "i:17"' } }),
      `waiting for its image: PodFailed: pod infra/drill can't start, because image i:17 can't be pulled: Back-off pulling image "i:17"`,
    ],
    [
      'with an image that has no name',
      withContainer({ waiting: { reason: 'InvalidImageName', message: 'couldn’t parse' } }),
      "PodFailed: pod infra/drill can't start: InvalidImageName: couldn’t parse",
    ],
    [
      'out of memory',
      withContainer({ terminated: { exitCode: 137, reason: 'OOMKilled' } }),
      'PodFailed: pod infra/drill ran out of memory',
    ],
    [
      'whose process the kernel killed',
      withContainer({
        terminated: { exitCode: 1, message: 'LOG:  server process (PID 9) was terminated by signal 9: Killed' },
      }),
      'PodFailed: pod infra/drill ran out of memory',
    ],
    [
      'ended',
      withContainer({ terminated: { exitCode: 74, reason: 'Error', message: 'initdb: error: a\n\nb\n' } }),
      'PodFailed: pod infra/drill ended with exit code 74: initdb: error: a; b',
    ],
    [
      'whose volume was full',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'Usage of EmptyDir volume "data" exceeds the limit "1Gi". ' }),
      'StoreFull: pod infra/drill was evicted, because its volume was full: Usage of EmptyDir volume "data" exceeds the limit "1Gi". ',
    ],
    [
      'evicted',
      pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' }),
      'PodUnavailable: pod infra/drill was evicted: The node was low on resource: memory.',
    ],
    [
      'that took too long',
      pod({ phase: 'Failed', reason: 'DeadlineExceeded' }),
      'PodFailed: pod infra/drill was ended because it ran for too long',
    ],
    [
      'whose node went away',
      pod({ phase: 'Failed', reason: 'NodeShutdown', message: 'Pod was terminated' }),
      'PodUnavailable: pod infra/drill is over: NodeShutdown: Pod was terminated',
    ],
  ])('%s', (_, found, said) => {
    expect(told(found).trimEnd()).toBe(said.trimEnd());
  });
});

describe('what is in a pod’s way', () => {
  const obstacleOf = (found: PodSeen) => {
    const standing = podStanding(found, what);
    return standing.state === 'waiting' ? standing.obstacle : null;
  };
  const imageless = obstacleOf(withContainer({ waiting: { reason: 'ErrImagePull', message: 'not found' } }));

  test('is waited for a while, and then is its failure', () => {
    const overdue = obstacleWatch();
    expect([0, 20_000, 20_001].map((nowMs) => overdue(imageless, nowMs)?.type)).toEqual([
      undefined,
      undefined,
      'PodFailed',
    ]);
  });

  test('is forgotten once it has gone', () => {
    const overdue = obstacleWatch();
    overdue(imageless, 0);
    overdue(null, 15_000);
    expect(overdue(imageless, 30_000)).toBeUndefined();
  });
});
