import { CancellationScope } from '@temporalio/workflow';
import type { LeaseMode, LeaseRequest } from '../domain/lease.ts';
import type { RunIdentity } from '../domain/run.ts';
import { givingBack, leases } from './activities.ts';

export interface LeaseInput {
  readonly cluster: string;
  readonly request: LeaseRequest;
}

export function leaseInput(cluster: string, mode: LeaseMode, run: RunIdentity, backup?: string): LeaseInput {
  const request = { mode, workflowId: run.workflowId, runId: run.firstExecutionRunId };
  return { cluster, request: backup === undefined ? request : { ...request, backup } };
}

/**
 * Runs something while holding a lease, and gives it back however that ends, also when cancelled. Busy fails with
 * the holder's workflow id.
 */
export async function withLease<T>(
  input: LeaseInput,
  run: (inUse: readonly (readonly [string, string])[]) => Promise<T>,
): Promise<T> {
  try {
    const { inUse } = await leases.acquireLease(input);
    return await run(inUse);
  } finally {
    await CancellationScope.nonCancellable(() => givingBack.giveBackLease(input));
  }
}
