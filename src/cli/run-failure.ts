import { errorTypes, HoldfastError, messageOf, type ErrorType } from '../domain/errors.ts';
import { CommandError } from './command-error.ts';

/** Temporal's failures as they lie in each other: by their members, so that this file loads without Temporal. */
interface Failure extends Error {
  readonly type?: unknown;
  readonly details?: unknown;
  readonly timeoutType?: unknown;
}

/**
 * Why a run ended: the failure that Holdfast named, through the wrapping that Temporal gives it. Errors that don't
 * tell how a run ended come back as they are.
 */
export function runFailure(error: unknown, run: string): unknown {
  if (!(error instanceof Error) || error.name !== 'WorkflowFailedError') return error;
  let cancelled = false;
  for (let current: unknown = error.cause; current instanceof Error; current = current.cause) {
    const failure = current as Failure;
    switch (failure.name) {
      case 'ApplicationFailure':
        if (isErrorType(failure.type)) return named(failure.type, failure, run);
        if (failure.cause === undefined)
          return new HoldfastError('Unexpected', messageOf(failure), `see the Temporal UI for run ${run}`, {
            cause: error,
          });
        break;
      case 'CancelledFailure':
        cancelled = true;
        break;
      case 'TerminatedFailure':
        return new CommandError(
          'Terminated',
          `run ${run} was terminated`,
          'what it had begun may be left over; the next prune sweeps it',
        );
      case 'TimeoutFailure':
        return timedOut(failure, run);
    }
  }
  if (cancelled)
    return new CommandError(
      'Cancelled',
      `run ${run} was cancelled`,
      'what it had begun was taken back; start it again when you like',
    );
  return new HoldfastError('Unexpected', messageOf(error.cause ?? error), `see the Temporal UI for run ${run}`, {
    cause: error,
  });
}

const isErrorType = (type: unknown): type is ErrorType => errorTypes.some((known) => known === type);

/** The hint stands in the message too, in brackets, for the Temporal UI. */
function named(type: ErrorType, failure: Failure, run: string): HoldfastError {
  const hint = hintOf(failure.details) ?? `'holdfast status ${run}' shows how far it came`;
  const message = failure.message.endsWith(` (${hint})`) ? failure.message.slice(0, -hint.length - 3) : failure.message;
  return new HoldfastError(type, message, hint, { cause: failure });
}

function hintOf(details: unknown): string | undefined {
  const first: unknown = Array.isArray(details) ? details[0] : undefined;
  if (typeof first !== 'object' || first === null || !('hint' in first)) return undefined;
  return typeof first.hint === 'string' && first.hint !== '' ? first.hint : undefined;
}

function timedOut(failure: Failure, run: string): Error {
  if (failure.timeoutType === 'SCHEDULE_TO_START')
    return new HoldfastError(
      'NoWorker',
      `no worker took the work of run ${run} in time`,
      "start one with 'holdfast worker', and start the run again",
    );
  return new CommandError(
    'TimedOut',
    `run ${run} timed out: ${failure.message}`,
    `'holdfast status ${run}' shows how far it came`,
  );
}
