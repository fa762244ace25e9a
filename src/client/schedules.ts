import {
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type Client,
  type ScheduleDescription,
  type ScheduleHandle,
  type ScheduleOptions,
} from '@temporalio/client';
import { nextRuns } from './next-runs.ts';
import { digestOf, type Json } from '../domain/canonical.ts';
import type { Config, PolicyConfig } from '../domain/config.ts';
import { durationMs } from '../domain/duration.ts';
import { controlQueue, drillScheduleId, scheduledDrillId, scheduleId, scheduledWorkflowId } from '../domain/ids.ts';

export interface ScheduleChange {
  readonly scheduleId: string;
  readonly policy: string;
  readonly kind: 'backup' | 'drill';
  readonly change: 'created' | 'updated' | 'unchanged' | 'deleted' | 'orphaned';
  readonly paused: boolean;
  /** The next three runs, as Temporal will start them. */
  readonly next: readonly Date[];
}

/** Says in the memo of a schedule or an archive whose it is. */
export const memoKey = 'holdfast-installation';

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
    for (const wish of wishesOf(config, name, policy)) {
      wanted.add(wish.id);
      const { change, paused } = await applySchedule(client, scheduleOptions(config, name, policy, wish));
      const next = nextRuns(wish.cron, policy.timezone);
      changes.push({ scheduleId: wish.id, policy: name, kind: wish.kind, change, paused, next });
    }
  }
  for await (const summary of client.schedule.list()) {
    if (summary.memo?.[memoKey] !== config.installation || wanted.has(summary.scheduleId)) continue;
    if (options.prune) await client.schedule.getHandle(summary.scheduleId).delete();
    const [, policy = '', drill] = summary.scheduleId.split('/');
    changes.push({
      scheduleId: summary.scheduleId,
      policy,
      kind: drill === undefined ? 'backup' : 'drill',
      change: options.prune ? 'deleted' : 'orphaned',
      paused: summary.state.paused,
      next: [],
    });
  }
  return changes;
}

/** How the schedule of a policy's backups stands in Temporal. */
export type ScheduleStanding =
  /** `since` is when it was made. */
  | { readonly state: 'runs'; readonly next: Date; readonly since: Date }
  /** Nothing wants it; not there; of another installation; paused; no further run is planned. */
  | { readonly state: 'unwanted' | 'missing' | 'foreign' | 'paused' | 'over' };

/** Whether Temporal will start a policy's backups, by a schedule of this installation. Changes nothing. */
export async function lookUpSchedule(
  client: Client,
  { installation, policies }: Pick<Config, 'installation' | 'policies'>,
  policy: string,
): Promise<ScheduleStanding> {
  if (policies[policy]?.schedule === undefined) return { state: 'unwanted' };
  const found = await described(client.schedule.getHandle(scheduleId(installation, policy)));
  if (found === undefined) return { state: 'missing' };
  if (found.memo?.[memoKey] !== installation) return { state: 'foreign' };
  if (found.state.paused) return { state: 'paused' };
  const [next] = found.info.nextActionTimes;
  return next === undefined ? { state: 'over' } : { state: 'runs', next, since: found.info.createdAt };
}

/** undefined: there is no such schedule. */
const described = (handle: ScheduleHandle): Promise<ScheduleDescription | undefined> =>
  handle.describe().catch((error: unknown) => {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  });

async function applySchedule(
  client: Client,
  options: ScheduleOptions,
): Promise<{ change: ScheduleChange['change']; paused: boolean }> {
  const handle = client.schedule.getHandle(options.scheduleId);
  const before = await described(handle);
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

interface Wish {
  readonly kind: ScheduleChange['kind'];
  readonly id: string;
  readonly cron: string;
  readonly workflowId: string;
}

/** The schedules of a policy: for its backups, and for its drills. */
function wishesOf({ installation }: Config, name: string, { schedule, drill }: PolicyConfig): Wish[] {
  const backup = { kind: 'backup' as const, id: scheduleId(installation, name), workflowId: scheduledWorkflowId(name) };
  const drilled = {
    kind: 'drill' as const,
    id: drillScheduleId(installation, name),
    workflowId: scheduledDrillId(name),
  };
  return [
    ...(schedule === undefined ? [] : [{ ...backup, cron: schedule }]),
    ...(drill === undefined ? [] : [{ ...drilled, cron: drill }]),
  ];
}

function scheduleOptions(config: Config, name: string, policy: PolicyConfig, wish: Wish): ScheduleOptions {
  return {
    scheduleId: wish.id,
    spec: { cronExpressions: [wish.cron], timezone: policy.timezone },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: durationMs(policy.catchup), pauseOnFailure: false },
    memo: { [memoKey]: config.installation },
    action: {
      type: 'startWorkflow',
      workflowType: wish.kind,
      workflowId: wish.workflowId,
      taskQueue: controlQueue,
      args: [{ policy: name }],
      staticSummary: `${wish.kind} of cluster ${policy.cluster} by policy ${name}`,
    },
  };
}
