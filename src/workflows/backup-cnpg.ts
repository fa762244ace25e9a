import { sleep, workflowInfo } from '@temporalio/workflow';
import type { PreparedCnpg, PruneResult, TakenByCnpg } from '../activities/index.ts';
import type { CnpgSpec } from '../domain/cnpg-specs.ts';
import { formatCount } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import { quick, watching } from './activities.ts';
import { failureType } from './failures.ts';
import type { Journal } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import { spoken } from './taking.ts';

export interface CnpgBackupResult extends TakenByCnpg {
  readonly pruned: readonly string[];
}

/** A Backup whose failure has settled is over for good, and the next needs another name. */
const turns = 3;
const pauseMs = 30_000;

/** preflight → create → watch → prune. CloudNativePG takes the backup; this asks for it and watches it to its end. */
export async function backUpCnpg(spec: CnpgSpec, run: RunIdentity, journal: Journal): Promise<CnpgBackupResult> {
  const { site, cluster } = spec.source;
  const taken = await withLease(leaseInput(cluster, 'backup', run), async () => {
    const prepared = await journal.step(
      'preflight',
      () => quick(site, (at) => at.preflightCnpg({ spec })),
      ({ warnings }) => spoken(warnings),
    );
    return take(spec, run, journal, prepared);
  });
  const pruned = await journal.step(
    'prune',
    () => pruneCnpgUnderLease(spec, run, false),
    ({ removed }) => formatCount(removed.length, 'snapshot removed', 'snapshots removed'),
  );
  return { ...taken, pruned: pruned.removed };
}

async function take(spec: CnpgSpec, run: RunIdentity, journal: Journal, { way }: PreparedCnpg): Promise<TakenByCnpg> {
  const { site } = spec.source;
  const startedAt = workflowInfo().startTime.toISOString();
  for (let turn = 1; ; turn += 1) {
    const { name } = await journal.step(
      'create',
      () => quick(site, (at) => at.createCnpgBackup({ spec, run, way, startedAt, turn })),
      (made) => made.name,
    );
    try {
      return await journal.step(
        'watch',
        () => watching(site).watchCnpgBackup({ spec, name, startedAt }),
        (found) => `${found.name}, WAL ${found.beginWal ?? '?'} to ${found.endWal ?? '?'}`,
      );
    } catch (error) {
      if (failureType(error) !== 'BackupFailed' || turn >= turns) throw error;
      await sleep(pauseMs);
    }
  }
}

/** Volume snapshots of the policy; what lies in object stores CloudNativePG deletes itself. */
export async function pruneCnpgUnderLease(spec: CnpgSpec, run: RunIdentity, dryRun: boolean): Promise<PruneResult> {
  const { site, cluster } = spec.source;
  return withLease(leaseInput(cluster, 'prune', run), (inUse) =>
    quick(site, (at) => at.pruneCnpg({ spec, inUse, dryRun })),
  );
}
