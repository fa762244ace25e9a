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

/** A schedule that Kubernetes and Temporal know, or why it can't be said so. */
export type FiveFields =
  | {
      readonly cron: string;
      /** As `CRON_TZ=…` before it says; undefined: the operator's, which is UTC. */
      readonly timezone: string | undefined;
    }
  | {
      /** A sentence's end: "runs at second 30, and five fields know no seconds". */
      readonly flaw: string;
      readonly cure: string;
    };

/**
 * A ScheduledBackup's schedule in the five fields of Kubernetes and Temporal. CloudNativePG begins with the seconds, so
 * five fields are seconds to month there, and the weekday is left out.
 */
export function readSixFields(schedule: string): FiveFields {
  const [, timezone, text = ''] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/s.exec(schedule.trim()) ?? [];
  const shorthand = shorthands[text];
  if (shorthand !== undefined) return { cron: shorthand, timezone };
  const [, interval] = /^@every\s+(\S+)$/.exec(text) ?? [];
  if (interval !== undefined)
    return {
      flaw: `counts ${interval} from when the operator began, not by the clock`,
      cure: `write the policy by hand, with times: ${timesFor(interval)}`,
    };
  const [seconds = '', ...fields] = text.split(/\s+/);
  // '?' is a '*' there.
  const cron = [...fields, ...(fields.length === 4 ? ['*'] : [])]
    .map((field) => (field === '?' ? '*' : field))
    .join(' ');
  const flaw = cronFlaw(cron);
  if (flaw !== undefined)
    return {
      flaw: `is no schedule in five fields: "${cron}" ${flaw}`,
      cure: 'write the policy by hand, with a schedule that does the same',
    };
  if (/^0{1,2}$/.test(seconds)) return { cron, timezone };
  return {
    flaw: /^[0-9]{1,2}$/.test(seconds)
      ? `runs at second ${seconds}, and five fields know no seconds`
      : `runs several times a minute ("${seconds}"), and five fields know no seconds`,
    cure: `set its seconds to 0, or write the policy by hand: schedule: ${cron}`,
  };
}

/** undefined where it can't be said so, or not without a time zone. */
export function inFiveFields(schedule: string): string | undefined {
  const read = readSixFields(schedule);
  return 'cron' in read && read.timezone === undefined ? read.cron : undefined;
}

/** Times with about the same distance, where a day or an hour can be divided so. */
function timesFor(interval: string): string {
  const [, hours = '0', minutes = '0'] = /^(?:([0-9]+)h)?(?:([0-9]+)m)?(?:0+s)?$/.exec(interval) ?? [];
  const all = Number(hours) * 60 + Number(minutes);
  if (all > 0 && 60 % all === 0) return `schedule: ${all === 60 ? '0' : `*/${String(all)}`} * * * *`;
  if (all > 0 && all % 60 === 0 && 24 % (all / 60) === 0)
    return `schedule: 0 ${all === 24 * 60 ? '0' : `*/${String(all / 60)}`} * * *`;
  return 'such as schedule: 0 */6 * * *';
}
