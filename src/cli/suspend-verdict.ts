import type { ScheduleStanding } from '../client/schedules.ts';
import type { HoldfastError } from '../domain/errors.ts';
import type { Imported } from '../kubernetes/scheduled-backups/imported.ts';

/** Whether a ScheduledBackup may rest, because a policy's schedule does its work from now on. */
export type SuspendVerdict = { readonly imported: Imported } & (
  | { readonly verdict: 'suspend'; readonly policy: string; readonly next: Date }
  | { readonly verdict: 'suspended already' }
  /** `why` is a sentence's end. */
  | { readonly verdict: 'left'; readonly why: string; readonly cure: string }
);

/** Only where a schedule of this installation stands in Temporal and will run is the Cluster's own given up. */
export function judgeSuspension(imported: Imported, standing: ScheduleStanding | undefined): SuspendVerdict {
  const left = (why: string, cure: string): SuspendVerdict => ({ imported, verdict: 'left', why, cure });
  const { outcome } = imported;
  if (imported.suspended) return { imported, verdict: 'suspended already' };
  if (outcome.kind !== 'known' || standing === undefined)
    return left(
      'no policy of the configuration does its work',
      outcome.kind === 'refused'
        ? outcome.cure
        : "put the policy that 'holdfast import scheduledbackups' prints into the configuration, then: holdfast apply",
    );
  const { policy } = outcome;
  switch (standing.state) {
    case 'runs':
      return { imported, verdict: 'suspend', policy, next: standing.next };
    case 'unwanted':
      return left(`policy ${policy} has no schedule`, 'give it one, then: holdfast apply');
    case 'missing':
      return left(`the schedule of policy ${policy} is not in Temporal yet`, 'holdfast apply makes it');
    case 'foreign':
      return left(
        `the schedule in Temporal of policy ${policy}'s name belongs to another installation`,
        'give this installation, or the policy, a name of its own',
      );
    case 'paused':
      return left(`the schedule of policy ${policy} is paused`, 'unpause it in Temporal first');
    case 'over':
      return left(`the schedule of policy ${policy} will never run again`, 'look at it in Temporal; holdfast apply');
  }
}

/** What became of one; no error: it rests. */
export interface Suspended {
  readonly imported: Imported;
  readonly policy: string;
  readonly error: HoldfastError | null;
}
