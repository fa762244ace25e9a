import { ActivityFailure, ApplicationFailure, TimeoutFailure, isCancellation } from '@temporalio/workflow';
import { wellFormed } from '../domain/format.ts';
import { HoldfastError, isRetryable, messageOf, type ErrorType } from '../domain/errors.ts';

/** A HoldfastError of the workflow's own becomes the run's typed failure; anything else stays what it is. */
export function fail(error: unknown): unknown {
  if (!(error instanceof HoldfastError)) return error;
  return failure(error.type, error.message, error.hint);
}

export function failure(
  type: ErrorType,
  message: string,
  hint: string,
  details: Readonly<Record<string, unknown>> = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message: wellFormed(`${message} (${hint})`),
    nonRetryable: true,
    details: [{ hint, ...details }],
  });
}

/** The type of a failure as Holdfast or Temporal named it, through the wrapping that an activity's failure has. */
export function failureType(error: unknown): string | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return cause.type ?? undefined;
  if (cause instanceof TimeoutFailure) return cause.timeoutType;
  return undefined;
}

export function failureText(error: unknown): string {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return messageOf(cause);
}

/** The worker that did it is gone, and said nothing of the work itself. */
const workerLost = (error: unknown): boolean => {
  if (!(error instanceof ActivityFailure)) return false;
  if (error.cause instanceof TimeoutFailure) return error.cause.timeoutType === 'HEARTBEAT';
  return error.cause instanceof ApplicationFailure && error.cause.type === 'WorkerShutdown';
};

export const mayTryAgain = (error: unknown): 'at once' | 'later' | 'no' => {
  if (isCancellation(error)) return 'no';
  if (workerLost(error)) return 'at once';
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof ApplicationFailure)) return 'no';
  const type = error.cause.type as ErrorType;
  return isRetryable(type) ? 'later' : 'no';
};

/**
 * Nobody took an activity from its queue in time: says which queue, since a queue without a worker is otherwise
 * silent for ever.
 */
export function nameMissingWorker(error: unknown, queue: string): unknown {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return error;
  if (error.cause.timeoutType !== 'SCHEDULE_TO_START') return error;
  return failure(
    'NoWorker',
    `no worker took the work from task queue ${queue}`,
    "start one with 'holdfast worker', and see that its --site is the cluster's site",
  );
}
