import { CompleteAsyncError, Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure, TemporalFailure } from '@temporalio/common';
import { HoldfastError, isRetryable, messageOf } from '../domain/errors.ts';

/**
 * The one place that turns an error of ours, of Node or of a library into a typed Temporal failure. The hint goes
 * into the message too: it is what the Temporal UI shows.
 */
function toFailure(error: unknown): unknown {
  if (error instanceof TemporalFailure || error instanceof CancelledFailure || error instanceof CompleteAsyncError)
    return error;
  if (error instanceof HoldfastError) {
    return ApplicationFailure.create({
      type: error.type,
      message: `${error.message} (${error.hint})`,
      nonRetryable: !isRetryable(error.type),
      details: [{ hint: error.hint }],
    });
  }
  return ApplicationFailure.create({
    type: 'Unexpected',
    message: `${messageOf(error)} (this is a bug, or something Holdfast has no name for: see the worker's log)`,
  });
}

type Activity = (...input: never[]) => Promise<unknown>;

/** Wraps every activity so that what it throws has a type; a cancelled activity ends as cancelled, whatever broke on the way. */
export function withTypedFailures<T extends Readonly<Record<string, Activity>>>(activities: T): T {
  const wrapped = Object.entries(activities).map(([name, run]) => [
    name,
    async (...input: never[]) => {
      try {
        return await run(...input);
      } catch (error) {
        const { cancellationSignal } = Context.current();
        throw toFailure(cancellationSignal.aborted ? (cancellationSignal.reason as unknown) : error);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}
