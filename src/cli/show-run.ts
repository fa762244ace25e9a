import type { Progress } from '../domain/run.ts';
import { stepLine } from './follow.ts';
import { showMarkdown } from './markdown.ts';
import { showStanding, standingOf } from './standing.ts';
import { movingText } from './moving.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { archivingDocument, archivingLines } from './show-archives.ts';
import { formatUtc } from './times.ts';
import { commandsFor, inWords } from './type-this.ts';
import type { Look } from './watch.ts';

/** The plan that is up for decision, and what to type about it. */
export function showDecision(output: Output, run: string, progress: Progress): void {
  if (progress.planText === null) return;
  output.line();
  showMarkdown(output, progress.planText);
  output.line();
  output.line(
    styled('yellow', `waits for a decision until ${progress.expiresAt ?? 'somebody decides'}`),
    '; without one it counts as rejected',
  );
  showCommands(output, commandsFor(run, progress));
}

export function showCommands(output: Output, commands: readonly string[]): void {
  for (const command of commands) output.line('  ', styled('cyan', command));
}

/** Everything that is known about one run. */
export function showRun(output: Output, run: string, look: Look): void {
  const { progress } = look;
  output.line(
    styled('bold', run),
    `  ${look.workflow}, ${look.status.toLowerCase()}, started ${formatUtc(look.startedAt)}`,
    look.closedAt ? `, ended ${formatUtc(look.closedAt)}` : '',
  );
  if (look.archiving) for (const line of archivingLines(look.archiving)) output.line(`  ${line}`);
  else for (const moving of look.moving) output.line('  moving: ', movingText(moving, undefined));
  if (!progress) {
    output.warn(
      look.polled === true
        ? 'no worker answered for this run, so its steps and plan are not shown; try again'
        : "no worker answers, so the run's steps and plan are not shown; start one with 'holdfast worker'",
    );
    return;
  }
  output.line(progress.subject.replaceAll('`', ''));
  for (const step of progress.steps) output.line(...stepLine(step));
  if (progress.waitingFor === 'decision') showDecision(output, run, progress);
  else if (progress.planText !== null) {
    output.line();
    showMarkdown(output, progress.planText);
  }
  for (const { verb, by, reason, at, plan } of progress.decisions)
    output.line(
      styled('bold', `${verb} `),
      `of plan ${plan.slice(0, 12)} by '${by}' (not authenticated) at ${at}: ${reason}`,
    );
  for (const { verb, by, why, at } of progress.refusals)
    output.line(styled('yellow', `not taken: ${verb}`), `${by === null ? '' : ` by '${by}'`} at ${at}: ${why}`);
  if (progress.waitingFor !== 'decision' && standingOf(progress) !== null) {
    output.line();
    showStanding(output, progress);
  }
  if (progress.waitingFor === 'follow-up') {
    output.line(styled('yellow', `waits for ${inWords(progress.followUps)}, for as long as it takes`));
    showCommands(output, commandsFor(run, progress));
  }
}

/** The same for programs. */
export const runDocument = (run: string, look: Look) => ({
  run,
  workflow: look.workflow,
  status: look.status,
  startedAt: look.startedAt.toISOString(),
  closedAt: look.closedAt?.toISOString() ?? null,
  workerAnswers: look.progress !== undefined,
  moving: look.moving,
  ...(look.archiving ? { archiving: archivingDocument(look.archiving) } : {}),
  progress: look.progress ?? null,
  next: look.progress ? commandsFor(run, look.progress) : [],
});
