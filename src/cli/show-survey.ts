import { commandsFor, inWords } from './type-this.ts';
import { archivingDocument, showArchives } from './show-archives.ts';
import type { CnpgWindow } from './cnpg-windows.ts';
import { movingText } from './moving.ts';
import type { Output, Row } from './output.ts';
import { showCnpgClusters } from './show-cnpg.ts';
import { showCommands } from './show-run.ts';
import { cnpgDocument } from './show-window.ts';
import { styled, type Span } from './spans.ts';
import type { PolicyState, Survey } from './survey.ts';
import { formatAge, formatUtc, formatUtcMinute } from './times.ts';
import type { Look } from './watch.ts';

export function showSurvey(output: Output, survey: Survey, byCnpg: readonly CnpgWindow[], nowMs: number): void {
  if (!survey.workerPolls) output.warn("no worker polls the task queue holdfast: start one with 'holdfast worker'");
  for (const { error } of survey.unreachable) {
    output.warn(error.message);
    output.warn('for its policies the newest successful run is shown instead of the newest good backup');
  }
  if (survey.policies.length > 0)
    output.table(
      ['CLUSTER', 'POLICY', 'NEWEST GOOD BACKUP', 'AGE', 'SCHEDULE'],
      survey.policies.map((state) => policyRow(state, nowMs)),
    );
  for (const cluster of survey.unprotected)
    output.line(styled('yellow', `cluster ${cluster} has no policy: nothing backs it up`));
  showArchives(output, survey.archives);
  showCnpgClusters(output, byCnpg, nowMs);

  output.line();
  output.line(styled('bold', survey.open.length === 0 ? 'no open runs' : 'open runs'));
  for (const { run, look } of survey.open) {
    output.line(
      '  ',
      styled('bold', run),
      `  ${stateOf(look)}`,
      styled('dim', ` (started ${formatAge(look.startedAt, nowMs)} ago)`),
    );
    for (const moving of look.moving) output.line('    ', movingText(moving, undefined));
  }
  const waiting = survey.open.flatMap(({ run, look }) =>
    look.progress && look.progress.waitingFor !== null ? [{ run, progress: look.progress }] : [],
  );
  if (waiting.length > 0) {
    output.line();
    output.line(styled('yellow', 'waits for a person'));
    for (const { run, progress } of waiting) {
      output.line(
        '  ',
        styled('bold', run),
        progress.waitingFor === 'decision'
          ? `  a decision until ${progress.expiresAt ?? ''}`
          : `  ${inWords(progress.followUps)}, for as long as it takes`,
      );
      if (progress.waitingFor === 'decision')
        output.line('    ', styled('dim', `holdfast status ${run}  shows the plan`));
      showCommands(
        output,
        commandsFor(run, progress).map((command) => `  ${command}`),
      );
    }
  }
  if (survey.failures.length > 0) {
    output.line();
    output.line(styled('red', 'recent failures'));
    for (const { run, error } of survey.failures) {
      output.line(
        '  ',
        styled('bold', run.workflowId),
        `  ${formatUtc(run.closedAt ?? run.startedAt)}  `,
        styled('red', error.type),
      );
      output.line(`    ${error.message}`);
      output.line('    ', styled('dim', `next: ${error.hint}`));
    }
  }
}

function policyRow(state: PolicyState, nowMs: number): Row {
  const { policy, cluster, newestGood } = state;
  const newest: Span = newestGood ? newestGood.id : styled('red', 'NONE');
  return [cluster, policy, newest, newestGood ? formatAge(newestGood.at, nowMs) : '', scheduleSpan(state)];
}

/** What keeps it from running at all comes before what has come of it. */
function scheduleSpan({ freshness, schedule }: PolicyState): Span {
  switch (schedule.state) {
    case 'missing':
      return styled('red', "NOT IN TEMPORAL: type 'holdfast apply'");
    case 'foreign':
      return styled('red', "ANOTHER INSTALLATION'S");
    case 'paused':
      return styled('yellow', 'PAUSED');
    case 'over':
      return styled('red', 'NO RUN AHEAD');
    case 'runs':
    case 'unwanted':
  }
  switch (freshness.state) {
    case 'in time':
      return styled('green', 'in time');
    case 'overdue':
      return styled('red', `OVERDUE since ${formatUtcMinute(freshness.since)}`);
    case 'not due yet':
      return schedule.state === 'runs' ? `first run ${formatUtcMinute(schedule.next)}` : freshness.state;
    case 'not scheduled':
      return styled('dim', freshness.state);
  }
}

function stateOf({ progress, workflow }: Look): string {
  if (!progress) return `${workflow}, no worker answers`;
  const step = progress.steps.findLast(({ status }) => status === 'running' || status === 'waiting');
  if (progress.waitingFor === 'follow-up') return `waits for ${inWords(progress.followUps)}`;
  return step ? step.name : 'between two steps';
}

export function surveyDocument(
  { policies, unprotected, unreachable, archives, open, failures, workerPolls }: Survey,
  byCnpg: readonly CnpgWindow[],
) {
  return {
    workerPolls,
    policies: policies.map(({ newestGood, freshness, schedule, ...rest }) => ({
      ...rest,
      newestGood: newestGood && { ...newestGood, at: newestGood.at.toISOString() },
      schedule: freshness.state,
      inTemporal: schedule.state,
      nextRun: schedule.state === 'runs' ? schedule.next.toISOString() : null,
      overdueSince: freshness.state === 'overdue' ? freshness.since.toISOString() : null,
    })),
    clustersWithoutPolicy: unprotected,
    walArchives: archives.map(({ cluster, run, archiving, standing }) => ({
      cluster,
      run,
      standing,
      archiving: archiving ? archivingDocument(archiving) : null,
    })),
    cnpg: cnpgDocument(byCnpg),
    unreachable: unreachable.map(({ repository, error }) => ({
      repository,
      type: error.type,
      message: error.message,
      hint: error.hint,
    })),
    open: open.map(({ run, look }) => ({
      run,
      workflow: look.workflow,
      startedAt: look.startedAt.toISOString(),
      step: look.progress?.steps.findLast(({ status }) => status === 'running' || status === 'waiting')?.name ?? null,
      waitingFor: look.progress?.waitingFor ?? null,
      expiresAt: look.progress?.expiresAt ?? null,
      plan: look.progress?.planDigest ?? null,
      workerAnswers: look.progress !== undefined,
      moving: look.moving,
      next: look.progress ? commandsFor(run, look.progress) : [],
    })),
    failures: failures.map(({ run, error }) => ({
      run: run.workflowId,
      workflow: run.type,
      closedAt: run.closedAt?.toISOString() ?? null,
      type: error.type,
      message: error.message,
      hint: error.hint,
    })),
  };
}
