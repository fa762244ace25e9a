import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { TakenBackup } from '../activities/index.ts';
import { backupArgument, parseArgument } from '../domain/arguments.ts';
import { formatBytes, formatCount } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { control, movingBytes, persist, quick } from './activities.ts';
import { fail, failure, failureType } from './failures.ts';
import { Journal, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import { pruneUnderLease } from './prune.ts';

export interface BackupResult {
  readonly id: string;
  readonly status: 'complete' | 'partial';
  readonly bytes: number;
  readonly databases: number;
  readonly pruned: readonly string[];
}

/**
 * preflight → take → commit → verify → prune. `{"policy":"jigga-daily"}`
 *
 * A database that can't be dumped makes the backup partial: it is kept, and the run fails with BackupPartial, so that
 * somebody looks.
 */
export async function backup(input: unknown): Promise<BackupResult> {
  try {
    return await takeBackup(input);
  } catch (error) {
    throw fail(error);
  }
}

async function takeBackup(input: unknown): Promise<BackupResult> {
  const { policy } = parseArgument('backup', backupArgument, input);
  const journal = new Journal('backup', `of policy ${policy}`);
  const run = runIdentity();
  const spec = await journal.step('resolve', () => control.resolveBackup({ policy }));
  const { site, cluster } = spec.source;

  const taken = await withLease(leaseInput(cluster, 'backup', run), async () => {
    await journal.step(
      'preflight',
      () => quick(site, (at) => at.preflightBackup({ spec })),
      // Runs that began with an older version have no answer here.
      (found: { readonly warnings: readonly string[] } | null | undefined) => spoken(found?.warnings),
    );
    return take(spec, run, journal);
  });
  await journal.step(
    'verify',
    () =>
      persist(site, () =>
        movingBytes(site).verifyBackup({ repository: spec.repository, manifestKey: taken.manifestKey, run }),
      ),
    (report) => `${formatBytes(report.plainBytes)} read back`,
  );
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

const spoken = (warnings: readonly string[] = []) => (warnings.length === 0 ? null : warnings.join('; '));

interface Committed extends TakenBackup {
  readonly manifestKey: string;
}

/** More than `persist` ever makes. */
const attemptsOfATurn = 100;

/** Takes and commits under a name that is fixed once; a name that somebody else has taken makes it the next one. */
async function take(spec: BackupSpec, run: RunIdentity, journal: Journal): Promise<Committed> {
  const { site } = spec.source;
  const startedAt = workflowInfo().startTime.toISOString();
  let last: TakenBackup | undefined;
  try {
    for (let turn = 1; ; turn += 1) {
      const taken = await journal.step(
        'take',
        () =>
          persist(site, (count) => {
            const attempt = (turn - 1) * attemptsOfATurn + count;
            return movingBytes(site).takeBackup({ spec, run, startedAt, turn, attempt });
          }),
        ({ id, bytes, databases, failures }) =>
          `${id}, ${formatCount(databases, 'database')}, ${formatBytes(bytes)}${failures.length === 0 ? '' : `, ${String(failures.length)} FAILED`}`,
      );
      last = taken;
      try {
        const { manifestKey } = await journal.step('commit', () =>
          quick(site, (at) => at.commitBackup({ spec, run, taken })),
        );
        return { ...taken, manifestKey };
      } catch (error) {
        if (failureType(error) !== 'NameTaken' || turn >= 5) throw error;
      }
    }
  } finally {
    await CancellationScope.nonCancellable(() => sweep(spec, run, last));
  }
}

/** What can't be swept now is swept by a later prune; the reason why the run ends is worth more than this. */
async function sweep(
  { source, repository }: BackupSpec,
  run: RunIdentity,
  taken: TakenBackup | undefined,
): Promise<void> {
  try {
    await quick(source.site, (at) => at.sweepStaged({ repository, run, taken }));
  } catch {
    // see above
  }
}
