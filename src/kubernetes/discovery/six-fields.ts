import { cronFlaw } from '../../domain/cron.ts';

/** What CloudNativePG's scheduler writes shorter. */
const shorthands: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * A ScheduledBackup's schedule in the five fields of Kubernetes and Temporal; undefined where it can't be said so.
 * CloudNativePG begins with the seconds, so five fields are seconds to month there, and the weekday is left out.
 */
export function inFiveFields(schedule: string): string | undefined {
  const text = schedule.trim();
  const shorthand = shorthands[text];
  if (shorthand !== undefined) return shorthand;
  const [seconds, ...fields] = text.split(/\s+/);
  // '?' is a '*' there.
  const five = [...fields, ...(fields.length === 4 ? ['*'] : [])]
    .map((field) => (field === '?' ? '*' : field))
    .join(' ');
  return seconds !== undefined && /^0{1,2}$/.test(seconds) && cronFlaw(five) === undefined ? five : undefined;
}
