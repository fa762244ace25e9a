import { isGood, newestFirst, type Backup } from './catalog.ts';
import type { Keep } from './config.ts';

export interface Verdict {
  readonly backup: Backup;
  /** Why it stays; empty: it may go. */
  readonly keep: readonly string[];
}

export interface RetentionFacts {
  readonly now: Date;
  /** Backups that a restore is reading, by id, with the run that does. */
  readonly inUse: ReadonlyMap<string, string>;
}

const dayMs = 86_400_000;

/**
 * Which backups of one policy stay, and why. Newest first; decides, deletes nothing.
 *
 * Whatever the policy says, these stay: the newest good backup; for each database the newest backup that holds it
 * whole; the last one that passed a drill; what a restore is reading. Failed runs made no backup, so they don't count; partial and damaged backups
 * don't use up the places of complete ones and age out in a row of their own.
 */
export function judge(backups: readonly Backup[], keep: Keep, facts: RetentionFacts): Verdict[] {
  const sorted = newestFirst(backups);
  const good = sorted.filter(isGood);
  const others = sorted.filter((backup) => !isGood(backup));
  const reasons = new Map<Backup, string[]>(sorted.map((backup) => [backup, []]));
  const give = (backup: Backup, reason: string) => reasons.get(backup)?.push(reason);

  for (const row of [good, others]) {
    const what = row === good ? 'complete' : 'partial or damaged';
    row.forEach((backup, index) => {
      if (keep.last !== undefined && index < keep.last)
        give(backup, `among the last ${String(keep.last)} ${what} backups`);
      if (keep.days !== undefined && facts.now.getTime() - Date.parse(backup.manifest.startedAt) < keep.days * dayMs) {
        give(backup, `younger than ${String(keep.days)} days`);
      }
    });
  }
  const newestGood = good[0];
  if (newestGood) give(newestGood, 'the newest good backup');
  for (const [database, backup] of newestWholeOf(sorted, newestGood)) {
    if (backup !== newestGood) give(backup, `the newest that holds database '${database}' whole`);
  }
  // a later verification that found it damaged ends what a drill once proved
  const proven = sorted.find((backup) => backup.drill === 'passed' && backup.verification !== 'failed');
  if (proven) give(proven, 'the last one that passed a drill');
  for (const backup of sorted) {
    const reader = facts.inUse.get(backup.manifest.id);
    if (reader !== undefined) give(backup, `being read by ${reader}`);
  }
  return [...reasons].map(([backup, keep]) => ({ backup, keep }));
}

/**
 * For every database the newest undamaged backup that holds it whole. A database that the newest good backup doesn't
 * know any more, and no later one either, was dropped: it protects nothing. One that they know without holding it
 * (it failed, or was left out) still has its last whole copy further back.
 */
function newestWholeOf(sorted: readonly Backup[], newestGood: Backup | undefined): Map<string, Backup> {
  const recent = newestGood === undefined ? sorted : sorted.slice(0, sorted.indexOf(newestGood) + 1);
  const known = new Set(recent.flatMap(({ manifest }) => manifest.databases.map(({ name }) => name)));
  const found = new Map<string, Backup>();
  for (const backup of sorted) {
    if (backup.verification === 'failed') continue;
    for (const { name, status } of backup.manifest.databases) {
      if (status === 'dumped' && known.has(name) && !found.has(name)) found.set(name, backup);
    }
  }
  return found;
}
