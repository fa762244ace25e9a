import { describe, expect, test } from '@jest/globals';
import type { V1Pod } from '@kubernetes/client-node';
import { jobStanding } from '../../../src/kubernetes/worker-pod/job-standing.ts';

const like = (object: object) => object as V1Pod;
const pod = (status: object, name = 'w-1', more: object = {}) => like({ metadata: { name, ...more }, status });
const container = (state: object, ready = false) => [
  { ...{ name: 'worker', image: 'i', imageID: '', ready, restartCount: 0 }, state },
];
const waiting = (reason: string, message?: string): object => ({
  phase: 'Pending',
  containerStatuses: container({ waiting: { reason, ...(message === undefined ? {} : { message }) } }),
});
const ended = (exitCode: number, message?: string): object => ({
  phase: 'Failed',
  containerStatuses: container({
    terminated: { exitCode, reason: 'Error', ...(message === undefined ? {} : { message }) },
  }),
});
const running = (ready: boolean) => ({
  phase: 'Running',
  podIP: '10.0.0.7',
  containerStatuses: container({ running: {} }, ready),
});

function told(pods: readonly V1Pod[]): string {
  const standing = jobStanding(pods);
  switch (standing.state) {
    case 'ready':
      return 'ready';
    case 'hopeless':
      return `hopeless: ${standing.failure.type}: ${standing.failure.message}`;
    case 'waiting':
      return `${standing.doing}${standing.obstacle === null ? '' : `: ${standing.obstacle.failure.message}`}`;
  }
}

describe('how the pods of a Job stand', () => {
  test.each<[string, readonly V1Pod[], string]>([
    ['nothing was made yet', [], 'it has no pod yet'],
    ['it takes work', [pod(running(true))], 'ready'],
    ['its worker begins', [pod(running(false))], 'the worker in pod w-1 is not ready'],
    [
      'it is being deleted, whatever its condition says',
      [pod(running(true), 'w-1', { deletionTimestamp: new Date() })],
      'pod w-1 is being deleted',
    ],
    [
      'its image is not there',
      [pod(waiting('ImagePullBackOff', 'Back-off pulling image "nowhere/x"'))],
      `pod w-1: waiting for its image: pod w-1 can't start, because image i can't be pulled: Back-off pulling image "nowhere/x"`,
    ],
    [
      'a Secret is not there',
      [pod(waiting('CreateContainerConfigError', 'secret "s3" not found'))],
      `hopeless: PodFailed: pod w-1 can't start: CreateContainerConfigError: secret "s3" not found`,
    ],
    ['it is just being made', [pod(waiting('ContainerCreating'))], 'pod w-1: ContainerCreating'],
    [
      'it was evicted',
      [pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' })],
      'pod w-1 was evicted: The node was low on resource: memory.',
    ],
    [
      'it failed once, with last words',
      [pod(ended(3, 'a\nb\nno Temporal server answers\n'))],
      'pod w-1 ended with exit code 3: a; b; no Temporal server answers',
    ],
    [
      'it fails again and again',
      ['w-1', 'w-2', 'w-3', 'w-4'].map((name) => pod(ended(3), name)),
      'hopeless: PodFailed: pod w-4 ended with exit code 3: it said nothing',
    ],
    [
      'another came after those that failed',
      [
        ...['w-1', 'w-2', 'w-3', 'w-4'].map((name) => pod(ended(3), name)),
        pod(running(true), 'w-5', { creationTimestamp: new Date() }),
      ],
      'ready',
    ],
  ])('where %s', (_, pods, answer) => {
    expect(told(pods)).toBe(answer);
  });
});
