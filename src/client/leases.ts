import { WithStartWorkflowOperation, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { HoldfastError } from '../domain/errors.ts';
import { controlQueue, leaseWorkflowId } from '../domain/ids.ts';
import type { Grant, Holder, LeaseRequest } from '../domain/lease.ts';

/** Asking the entity workflow `cluster/<name>` for leases. Only an activity may: from a workflow it can't be started. */
export interface Leases {
  /**
   * Grants, or throws Busy with the holders' workflow ids. Holders whose run is closed are evicted, also those that
   * stand in nobody's way: a run that was terminated gave nothing back, and a prune would spare its backup for ever.
   * @param turn tells repeated requests of one run apart; the same turn gets the same answer
   */
  acquire(cluster: string, request: LeaseRequest, turn: string): Promise<Extract<Grant, { granted: true }>>;
  giveBack(cluster: string, request: LeaseRequest, turn: string): Promise<void>;
  /** Which of these runs are over, however they ended. */
  closed<Run extends RunReference>(runs: readonly Run[]): Promise<readonly Run[]>;
}

/** A run, by its first execution. */
export interface RunReference {
  readonly workflowId: string;
  readonly runId: string;
}

export function temporalLeases(client: Client): Leases {
  const update = async <T>(
    name: 'acquire' | 'give-back',
    cluster: string,
    request: LeaseRequest,
    updateId: string,
  ): Promise<T> =>
    client.workflow.executeUpdateWithStart<() => Promise<void>, T, [LeaseRequest]>(name, {
      updateId,
      args: [request],
      startWorkflowOperation: new WithStartWorkflowOperation('cluster', {
        workflowId: leaseWorkflowId(cluster),
        taskQueue: controlQueue,
        args: [],
        workflowIdConflictPolicy: 'USE_EXISTING',
        staticSummary: `leases of cluster ${cluster}`,
      }),
    });

  return {
    async acquire(cluster, request, turn) {
      for (let round = 1; ; round += 1) {
        const grant = await update<Grant>(
          'acquire',
          cluster,
          request,
          `acquire-${request.mode}-${request.runId}-${turn}-${String(round)}`,
        );
        const closed = await closedOf(client, grant.granted ? await holdersOf(client, cluster) : grant.holders);
        if (closed.length === 0 || round > 3) {
          if (grant.granted) return grant;
          throw busy(cluster, request, grant.holders);
        }
        for (const holder of closed)
          await update('give-back', cluster, holder, `evict-${holder.mode}-${holder.runId}-${turn}-${String(round)}`);
      }
    },
    async giveBack(cluster, request, turn) {
      await update('give-back', cluster, request, `give-back-${request.mode}-${request.runId}-${turn}`);
    },
    closed: (runs) => closedOf(client, runs),
  };
}

/** Only to clean up: a lease that is granted stays so, whether this is answered or not. */
async function holdersOf(client: Client, cluster: string): Promise<readonly Holder[]> {
  try {
    return await client.withDeadline(Date.now() + 5_000, () =>
      client.workflow.getHandle(leaseWorkflowId(cluster)).query<readonly Holder[]>('holders'),
    );
  } catch {
    return [];
  }
}

async function closedOf<Run extends RunReference>(client: Client, holders: readonly Run[]): Promise<Run[]> {
  const closed: Run[] = [];
  for (const holder of holders) {
    try {
      const { status, raw } = await client.workflow
        .getHandle(holder.workflowId, undefined, { firstExecutionRunId: holder.runId })
        .describe();
      const first = raw.workflowExecutionInfo?.firstRunId;
      if (
        status.name !== 'RUNNING' ||
        (first !== undefined && first !== null && first !== '' && first !== holder.runId)
      )
        closed.push(holder);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      closed.push(holder);
    }
  }
  return closed;
}

function busy(cluster: string, request: LeaseRequest, holders: readonly Holder[]): HoldfastError {
  const who = holders.map(({ mode, workflowId }) => `${workflowId} (${mode})`).join(', ');
  return new HoldfastError(
    'Busy',
    `cluster ${cluster} is busy: ${request.mode} has to wait for ${who}`,
    'wait until it has ended, or end it',
  );
}
