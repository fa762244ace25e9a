import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ArchiveWalArgument,
  BackupArgument,
  DrillArgument,
  PruneArgument,
  RestoreArgument,
} from '../domain/arguments.ts';
import type { DrillCnpgSpec } from '../domain/cnpg-drill-spec.ts';
import { recoverCnpgSpec, type RecoverCnpgSpec } from '../domain/cnpg-recovery-spec.ts';
import { cnpgSpec, type CnpgSpec } from '../domain/cnpg-specs.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { backupSpec, restoreSpec, type BackupSpec, type RestoreSpec, type TargetSpec } from '../domain/specs.ts';
import type { LeaseRequest } from '../domain/lease.ts';
import {
  baseSpec,
  drillSpec,
  recoverSpec,
  walSpec,
  type BaseSpec,
  type DrillSpec,
  type RecoverSpec,
  type WalSpec,
} from '../domain/physical-specs.ts';
import type { RecoverArgument } from '../domain/recover-argument.ts';
import type { Dependencies } from './dependencies.ts';
import { Context } from '@temporalio/activity';

/** Names become specifications, once per run; and leases are asked for, which a workflow can't do itself. */
export function controlActivities(deps: Dependencies) {
  return {
    async resolveBackup({
      policy,
    }: Pick<BackupArgument | PruneArgument, 'policy'>): Promise<BackupSpec | BaseSpec | CnpgSpec> {
      const spec = specOf(await deps.config(), policy);
      await untilServed(deps, spec.source);
      return spec;
    },

    async resolveRestore({ argument }: { readonly argument: RestoreArgument }): Promise<RestoreSpec> {
      const spec = restoreSpec(await deps.config(), argument);
      await untilServed(deps, spec.target);
      return spec;
    },

    async resolveWal({ cluster }: ArchiveWalArgument): Promise<WalSpec> {
      return walSpec(await deps.config(), cluster);
    },

    async resolveRecover({ argument }: { readonly argument: RecoverArgument }): Promise<RecoverSpec | RecoverCnpgSpec> {
      const config = await deps.config();
      const spec = recoverCnpgSpec(config, argument) ?? recoverSpec(config, argument);
      await untilServed(deps, spec.source);
      return spec;
    },

    async resolveDrill({ policy }: DrillArgument): Promise<DrillSpec | DrillCnpgSpec> {
      const spec = drillSpec(await deps.config(), policy);
      await untilServed(deps, spec.source);
      return spec;
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

function specOf(config: Config, policy: string): BackupSpec | BaseSpec | CnpgSpec {
  switch (config.policies[policy]?.method) {
    case 'base':
      return baseSpec(config, policy);
    case 'cnpg':
      return cnpgSpec(config, policy);
    default:
      return backupSpec(config, { policy });
  }
}

/** Temporal remembers a worker for five minutes; this is for when Temporal itself, or everything, starts anew. */
const patienceMs = 40_000;

/**
 * Work for a site that nobody serves would wait in silence: NoWorker instead, soon. A worker that is only being
 * restarted counts as there.
 */
async function untilServed(deps: Dependencies, { cluster, site }: TargetSpec): Promise<void> {
  const { cancellationSignal: signal } = Context.current();
  const deadline = performance.now() + patienceMs;
  while (!(await deps.isServed(site))) {
    if (performance.now() > deadline)
      throw new HoldfastError(
        'NoWorker',
        `no worker serves site ${site}, where cluster ${cluster} is`,
        `start one with 'holdfast worker --site ${site}', or correct the cluster's site in the configuration`,
      );
    await sleep(1000, undefined, { signal });
  }
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
