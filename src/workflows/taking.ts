import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { TakenBackup, TakeTurn } from '../activities/index.ts';
import { formatBytes, formatCount } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { RepositorySpec, TargetSpec } from '../domain/specs.ts';
import { persist, quick } from './activities.ts';
import { failureType } from './failures.ts';
import type { Journal } from './journal.ts';

export interface BackupResult {
  readonly id: string;
  readonly status: 'complete' | 'partial';
  readonly bytes: number;
  readonly databases: number;
  readonly pruned: readonly string[];
}

export interface Committed extends TakenBackup {
  readonly manifestKey: string;
}

/** Of any kind of backup. */
interface Place {
  readonly source: TargetSpec;
  readonly repository: RepositorySpec;
}

/** More than `persist` ever makes. */
const attemptsOfATurn = 100;

/** Takes and commits under a name that is fixed once; a name that somebody else has taken makes it the next one. */
export async function takeAndCommit(
  { source: { site }, repository }: Place,
  run: RunIdentity,
  journal: Journal,
  takeOnce: (turn: TakeTurn) => Promise<TakenBackup>,
): Promise<Committed> {
  const startedAt = workflowInfo().startTime.toISOString();
  let last: TakenBackup | undefined;
  try {
    for (let turn = 1; ; turn += 1) {
      const taken = await journal.step(
        'take',
        () => persist(site, (count) => takeOnce({ startedAt, turn, attempt: (turn - 1) * attemptsOfATurn + count })),
        ({ id, bytes, databases, failures }) =>
          `${id}, ${formatCount(databases, 'database')}, ${formatBytes(bytes)}${failures.length === 0 ? '' : `, ${String(failures.length)} FAILED`}`,
      );
      last = taken;
      try {
        const { manifestKey } = await journal.step('commit', () =>
          quick(site, (at) => at.commitBackup({ spec: { repository }, run, taken })),
        );
        return { ...taken, manifestKey };
      } catch (error) {
        if (failureType(error) !== 'NameTaken' || turn >= 5) throw error;
      }
    }
  } finally {
    await CancellationScope.nonCancellable(() => sweep(site, repository, run, last));
  }
}

/** What can't be swept now is swept by a later prune; the reason why the run ends is worth more than this. */
async function sweep(
  site: string,
  repository: RepositorySpec,
  run: RunIdentity,
  taken: TakenBackup | undefined,
): Promise<void> {
  try {
    await quick(site, (at) => at.sweepStaged({ repository, run, taken }));
  } catch {
    // see above
  }
}

/** Warnings as a step's note. */
export const spoken = (warnings: readonly string[] = []) => (warnings.length === 0 ? null : warnings.join('; '));
