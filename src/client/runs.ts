import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { controlQueue, startedWorkflowId } from '../domain/ids.ts';
import type {
  AdoptArgument,
  BackupArgument,
  DrillArgument,
  PruneArgument,
  RestoreArgument,
} from '../domain/arguments.ts';
import type { FollowUpVerb } from '../domain/decision.ts';
import type { RecoverArgument } from '../domain/recover-argument.ts';
import type { targetAsWritten } from '../domain/recovery-target.ts';
import type { Progress } from '../domain/run.ts';
import { randomBytes } from 'node:crypto';

/** A recovery's target as a person writes it: the workflow reads it again. */
export type WrittenTarget = ReturnType<typeof targetAsWritten>;
export type WrittenRecovery = Omit<RecoverArgument, 'target'> & { readonly target: WrittenTarget };

export type Start =
  | { readonly workflow: 'backup'; readonly argument: BackupArgument }
  | { readonly workflow: 'prune'; readonly argument: PruneArgument }
  | { readonly workflow: 'adopt'; readonly argument: AdoptArgument }
  | { readonly workflow: 'drill'; readonly argument: DrillArgument }
  | { readonly workflow: 'recover'; readonly argument: WrittenRecovery }
  | { readonly workflow: 'restore'; readonly argument: Partial<RestoreArgument> & { readonly cluster: string } };

/** Starts a run under an id of its own. */
export async function startRun(client: Client, start: Start): Promise<WorkflowHandle> {
  const name = 'policy' in start.argument ? start.argument.policy : start.argument.cluster;
  return client.workflow.start(start.workflow, {
    workflowId: startedWorkflowId(start.workflow, name, randomBytes(4).toString('hex')),
    workflowIdConflictPolicy: 'FAIL',
    taskQueue: controlQueue,
    args: [start.argument],
    staticSummary: `${start.workflow} of ${name}`,
  });
}

/** A run by its workflow id. Throws NoSuchRun. */
export async function describeRun(client: Client, workflowId: string): Promise<WorkflowExecutionDescription> {
  return ofKnownRun(workflowId, () => client.workflow.getHandle(workflowId).describe());
}

/** What the run says of itself; undefined while no worker can answer. Throws NoSuchRun. */
export async function progressOf(client: Client, workflowId: string): Promise<Progress | undefined> {
  try {
    return await withDeadline(client, 5_000, () => client.workflow.getHandle(workflowId).query<Progress>('progress'));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw noSuchRun(workflowId);
    return undefined;
  }
}

export interface BytesMoved {
  readonly activity: string;
  readonly attempt: number;
  readonly heartbeat: unknown;
  /** Why its last attempt ended; undefined: it has not failed. */
  readonly failure?: string | undefined;
}

/** What running activities last reported. A workflow can't see heartbeats; a client can. */
export function heartbeats(description: WorkflowExecutionDescription): BytesMoved[] {
  return (description.raw.pendingActivities ?? []).map((pending) => {
    const data = pending.heartbeatDetails?.payloads?.[0]?.data;
    let heartbeat: unknown;
    try {
      heartbeat = data ? JSON.parse(new TextDecoder().decode(data)) : undefined;
    } catch {
      heartbeat = undefined;
    }
    return {
      activity: pending.activityType?.name ?? '',
      attempt: pending.attempt ?? 1,
      heartbeat,
      failure: pending.lastFailure?.message ?? undefined,
    };
  });
}

export interface DecisionInput {
  readonly decision: 'approve' | 'reject';
  readonly by: string;
  readonly reason: string;
  readonly plan?: string;
}

/** Decides, and hears at once whether it was taken. Throws DecisionRefused with the workflow's reason. */
export async function decide(
  client: Client,
  workflowId: string,
  input: DecisionInput,
): Promise<{ readonly plan: string }> {
  try {
    return await withDeadline(client, 30_000, () =>
      client.workflow
        .getHandle(workflowId)
        .executeUpdate<{ taken: true; plan: string }, [DecisionInput]>('decide', { args: [input] }),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw noSuchRun(workflowId);
    // Anything else than the workflow's own no: the decision may still arrive.
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    const cause = error.cause ?? error;
    throw new HoldfastError(
      'DecisionRefused',
      `the decision was not taken: ${messageOf(cause)}`,
      `'holdfast status ${workflowId}' shows what the run waits for`,
    );
  }
}

export async function sendFollowUp(
  client: Client,
  workflowId: string,
  verb: FollowUpVerb,
  payload: { readonly by: string; readonly reason: string; readonly target?: WrittenTarget },
): Promise<void> {
  await ofKnownRun(workflowId, () => client.workflow.getHandle(workflowId).signal(verb, payload));
}

export async function cancelRun(client: Client, workflowId: string): Promise<void> {
  await ofKnownRun(workflowId, () => client.workflow.getHandle(workflowId).cancel());
}

export interface ListedRun {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly status: string;
  readonly startedAt: Date;
  readonly closedAt: Date | undefined;
}

/** Workflows that begin, do something and end. */
export const runTypes = ['backup', 'prune', 'adopt', 'restore', 'recover', 'drill'] as const;
/** One for each cluster whose WAL is archived: it lives for ever. */
export const archiveType = 'archiveWal';

/** Runs of Holdfast's own workflows, newest first: those that end, unless told otherwise. */
export async function listRuns(
  client: Client,
  options: { readonly open: boolean; readonly limit: number; readonly types?: readonly string[] },
): Promise<ListedRun[]> {
  const types = `WorkflowType IN (${(options.types ?? runTypes).map((type) => `'${type}'`).join(', ')})`;
  // One that continued as new has not ended: its next run goes on.
  const query = options.open
    ? `${types} AND ExecutionStatus = 'Running'`
    : `${types} AND ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`;
  const runs: ListedRun[] = [];
  for await (const run of client.workflow.list({ query, pageSize: options.limit })) {
    runs.push({
      workflowId: run.workflowId,
      runId: run.runId,
      type: run.type,
      status: run.status.name,
      startedAt: run.startTime,
      closedAt: run.closeTime,
    });
    if (runs.length >= options.limit) break;
  }
  return runs;
}

const withDeadline = <T>(client: Client, ms: number, run: () => Promise<T>): Promise<T> =>
  client.withDeadline(Date.now() + ms, run);

/** What Temporal doesn't find is NoSuchRun; everything else stays what it is. */
async function ofKnownRun<T>(workflowId: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw noSuchRun(workflowId);
    throw error;
  }
}

const noSuchRun = (workflowId: string) =>
  new HoldfastError(
    'NoSuchRun',
    `no run '${workflowId}' is known to Temporal, or it has ended`,
    "'holdfast status' lists the runs; Temporal forgets closed ones after the namespace's retention",
  );
