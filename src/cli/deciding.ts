import { HoldfastError } from '../domain/errors.ts';
import { shortDigest } from '../domain/plan.ts';
import type { Progress } from '../domain/run.ts';
import { ask, canAsk } from './ask.ts';
import type { Context } from './context.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { withTemporal } from './temporal.ts';
import { commandWord } from './type-this.ts';

export interface Deciding {
  readonly verb: 'approve' | 'reject';
  readonly run: string;
  readonly plan?: string;
  readonly by?: string;
  readonly reason: string;
}

/**
 * Approves or rejects exactly one plan. Without --plan it shows the plan in force and asks a person at a terminal to
 * type its digits; nothing is ever taken for a yes. Throws DecisionRefused with the run's own reason.
 */
export async function decideOnPlan(context: Context, output: Output, input: Deciding): Promise<void> {
  const { verb, run, reason } = input;
  const by = nameOf(context, input.by);
  if (input.plan === undefined && (output.json || !canAsk(context)))
    throw new HoldfastError(
      'InvalidArgument',
      `${verb} needs to know which plan is meant, and nobody can be asked here`,
      `give --plan with the first 12 digits that 'holdfast status ${commandWord(run)}' prints`,
    );
  await withTemporal(context, async (temporal) => {
    const { decide } = await import('../client/runs.ts');
    const { watchRun } = await import('./watch.ts');
    const { open, progress, status } = await watchRun(temporal, run).look();
    if (!open)
      throw new HoldfastError(
        'DecisionRefused',
        `run ${run} has ended (${status.toLowerCase()}): nothing is left to decide`,
        `'holdfast status ${commandWord(run)}' shows how`,
      );
    if (!progress)
      throw new HoldfastError(
        'NoWorker',
        `no worker answers for run ${run}, so nothing was decided`,
        "start one with 'holdfast worker', and decide again",
      );
    const plan = input.plan ?? (await confirmed(context, output, input, progress));
    const taken = await decide(temporal.client, run, { decision: verb, by, reason, plan });
    const done = verb === 'approve' ? 'approved' : 'rejected';
    output.line(
      styled('green', done),
      ` plan ${shortDigest(taken.plan)} of ${run} as '${by}' (a declaration: nobody checks it)`,
    );
    output.line('  ', styled('cyan', `holdfast status ${commandWord(run)} --follow`));
    output.document({ run, decision: verb, plan: taken.plan, by, reason });
  });
}

/** The whole digest of the plan that was shown: another one that has come meanwhile is not meant. */
async function confirmed(
  context: Context,
  output: Output,
  { verb, run }: Deciding,
  progress: Progress,
): Promise<string> {
  const { planDigest, waitingFor } = progress;
  if (planDigest === null || waitingFor !== 'decision')
    throw new HoldfastError(
      'DecisionRefused',
      `no plan of run ${run} waits for a decision`,
      `'holdfast status ${commandWord(run)}' shows what it does`,
    );
  const { showDecision } = await import('./show-run.ts');
  showDecision(output, run, progress);
  const digits = shortDigest(planDigest);
  const typed = await ask(context, `\nType ${digits} to ${verb} this plan, anything else to leave it: `);
  if (typed === digits) return planDigest;
  throw new HoldfastError(
    'DecisionRefused',
    `nothing was decided: what was typed is not ${digits}`,
    'the run goes on waiting',
  );
}

/** --by, else the name that the operating system has. It is shown, and never proves anything. */
export function nameOf({ userName }: Context, given: string | undefined): string {
  const by = given ?? userName;
  if (by !== undefined && by !== '') return by;
  throw new HoldfastError(
    'InvalidArgument',
    'nobody knows who decides: the operating system has no name for this user',
    'give --by NAME',
  );
}
