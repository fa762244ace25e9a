import { HoldfastError } from '../domain/errors.ts';
import type { FollowUp } from '../domain/decision.ts';
import type { Progress } from '../domain/run.ts';
import type { Context } from './context.ts';
import { nameOf } from './deciding.ts';
import { follow } from './follow.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { withTemporal } from './temporal.ts';
import { commandsFor, commandWord, isUndone } from './type-this.ts';

export interface FollowingUp {
  readonly verb: FollowUp['verb'];
  readonly run: string;
  readonly by?: string;
  readonly reason: string;
}

/**
 * Asks a swapped restore to release or undo, and follows until that is done. A signal has no answer of its own, so
 * the run's own words are read: DecisionRefused with its reason where it was not taken or did not succeed.
 */
export async function followUp(context: Context, output: Output, input: FollowingUp): Promise<void> {
  const { verb, run, reason } = input;
  const by = nameOf(context, input.by);
  await withTemporal(context, async (temporal) => {
    const { sendFollowUp } = await import('../client/runs.ts');
    const { watchRun } = await import('./watch.ts');
    const watch = watchRun(temporal, run);
    const { open, progress: before } = await watch.look();
    if (open && !before)
      throw new HoldfastError(
        'NoWorker',
        `no worker answers for run ${run}, so nothing was asked of it`,
        "start one with 'holdfast worker', and ask again",
      );
    if (!open || before?.waitingFor !== 'follow-up' || (verb === 'undo' && isUndone(before)))
      throw new HoldfastError(
        'DecisionRefused',
        `run ${run} has nothing to ${verb}`,
        `'holdfast status ${commandWord(run)}' shows what it waits for`,
      );
    await sendFollowUp(temporal.client, run, verb, by, reason);
    output.line(`asked ${run} to ${verb} as '${by}' (a declaration: nobody checks it)`);
    const followed = await follow(context, output, watch, {
      knownSteps: before.steps,
      onProgress: (progress) => (answered(before, progress, verb, by) ? 'stop' : 'go on'),
    });
    if (followed.end === 'stopped') {
      const refused = refusal(before, followed.progress, verb, by);
      if (refused !== undefined)
        throw new HoldfastError(
          'DecisionRefused',
          `${verb} of run ${run} did not take place: ${refused}`,
          `both databases are there; 'holdfast status ${commandWord(run)}' shows what it waits for`,
        );
      output.line(
        styled('green', 'undone'),
        ': the old database is back in its place; what was restored is kept until it is released',
      );
      for (const command of commandsFor(run, followed.progress)) output.line('  ', styled('cyan', command));
      output.document({ run, verb, by, outcome: 'undone', result: null });
      return;
    }
    const result = await watch.outcome();
    output.line(styled('green', 'released'), ': the database that was put aside is dropped, and the run is closed');
    output.document({ run, verb, by, outcome: 'released', result });
  });
}

/** The run said no, or has done it and waits again. A release ends the run, so that shows by itself. */
function answered(before: Progress, now: Progress, verb: FollowUp['verb'], by: string): boolean {
  if (refusal(before, now, verb, by) !== undefined) return true;
  const done = now.steps.slice(before.steps.length).some(({ name, status }) => name === verb && status === 'done');
  return verb === 'undo' && done && now.waitingFor === 'follow-up';
}

/** Why it was not taken, if the run has said so since. */
function refusal(before: Progress, now: Progress, verb: FollowUp['verb'], by: string): string | undefined {
  const since = before.refusals.at(-1)?.at ?? '';
  const known = before.refusals.length;
  return now.refusals.findLast(
    (refused, index) =>
      refused.verb === verb && refused.by === by && (refused.at > since || (refused.at === since && index >= known)),
  )?.why;
}
