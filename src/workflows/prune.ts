import type { PrunedBases, PruneResult } from '../activities/index.ts';
import { parseArgument, pruneArgument } from '../domain/arguments.ts';
import type { CnpgSpec } from '../domain/cnpg-specs.ts';
import { formatCount } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BaseSpec } from '../domain/physical-specs.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { control, quick } from './activities.ts';
import { pruneCnpgUnderLease } from './backup-cnpg.ts';
import { fail } from './failures.ts';
import { Journal, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';

/** Verdicts with reasons, then deletes what may go. `{"policy":"jigga-daily","dryRun":true}` only shows them. */
export async function prune(input: unknown): Promise<PruneResult | PrunedBases> {
  try {
    const { policy, dryRun } = parseArgument('prune', pruneArgument, input);
    const journal = new Journal('prune', `of policy ${policy}${dryRun ? ' (dry run)' : ''}`);
    const spec = await journal.step('resolve', () => control.resolveBackup({ policy }));
    return await journal.step(
      dryRun ? 'judge' : 'prune',
      (): Promise<PruneResult | PrunedBases> => pruneAny(spec, runIdentity(), dryRun),
      ({ removed, kept }) =>
        `${formatCount(removed.length, 'backup')} ${dryRun ? 'would go' : 'removed'}, ${String(kept)} kept`,
    );
  } catch (error) {
    throw fail(error);
  }
}

function pruneAny(
  spec: BackupSpec | BaseSpec | CnpgSpec,
  run: RunIdentity,
  dryRun: boolean,
): Promise<PruneResult | PrunedBases> {
  switch (spec.method) {
    case 'base':
      return pruneBasesUnderLease(spec, run, dryRun);
    case 'cnpg':
      return pruneCnpgUnderLease(spec, run, dryRun);
    default:
      // Runs that began before there were methods have none in their specification.
      return pruneUnderLease(spec, run, dryRun);
  }
}

/** A restore that is reading a backup keeps it from being pruned; two prunes of one cluster don't meet. */
export async function pruneUnderLease(spec: BackupSpec, run: RunIdentity, dryRun: boolean): Promise<PruneResult> {
  const { site, cluster } = spec.source;
  return withLease(leaseInput(cluster, 'prune', run), (inUse) =>
    quick(site, (at) => at.pruneBackups({ spec, run, inUse, dryRun })),
  );
}

/** Base backups, and the WAL that none of them needs any more. */
export async function pruneBasesUnderLease(spec: BaseSpec, run: RunIdentity, dryRun: boolean): Promise<PrunedBases> {
  const { site, cluster } = spec.source;
  return withLease(leaseInput(cluster, 'prune', run), (inUse) =>
    quick(site, (at) => at.pruneBases({ spec, run, inUse, dryRun })),
  );
}
