import { Cron } from 'croner';

/** The next three moments at which Temporal will start a schedule of five fields. */
export function nextRuns(schedule: string, timezone: string, after = new Date()): Date[] {
  return new Cron(schedule, { timezone, mode: '5-part' }).nextRuns(3, after);
}
