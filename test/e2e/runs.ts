/** What end-to-end tests do over and over: start runs as a user would and watch them from outside. */
import {
  isGrpcCancelledError,
  isGrpcDeadlineError,
  type WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../../parts/world.ts';
import type { BackupResult } from '../../src/workflows/backup.ts';
import type { RestorePlan } from '../../src/domain/plan.ts';
import type { Plan, Progress } from '../../src/domain/run.ts';

let counter = 0;

export async function start(
  world: World,
  workflow: string,
  argument: unknown,
  workflowId?: string,
): Promise<WorkflowHandle> {
  counter += 1;
  return world.client.workflow.start(workflow, {
    workflowId: workflowId ?? `${workflow}/test-${String(counter)}`,
    taskQueue: 'holdfast',
    args: [argument],
  });
}

export async function backUp(world: World, policy = 'daily'): Promise<BackupResult> {
  const handle = await start(world, 'backup', { policy });
  return (await handle.result()) as BackupResult;
}

/** Waits until the run says of itself what is wanted. A run that ends before fails the wait with its own failure. */
export async function untilProgress<P extends Plan = RestorePlan>(
  handle: WorkflowHandle,
  wanted: (progress: Progress<P>) => boolean,
): Promise<Progress<P>> {
  for (;;) {
    const { status } = await handle.describe();
    const progress = await answerOf<P>(handle);
    if (progress !== undefined && wanted(progress)) return progress;
    if (status.name !== 'RUNNING' && progress !== undefined) {
      await handle.result();
      throw new Error(`the run ended as ${status.name} after ${progress.steps.map(({ name }) => name).join(', ')}`);
    }
    await sleep(100);
  }
}

const answerOf = <P extends Plan>(handle: WorkflowHandle) => askOnce<Progress<P>>(handle, 'progress');

/** What a run answers; asked again for as long as the worker that was asked has died. */
export async function queried<T>(handle: WorkflowHandle, query: string): Promise<T> {
  for (;;) {
    const answer = await askOnce<T>(handle, query);
    if (answer !== undefined) return answer;
  }
}

/** Undefined when the worker that was asked has died: the next question goes to another. */
async function askOnce<T>(handle: WorkflowHandle, query: string): Promise<T | undefined> {
  try {
    return await handle.client.withDeadline(Date.now() + 5_000, () => handle.query<T>(query));
  } catch (error) {
    // The deadline shows as either.
    if (!isGrpcDeadlineError(error) && !isGrpcCancelledError(error)) throw error;
    return undefined;
  }
}

export const untilDecision = <P extends Plan = RestorePlan>(handle: WorkflowHandle) =>
  untilProgress<P>(handle, ({ waitingFor }) => waitingFor === 'decision');
export const untilFollowUp = <P extends Plan = RestorePlan>(handle: WorkflowHandle) =>
  untilProgress<P>(handle, ({ waitingFor }) => waitingFor === 'follow-up');

/** Approves the plan in force, as a person who read it. */
export async function approve(handle: WorkflowHandle, progress: Progress): Promise<void> {
  await handle.signal('approve', {
    by: 'alice',
    reason: 'checked the report',
    plan: (progress.planDigest ?? '').slice(0, 12),
  });
}

export interface Failed {
  readonly type: string;
  readonly message: string;
  readonly hint: string;
}

/** How a run failed: its typed failure. Fails itself if the run succeeded. */
export async function failureOf(handle: WorkflowHandle): Promise<Failed> {
  try {
    await handle.result();
  } catch (error) {
    let cause: unknown = (error as WorkflowFailedError).cause;
    while (cause instanceof Error && cause.name !== 'ApplicationFailure' && cause.cause instanceof Error)
      cause = cause.cause;
    const { type, message, details } = cause as { type?: string; message: string; details?: { hint?: string }[] };
    return { type: type ?? (cause as Error).name, message, hint: details?.[0]?.hint ?? '' };
  }
  throw new Error(`run ${handle.workflowId} succeeded, a failure was expected`);
}
