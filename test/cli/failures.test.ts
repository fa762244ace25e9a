import { describe, expect, test } from '@jest/globals';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import { reported } from '../../src/cli/command-error.ts';
import { exitCodeMeanings, exitCodeOf, exitCodes } from '../../src/cli/exit-codes.ts';
import { runFailure } from '../../src/cli/run-failure.ts';
import { isPassing, temporalTrouble } from '../../src/cli/temporal.ts';
import { errorTypes, HoldfastError } from '../../src/domain/errors.ts';
import { expectGolden } from '../golden.ts';

const run = 'backup/jigga-daily/1a2b3c4d';
const failed = (cause: Error) =>
  reported(
    runFailure(new WorkflowFailedError('Workflow execution failed', cause, RetryState.NON_RETRYABLE_FAILURE), run),
  );
const inActivity = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'takeBackup', '1', RetryState.MAXIMUM_ATTEMPTS_REACHED, undefined, cause);
const named = ApplicationFailure.create({
  type: 'Busy',
  message: 'cluster jigga is busy (wait)',
  details: [{ hint: 'wait' }],
  nonRetryable: true,
});

describe('how a run failed', () => {
  test('the failure that Holdfast named is found, and its hint stands apart', () => {
    const busy = { type: 'Busy', message: 'cluster jigga is busy', hint: 'wait', exitCode: 7 };
    expect(failed(named)).toEqual(busy);
    expect(failed(inActivity(named))).toEqual(busy);
  });

  test('a run that a person ended is not a mystery', () => {
    expect(failed(new CancelledFailure('Workflow cancelled'))).toMatchObject({ type: 'Cancelled', exitCode: 1 });
    expect(failed(inActivity(new CancelledFailure('cancelled')))).toMatchObject({ type: 'Cancelled', exitCode: 1 });
    expect(failed(new TerminatedFailure('Workflow execution terminated'))).toMatchObject({
      type: 'Terminated',
      exitCode: 1,
    });
  });

  test('work that nobody took from its queue is a missing worker', () => {
    const late = new TimeoutFailure('activity ScheduleToStart timeout', undefined, 'SCHEDULE_TO_START');
    expect(failed(inActivity(late))).toMatchObject({ type: 'NoWorker', exitCode: 5 });
    expect(failed(new TimeoutFailure('too long', undefined, 'START_TO_CLOSE'))).toMatchObject({
      type: 'TimedOut',
      exitCode: 1,
    });
  });

  test('a failure without a name of ours keeps its own words', () => {
    const foreign = ApplicationFailure.create({ type: 'TypeError', message: 'x is not a function' });
    expect(failed(foreign)).toMatchObject({ type: 'Unexpected', message: 'x is not a function', exitCode: 1 });
  });
});

describe('what gRPC says', () => {
  const place = { address: 'temporal.example.internal:7233', namespace: 'default' };
  const grpc = (code: number) =>
    Object.assign(new Error(`${String(code)} SOMETHING: in words`), { code, details: 'in words' });
  test.each([4, 5, 7, 13, 14, 16])('code %i becomes an error with a hint and exit code 5', (code) => {
    expect(reported(temporalTrouble(new Error('wrapped', { cause: grpc(code) }), place))).toMatchObject({
      type: 'TemporalUnavailable',
      exitCode: 5,
    });
  });
  test('only silence is waited for', () => {
    expect([4, 14].every((code) => isPassing(grpc(code)))).toBe(true);
    expect([5, 7, 13, 16].some((code) => isPassing(grpc(code)))).toBe(false);
    expect(isPassing(new Error('code'))).toBe(false);
  });
  test('our own errors stay what they are', () => {
    const own = new HoldfastError('NoSuchRun', 'no such run', 'look again');
    expect(temporalTrouble(own, place)).toBe(own);
  });
});

describe('exit codes', () => {
  test('every type of failure has one, and it keeps it', () => {
    const types = [...errorTypes, 'Cancelled', 'Interrupted', 'Terminated', 'TimedOut'] as const;
    expectGolden(
      import.meta.url,
      'exit-codes.txt',
      types
        .map((type) => `${type} ${String(exitCodeOf(type))}`)
        .sort()
        .join('\n'),
    );
  });

  test('each is explained', () => {
    expect(exitCodeMeanings.map(([code]) => code)).toEqual(Object.values(exitCodes));
  });
});
