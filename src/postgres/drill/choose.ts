import type { BaseBackup } from '../../domain/base-manifest.ts';
import { emptyArchive, stateOfBase } from '../../domain/base-state.ts';
import { isGood, newestFirst, type Backup } from '../../domain/catalog.ts';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { chooseRecovery } from '../../domain/recovery-choice.ts';
import type { RecoveryChoice } from '../../domain/recovery-pick.ts';
import type { RecoverArgument } from '../../domain/recover-argument.ts';
import type { Archived } from '../../domain/wal-archive.ts';

export interface OfPolicy {
  readonly cluster: string;
  readonly policy: string;
}

/** The newest good backup of a policy. Pure. Throws NoSuchBackup. */
export function newestLogical(backups: readonly Backup[], { cluster, policy }: OfPolicy): Backup {
  const own = backups.filter(({ manifest }) => manifest.cluster === cluster && manifest.policy === policy);
  const found = newestFirst(own).find(isGood);
  if (found !== undefined) return found;
  throw none(policy, own.length);
}

/** So long a base backup's log may be on its way into the archive. */
const arrivingMs = 15 * 60_000;

/**
 * The newest base backup of a policy that no verification found damaged. One that ended a moment ago and whose log
 * hasn't arrived yet is passed over; one whose log never came is drilled, and fails. Pure. Throws NoSuchBackup.
 */
export function newestBase(
  bases: readonly BaseBackup[],
  archives: readonly Archived[],
  { cluster, policy }: OfPolicy,
  now: Date,
): BaseBackup {
  const own = bases.filter(({ manifest }) => manifest.cluster === cluster && manifest.policy === policy);
  const good = own
    .filter(({ verification }) => verification !== 'failed')
    .sort((a, b) => Date.parse(b.manifest.serverFinishedAt) - Date.parse(a.manifest.serverFinishedAt));
  const found = good.find((base) => !isArriving(base, bases, archives, now)) ?? good[0];
  if (found !== undefined) return found;
  throw none(policy, own.length);
}

function isArriving(base: BaseBackup, bases: readonly BaseBackup[], archives: readonly Archived[], now: Date): boolean {
  const { server, finishedAt } = base.manifest;
  if (now.getTime() - Date.parse(finishedAt) > arrivingMs) return false;
  const archive =
    archives.find((one) => one.archive.systemIdentifier === server.systemIdentifier)?.archive ??
    emptyArchive(server.systemIdentifier, server.segmentBytes);
  return stateOfBase(archive, bases, base).state === 'broken';
}

const none = (policy: string, count: number) =>
  new HoldfastError(
    'NoSuchBackup',
    `policy ${policy} has no backup that is complete and undamaged`,
    count === 0
      ? `take one first: 'holdfast backup ${policy}'`
      : "take another; 'holdfast backups list' shows what is wrong with those that there are",
  );

export interface DrillRecovery {
  readonly choice: RecoveryChoice;
  /** Why it doesn't go to the archive's end; null: it does, or there is no archive. */
  readonly broken: string | null;
}

/**
 * What a drill of a base backup recovers: everything that is archived after it; where the archive doesn't lead on, to
 * the moment at which it is consistent, and then the reason is told. Pure. Throws PlanHopeless where the backup can't be
 * recovered at all.
 */
export function chooseDrill(
  base: BaseBackup,
  bases: readonly BaseBackup[],
  archives: readonly Archived[],
  now: Date,
): DrillRecovery {
  const { id, cluster, stopTimeline } = base.manifest;
  const choose = (target: RecoverArgument['target']) =>
    chooseRecovery({
      argument: { cluster, target, backup: id, tablespaces: {} },
      // Of its own policy or not: ids are unique in a cluster's system only.
      bases: bases.filter(({ manifest }) => manifest.server.systemIdentifier === base.manifest.server.systemIdentifier),
      archives,
      systemIdentifier: base.manifest.server.systemIdentifier,
      now,
    });
  try {
    const choice = choose({ kind: 'latest', timeline: 'latest' });
    if (choice.runs.length > 0) return { choice, broken: null };
    return { choice: choose({ kind: 'immediate', timeline: stopTimeline }), broken: null };
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'PlanHopeless') throw error;
    return { choice: choose({ kind: 'immediate', timeline: stopTimeline }), broken: messageOf(error) };
  }
}
