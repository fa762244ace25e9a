import type { Progress } from '../domain/run.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Followed } from './follow.ts';
import type { Output } from './output.ts';
import { showCommands, showDecision } from './show-run.ts';
import { showStanding, standingOf } from './standing.ts';
import { styled, type Span } from './spans.ts';
import { commandsFor } from './type-this.ts';

/** What restores and recoveries have in common: a human decides, and may ask for more once something is done. */

/** Shows every plan once. A terminal goes on waiting; anything else stops where a person is needed. */
export function decisionWatcher(output: Output, run: string): (progress: Progress) => 'go on' | 'stop' {
  let shown: string | null = null;
  return (progress) => {
    if (progress.waitingFor === 'follow-up') return 'stop';
    if (progress.waitingFor !== 'decision') return 'go on';
    if (shown !== progress.planDigest) {
      shown = progress.planDigest;
      showDecision(output, run, progress);
    }
    return output.terminal ? 'go on' : 'stop';
  };
}

export interface DecidedEnd {
  /** Where it waits for a person to ask for more: what it is then, in one word for programs and in words. */
  readonly standing: (progress: Progress) => { readonly outcome: string; readonly words: readonly Span[] };
  /** Of a run that has ended: its lines. */
  readonly ended: (result: unknown) => {
    readonly outcome: string;
    readonly words: readonly Span[];
    readonly done: readonly string[];
  };
}

/** Says how a followed run stands, or how it ended, and what to type next. `outcome` may throw why it failed. */
export async function endOfDecided(
  output: Output,
  run: string,
  followed: Followed,
  outcome: () => Promise<unknown>,
  end: DecidedEnd,
): Promise<ExitCode> {
  if (followed.end === 'closed') {
    const result = await outcome();
    const said = end.ended(result);
    output.line(styled('green', said.outcome), ...said.words);
    for (const done of said.done) output.line(`  ${done}`);
    output.document({ run, outcome: said.outcome, waitingFor: null, result });
    return exitCodes.ok;
  }
  const { progress } = followed;
  const { waitingFor, planDigest, expiresAt, plan, followUps } = progress;
  const next = commandsFor(run, progress);
  const standing = waitingFor === 'follow-up' ? end.standing(progress) : undefined;
  if (standing) {
    output.line();
    output.line(styled('green', standing.outcome), ...standing.words);
    showStanding(output, progress);
    showCommands(output, next);
  }
  output.document({
    run,
    outcome: standing?.outcome ?? null,
    waitingFor,
    followUps,
    standing: standing ? standingOf(progress) : null,
    planDigest,
    plan,
    expiresAt,
    next,
  });
  return waitingFor === 'decision' ? exitCodes.waits : exitCodes.ok;
}
