import type { ScheduleChange } from '../client/schedules.ts';
import type { Config } from '../domain/config.ts';
import type { Output } from './output.ts';
import type { Polling } from './polling.ts';
import { styled, type Style } from './spans.ts';
import { formatRun } from './times.ts';

const styles: Readonly<Record<ScheduleChange['change'], Style>> = {
  created: 'green',
  updated: 'yellow',
  unchanged: 'dim',
  deleted: 'red',
  orphaned: 'yellow',
};

export function showApplied(
  output: Output,
  config: Config,
  changes: readonly ScheduleChange[],
  polling: readonly Polling[],
): void {
  if (changes.length === 0) output.line('no policy has a schedule');
  for (const { change, policy, paused, next } of changes) {
    const { schedule, timezone = 'UTC' } = config.policies[policy] ?? {};
    output.line(
      styled(styles[change], change.padEnd(9)),
      `  ${policy}`,
      schedule === undefined ? '' : styled('dim', `  ${schedule} (${timezone})`),
      paused ? styled('yellow', '  PAUSED') : '',
    );
    for (const at of next) output.line(styled('dim', '             next '), formatRun(at, timezone));
  }
  if (changes.some(({ change }) => change === 'orphaned'))
    output.warn(
      "schedules marked orphaned go on starting backups of policies that are gone; 'holdfast apply --prune' deletes them",
    );
  if (changes.some(({ change, paused }) => paused && change !== 'deleted' && change !== 'orphaned'))
    output.warn('a paused schedule starts nothing until somebody unpauses it in Temporal');
  for (const { queues, command } of missing(polling))
    output.warn(`no worker polls ${queues.join(', ')}: start '${command}'`);
}

/** Queues without a worker, by the command that would serve them. */
function missing(polling: readonly Polling[]): { readonly queues: readonly string[]; readonly command: string }[] {
  const unserved = polling.filter(({ polled }) => !polled);
  const commands = [...new Set(unserved.map(({ command }) => command))];
  return commands.map((command) => ({
    command,
    queues: unserved.filter((one) => one.command === command).map(({ queue }) => queue),
  }));
}

export const appliedDocument = (changes: readonly ScheduleChange[], polling: readonly Polling[]) => ({
  schedules: changes.map(({ next, ...rest }) => ({ ...rest, next: next.map((at) => at.toISOString()) })),
  queues: polling,
});
