import type { WrittenTarget } from '../client/runs.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { FollowUpVerb } from '../domain/decision.ts';
import type { Progress } from '../domain/run.ts';
import type { Context } from './context.ts';
import { nameOf } from './deciding.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { follow } from './follow.ts';
import type { Output } from './output.ts';
import { showCommands, showDecision } from './show-run.ts';
import { showStanding, standingOf } from './standing.ts';
import { styled } from './spans.ts';
import { withTemporal } from './temporal.ts';
import { commandsFor, commandWord } from './type-this.ts';
import type { Look } from './watch.ts';
import type { RecoverResult } from '../workflows/recover-run.ts';

export type FollowedUp = 'restore' | 'recover';

export interface FollowingUp {
  readonly kind: FollowedUp;
  readonly verb: FollowUpVerb;
  readonly run: string;
  readonly by?: string;
  readonly reason: string;
  /** With go-on. */
  readonly target?: WrittenTarget;
}

type Words = Readonly<Partial<Record<FollowUpVerb, readonly [outcome: string, words: string]>>>;

const doneWords: Readonly<Record<FollowedUp, Words>> = {
  restore: {
    undo: ['undone', 'the old database is back in its place; what was restored is kept until it is released'],
    release: ['released', 'the database that was put aside is dropped'],
  },
  recover: {
    promote: ['promoted', 'it takes writes'],
    'go-on': ['paused', 'at the later target, open for reading'],
    'throw-away': [
      'thrown away',
      'what was recovered is stopped and removed, and what it replaced, if anything, is back',
    ],
    undo: ['undone', 'the old data is back in its place'],
    release: ['released', 'the data that was put aside is removed'],
  },
};

/**
 * Asks a run that waits for it to do something, and follows until that is done. A signal has no answer of its own, so
 * the run's own words are read: DecisionRefused with its reason where it was not taken or did not succeed.
 */
export async function followUp(context: Context, output: Output, input: FollowingUp): Promise<ExitCode> {
  const { verb, run, reason, target } = input;
  const by = nameOf(context, input.by);
  return withTemporal(context, async (temporal) => {
    const { sendFollowUp } = await import('../client/runs.ts');
    const { watchRun } = await import('./watch.ts');
    const watch = watchRun(temporal, run);
    const before = openProgress(input, await watch.look());
    await sendFollowUp(temporal.client, run, verb, { by, reason, ...(target === undefined ? {} : { target }) });
    output.line(`asked ${run} to ${verb} as '${by}' (a declaration: nobody checks it)`);
    const followed = await follow(context, output, watch, {
      knownSteps: before.steps,
      onProgress: (progress) => (answered(before, progress, verb, by) ? 'stop' : 'go on'),
    });
    const [outcome, words] = doneWords[input.kind][verb] ?? [verb, 'done'];
    if (followed.end === 'closed') {
      const result = await watch.outcome();
      output.line(styled('green', outcome), `: ${words}, and the run is closed`);
      for (const done of input.kind === 'recover' ? (result as RecoverResult).done : []) output.line(`  ${done}`);
      output.document({ run, verb, by, outcome, waitingFor: null, result });
      return exitCodes.ok;
    }
    const { progress } = followed;
    refuseUnlessDone(input, before, progress, by);
    const { waitingFor } = progress;
    const next = commandsFor(run, progress);
    if (waitingFor === 'decision') showDecision(output, run, progress);
    else {
      output.line(styled('green', outcome), `: ${words}`);
      showStanding(output, progress);
      showCommands(output, next);
    }
    output.document({
      run,
      verb,
      by,
      outcome: waitingFor === 'decision' ? null : outcome,
      waitingFor,
      standing: standingOf(progress),
      next,
      result: null,
    });
    return waitingFor === 'decision' ? exitCodes.waits : exitCodes.ok;
  });
}

/** What the run says before it is asked. Throws where there is nothing to ask of it. */
export function openProgress({ kind, verb, run }: FollowingUp, { workflow, open, progress }: Look): Progress {
  if (workflow !== kind)
    throw new HoldfastError(
      'DecisionRefused',
      `run ${run} is of workflow ${workflow}, and 'holdfast ${kind} ${verb}' is for workflow ${kind}`,
      `'holdfast status ${commandWord(run)}' shows what it waits for, and the commands for that`,
    );
  if (open && !progress)
    throw new HoldfastError(
      'NoWorker',
      `no worker answers for run ${run}, so nothing was asked of it`,
      "start one with 'holdfast worker', and ask again",
    );
  if (!open || progress?.waitingFor !== 'follow-up' || !progress.followUps.includes(verb))
    throw new HoldfastError(
      'DecisionRefused',
      `run ${run} has nothing to ${verb}`,
      `'holdfast status ${commandWord(run)}' shows what it waits for`,
    );
  return progress;
}

/** The run said no, or has done something and waits again. What ends the run shows by itself. */
export function answered(before: Progress, now: Progress, verb: FollowUpVerb, by: string): boolean {
  if (refusal(before, now, verb, by) !== undefined) return true;
  const last = newSteps(before, now).at(-1);
  return now.waitingFor !== null && last !== undefined && last.status !== 'running';
}

const newSteps = (before: Progress, now: Progress) => now.steps.slice(before.steps.length);

function refuseUnlessDone({ kind, verb, run }: FollowingUp, before: Progress, now: Progress, by: string): void {
  const last = newSteps(before, now).at(-1);
  const why = refusal(before, now, verb, by) ?? (last?.status === 'failed' ? (last.note ?? last.name) : undefined);
  if (why === undefined) return;
  throw new HoldfastError(
    'DecisionRefused',
    `${verb} of run ${run} did not take place: ${why}`,
    `${kind === 'restore' ? 'both databases are there; ' : ''}'holdfast status ${commandWord(run)}' shows what it waits for`,
  );
}

/** Why it was not taken, if the run has said so since. */
function refusal(before: Progress, now: Progress, verb: FollowUpVerb, by: string): string | undefined {
  const since = before.refusals.at(-1)?.at ?? '';
  const known = before.refusals.length;
  return now.refusals.findLast(
    (refused, index) =>
      refused.verb === verb && refused.by === by && (refused.at > since || (refused.at === since && index >= known)),
  )?.why;
}
