import { Cron } from 'croner';

/** A backup of a large cluster may take a while: a scheduled one counts as missing after this. */
const slackMs = 3_600_000;

export type Freshness =
  /** The newest good backup is of the last scheduled run, or that run is less than an hour ago. */
  | { readonly state: 'in time' }
  /** Nothing good has come of the run that was due then. */
  | { readonly state: 'overdue'; readonly since: Date }
  /** No run was due yet since the schedule was made. */
  | { readonly state: 'not due yet' }
  | { readonly state: 'not scheduled' };

/**
 * @param newestGood when it was started; undefined: there is none
 * @param madeAt when Temporal began to keep the schedule; undefined: not known
 */
export function freshness(
  newestGood: Date | undefined,
  { schedule, timezone }: { readonly schedule?: string | undefined; readonly timezone: string },
  nowMs: number,
  madeAt?: Date,
): Freshness {
  if (schedule === undefined) return { state: 'not scheduled' };
  const [due] = new Cron(schedule, { timezone, mode: '5-part' }).previousRuns(1, new Date(nowMs - slackMs));
  if (!due || (newestGood && newestGood >= due)) return { state: 'in time' };
  if (madeAt && madeAt > due) return { state: 'not due yet' };
  return { state: 'overdue', since: due };
}
