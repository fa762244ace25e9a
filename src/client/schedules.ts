import { ScheduleNotFoundError, ScheduleOverlapPolicy, type Client, type ScheduleOptions } from '@temporalio/client';
import { nextRuns } from './next-runs.ts';
import { digestOf, type Json } from '../domain/canonical.ts';
import type { Config, PolicyConfig } from '../domain/config.ts';
import { durationMs } from '../domain/duration.ts';
import { controlQueue, scheduleId, scheduledWorkflowId } from '../domain/ids.ts';

export interface ScheduleChange {
  readonly scheduleId: string;
  readonly policy: string;
  readonly change: 'created' | 'updated' | 'unchanged' | 'deleted' | 'orphaned';
  readonly paused: boolean;
  /** The next three runs, as Temporal will start them. */
  readonly next: readonly Date[];
}

const memoKey = 'holdfast-installation';

/**
 * Makes Temporal's schedules equal to the configuration. Touches only those whose memo names this installation, keeps
 * a pause that a human made, and deletes what no policy wants any more only when told to.
 */
export async function applySchedules(
  client: Client,
  config: Config,
  options: { readonly prune: boolean },
): Promise<ScheduleChange[]> {
  const changes: ScheduleChange[] = [];
  const wanted = new Set<string>();
  for (const [name, policy] of Object.entries(config.policies)) {
    if (policy.schedule === undefined) continue;
    const id = scheduleId(config.installation, name);
    wanted.add(id);
    const { change, paused } = await applySchedule(client, scheduleOptions(config, name, policy, policy.schedule));
    changes.push({ scheduleId: id, policy: name, change, paused, next: nextRuns(policy.schedule, policy.timezone) });
  }
  for await (const summary of client.schedule.list()) {
    if (summary.memo?.[memoKey] !== config.installation || wanted.has(summary.scheduleId)) continue;
    if (options.prune) await client.schedule.getHandle(summary.scheduleId).delete();
    const policy = summary.scheduleId.slice(summary.scheduleId.indexOf('/') + 1);
    changes.push({
      scheduleId: summary.scheduleId,
      policy,
      change: options.prune ? 'deleted' : 'orphaned',
      paused: summary.state.paused,
      next: [],
    });
  }
  return changes;
}

async function applySchedule(
  client: Client,
  options: ScheduleOptions,
): Promise<{ change: ScheduleChange['change']; paused: boolean }> {
  const handle = client.schedule.getHandle(options.scheduleId);
  const before = await handle.describe().catch((error: unknown) => {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  });
  if (!before) {
    await client.schedule.create(options);
    return { change: 'created', paused: false };
  }
  await handle.update((existing) => ({ ...options, state: existing.state }));
  const after = await handle.describe();
  const essence = ({ spec, action, policies }: typeof after) =>
    digestOf(JSON.parse(JSON.stringify({ spec, action, policies })) as Json);
  return { change: essence(before) === essence(after) ? 'unchanged' : 'updated', paused: after.state.paused };
}

function scheduleOptions(config: Config, name: string, policy: PolicyConfig, schedule: string): ScheduleOptions {
  return {
    scheduleId: scheduleId(config.installation, name),
    spec: { cronExpressions: [schedule], timezone: policy.timezone },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: durationMs(policy.catchup), pauseOnFailure: false },
    memo: { [memoKey]: config.installation },
    action: {
      type: 'startWorkflow',
      workflowType: 'backup',
      workflowId: scheduledWorkflowId(name),
      taskQueue: controlQueue,
      args: [{ policy: name }],
      staticSummary: `backup of cluster ${policy.cluster} by policy ${name}`,
    },
  };
}
