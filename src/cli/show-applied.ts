import type { ScheduleChange } from '../client/schedules.ts';
import type { WalChange } from '../client/wal-archives.ts';
import type { Config } from '../domain/config.ts';
import type { Output } from './output.ts';
import type { RetentionChange } from './applying-retention.ts';
import type { Polling } from './polling.ts';
import { styled, type Style } from './spans.ts';
import { formatRun } from './times.ts';

/** What `apply` did: to schedules, to the workflows that archive WAL, and to what CloudNativePG keeps. */
export interface Applied {
  readonly schedules: readonly ScheduleChange[];
  readonly wal: readonly WalChange[];
  readonly retention: readonly RetentionChange[];
}

const styles: Readonly<Record<(ScheduleChange | WalChange | RetentionChange)['change'], Style>> = {
  created: 'green',
  started: 'green',
  updated: 'yellow',
  unchanged: 'dim',
  deleted: 'red',
  stopped: 'red',
  failed: 'red',
  orphaned: 'yellow',
};

export function showApplied(
  output: Output,
  config: Config,
  { schedules, wal, retention }: Applied,
  polling: readonly Polling[],
): void {
  if (schedules.length === 0) output.line('no policy has a schedule');
  for (const { change, policy, kind, paused, next } of schedules) {
    const { schedule, drill, timezone = 'UTC' } = config.policies[policy] ?? {};
    const cron = kind === 'drill' ? drill : schedule;
    output.line(
      styled(styles[change], change.padEnd(9)),
      kind === 'drill' ? `  drill of ${policy}` : `  ${policy}`,
      cron === undefined ? '' : styled('dim', `  ${cron} (${timezone})`),
      paused ? styled('yellow', '  PAUSED') : '',
    );
    for (const at of next) output.line(styled('dim', '             next '), formatRun(at, timezone));
  }
  for (const { change, cluster } of wal)
    output.line(styled(styles[change], change.padEnd(9)), `  WAL archive of cluster ${cluster}`);
  for (const { change, policy, window, place, before } of retention)
    output.line(
      styled(styles[change], change.padEnd(9)),
      `  ${policy} keeps ${window}`,
      place === null
        ? ''
        : styled('dim', `  ${place}${before === null || before === window ? '' : `, before: ${before}`}`),
    );
  for (const { policy, window, reason } of retention)
    if (reason !== null) output.warn(`whether CloudNativePG keeps ${window} for ${policy} is not known: ${reason}`);
  if (retention.some(({ change }) => change === 'updated'))
    output.warn(
      'where something like Argo CD or Flux keeps these objects, change the retentionPolicy there, too: it would change it back',
    );
  if (schedules.some(({ change }) => change === 'orphaned'))
    output.warn(
      "schedules marked orphaned go on starting backups and drills of policies that are gone; 'holdfast apply --prune' deletes them",
    );
  if (wal.some(({ change }) => change === 'orphaned'))
    output.warn(
      "WAL archives marked orphaned go on, though the configuration doesn't want them any more; 'holdfast apply --prune' stops them",
    );
  if (schedules.some(({ change, paused }) => paused && change !== 'deleted' && change !== 'orphaned'))
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

export const appliedDocument = ({ schedules, wal, retention }: Applied, polling: readonly Polling[]) => ({
  schedules: schedules.map(({ next, ...rest }) => ({ ...rest, next: next.map((at) => at.toISOString()) })),
  wal,
  retention,
  queues: polling,
});
