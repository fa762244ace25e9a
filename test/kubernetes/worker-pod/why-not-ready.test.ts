import { describe, expect, test } from '@jest/globals';
import type { V1Pod } from '@kubernetes/client-node';
import { isReady, whyNotReady } from '../../../src/kubernetes/worker-pod/why-not-ready.ts';

const pod = (status: object, name = 'w-1') => like({ metadata: { name }, status });
const like = (object: object) => object as V1Pod;
const waiting = (reason: string, message?: string): object => ({
  phase: 'Pending',
  containerStatuses: [
    {
      ...{ name: 'worker', image: 'i', imageID: '', ready: false, restartCount: 0 },
      state: { waiting: { reason, ...(message === undefined ? {} : { message }) } },
    },
  ],
});
const ended = (exitCode: number, message?: string): object => ({
  phase: 'Failed',
  containerStatuses: [
    {
      ...{ name: 'worker', image: 'i', imageID: '', ready: false, restartCount: 0 },
      state: { terminated: { exitCode, reason: 'Error', ...(message === undefined ? {} : { message }) } },
    },
  ],
});

describe('why a pod is not ready', () => {
  test.each<[string, readonly V1Pod[], string, boolean]>([
    ['nothing was made yet', [], 'it has no pod yet', false],
    [
      'its image is not there',
      [pod(waiting('ImagePullBackOff', 'Back-off pulling image "nowhere/x"'))],
      'pod w-1 waits: ImagePullBackOff: Back-off pulling image "nowhere/x"',
      true,
    ],
    [
      'a Secret is not there',
      [pod(waiting('CreateContainerConfigError', 'secret "s3" not found'))],
      'pod w-1 waits: CreateContainerConfigError: secret "s3" not found',
      true,
    ],
    ['it is just being made', [pod(waiting('ContainerCreating'))], 'pod w-1 waits: ContainerCreating', false],
    [
      'no node takes it',
      [
        pod({
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes are available: 1 Too many pods.' }],
        }),
      ],
      'pod w-1 has no node: 0/1 nodes are available: 1 Too many pods.',
      false,
    ],
    [
      'it was evicted',
      [pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' })],
      'pod w-1 failed: Evicted; The node was low on resource: memory.',
      false,
    ],
    [
      'it failed once, with last words',
      [pod(ended(3, 'a\nb\nno Temporal server answers\n'))],
      'pod w-1 failed: Error (exit code 3): a; b; no Temporal server answers',
      false,
    ],
    [
      'it fails again and again',
      ['w-1', 'w-2', 'w-3', 'w-4'].map((name) => pod(ended(3), name)),
      'pod w-4 failed: Error (exit code 3)',
      true,
    ],
    ['its worker begins', [pod({ phase: 'Running' })], 'the worker in pod w-1 is not ready', false],
  ])('where %s', (_, pods, why, hopeless) => {
    expect(whyNotReady(pods)).toEqual({ why, hopeless });
  });

  test('one that is being deleted is not ready, whatever its condition says', () => {
    const ready = { conditions: [{ type: 'Ready', status: 'True' }] };
    expect(isReady(pod(ready))).toBe(true);
    expect(isReady(like({ metadata: { name: 'w', deletionTimestamp: new Date() }, status: ready }))).toBe(false);
  });
});
