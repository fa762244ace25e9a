import { backupArgument, parseArgument } from '../domain/arguments.ts';
import { formatBytes, formatCount } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { control } from './activities.ts';
import { backUpBase } from './backup-base.ts';
import { moverOf } from './backup-movers.ts';
import { backUpCnpg, type CnpgBackupResult } from './backup-cnpg.ts';
import { fail, failure } from './failures.ts';
import { Journal, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import { pruneUnderLease } from './prune.ts';
import { spoken, takeAndCommit, type BackupResult, type Committed } from './taking.ts';

export type { CnpgBackupResult } from './backup-cnpg.ts';
export type { BackupResult } from './taking.ts';

/**
 * preflight → take → commit → verify → prune. `{"policy":"jigga-daily"}`
 *
 * A database that can't be dumped makes the backup partial: it is kept, and the run fails with BackupPartial, so that
 * somebody looks.
 */
export async function backup(input: unknown): Promise<BackupResult | CnpgBackupResult> {
  try {
    return await takeBackup(input);
  } catch (error) {
    throw fail(error);
  }
}

async function takeBackup(input: unknown): Promise<BackupResult | CnpgBackupResult> {
  const { policy } = parseArgument('backup', backupArgument, input);
  const journal = new Journal('backup', `of policy ${policy}`);
  const run = runIdentity();
  const spec = await journal.step('resolve', () => control.resolveBackup({ policy }));
  if (spec.method === 'base') return backUpBase(spec, run, journal);
  if (spec.method === 'cnpg') return backUpCnpg(spec, run, journal);
  const taken = await takeAndVerify(spec, run, journal);
  const pruned = await journal.step(
    'prune',
    () => pruneUnderLease(spec, run, false),
    (result) => formatCount(result.removed.length, 'backup removed', 'backups removed'),
  );
  if (taken.status === 'partial') {
    throw failure(
      'BackupPartial',
      `backup ${taken.id} is partial: ${taken.failures.map(({ database, reason }) => `database '${database}': ${reason}`).join('; ')}`,
      'what could be dumped is kept and can be restored; cure the cause and run the policy again',
      { id: taken.id, failures: taken.failures },
    );
  }
  return { id: taken.id, status: taken.status, bytes: taken.bytes, databases: taken.databases, pruned: pruned.removed };
}

async function takeAndVerify(spec: BackupSpec, run: RunIdentity, journal: Journal): Promise<Committed> {
  const mover = moverOf(spec, run);
  try {
    const taken = await withLease(leaseInput(spec.source.cluster, 'backup', run), async () => {
      await journal.step('preflight', mover.preflight, (found) => spoken(found?.warnings));
      return takeAndCommit(spec, run, journal, mover.take);
    });
    await journal.step(
      'verify',
      () => mover.verify(taken.manifestKey),
      (report) => `${formatBytes(report.plainBytes)} read back`,
    );
    return taken;
  } finally {
    await mover.leave();
  }
}
