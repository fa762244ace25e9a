import type { BackupArgument, PruneArgument, RestoreArgument } from '../domain/arguments.ts';
import { backupSpec, restoreSpec, type BackupSpec, type RestoreSpec } from '../domain/specs.ts';
import type { LeaseRequest } from '../domain/lease.ts';
import type { Dependencies } from './dependencies.ts';
import { Context } from '@temporalio/activity';

/** Names become specifications, once per run; and leases are asked for, which a workflow can't do itself. */
export function controlActivities(deps: Dependencies) {
  return {
    async resolveBackup({ policy }: Pick<BackupArgument | PruneArgument, 'policy'>): Promise<BackupSpec> {
      return backupSpec(await deps.config(), { policy });
    },

    async resolveRestore({ argument }: { readonly argument: RestoreArgument }): Promise<RestoreSpec> {
      return restoreSpec(await deps.config(), argument);
    },

    async acquireLease({
      cluster,
      request,
    }: LeaseActivityInput): Promise<{ readonly inUse: readonly (readonly [string, string])[] }> {
      const { inUse } = await deps.leases.acquire(cluster, request, turn());
      return { inUse };
    },

    async giveBackLease({ cluster, request }: LeaseActivityInput): Promise<void> {
      await deps.leases.giveBack(cluster, request, turn());
    },
  };
}

export interface LeaseActivityInput {
  readonly cluster: string;
  readonly request: LeaseRequest;
}

/** The same for every try to deliver one attempt of one activity. */
function turn(): string {
  const { activityId, attempt, workflowExecution } = Context.current().info;
  return `${workflowExecution?.runId ?? ''}-${activityId}-${String(attempt)}`;
}
