import type { TemporalConnection } from '../client/connect.ts';
import type { Start } from '../client/runs.ts';
import type { Context } from './context.ts';
import { follow, type Followed, type FollowOptions } from './follow.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { commandWord } from './type-this.ts';
import type { Watch } from './watch.ts';

export interface Started {
  readonly watch: Watch;
  /** undefined: started, and not followed. */
  readonly followed: Followed | undefined;
}

/** Starts a run and follows it, or with --no-wait says only what it is called. */
export async function startAndFollow(
  context: Context,
  output: Output,
  temporal: TemporalConnection,
  start: Start,
  wait: boolean,
  options: (watch: Watch) => FollowOptions = () => ({}),
): Promise<Started> {
  const { startRun } = await import('../client/runs.ts');
  const { watchRun } = await import('./watch.ts');
  const { workflowId } = await startRun(temporal.client, start);
  const watch = watchRun(temporal, workflowId);
  output.line('started ', styled('bold', workflowId));
  if (wait) return { watch, followed: await follow(context, output, watch, options(watch)) };
  output.line('  ', styled('cyan', `holdfast status ${commandWord(workflowId)} --follow`));
  output.document({ run: workflowId });
  return { watch, followed: undefined };
}

/** Seconds from a run's start to its end. */
export const runSeconds = ({ startedAt, closedAt }: Followed['look']): number =>
  ((closedAt ?? startedAt).getTime() - startedAt.getTime()) / 1000;
