/**
 * Cron as Temporal's schedules read it: five fields; numbers, names, lists, ranges and steps. Checked here because
 * what Temporal refuses should be found before it is sent, and what it reads otherwise than cron should never be.
 */

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Names that may stand for numbers, the first one for `least`. */
  readonly names: readonly string[];
  readonly range: string;
}

const minutes: Field = { name: 'minute', least: 0, most: 59, names: [], range: '0 to 59' };
const hours: Field = { name: 'hour', least: 0, most: 23, names: [], range: '0 to 23' };
const days: Field = { name: 'day', least: 1, most: 31, names: [], range: '1 to 31' };
const months: Field = {
  name: 'month',
  least: 1,
  most: 12,
  names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  range: '1 to 12 or jan to dec',
};
const weekdays: Field = {
  name: 'weekday',
  least: 0,
  most: 7,
  names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  range: '0 to 7 or sun to sat',
};

/** What a schedule must be and isn't; undefined: nothing is wrong with it. */
export function cronFlaw(text: string): string | undefined {
  const [minute, hour, day, month, weekday, more] = text.trim().split(/\s+/);
  if (
    minute === undefined ||
    hour === undefined ||
    day === undefined ||
    month === undefined ||
    weekday === undefined ||
    more !== undefined
  ) {
    return 'must have five fields: minute hour day month weekday';
  }
  return (
    fieldFlaw(minutes, minute) ??
    fieldFlaw(hours, hour) ??
    fieldFlaw(days, day) ??
    fieldFlaw(months, month) ??
    fieldFlaw(weekdays, weekday) ??
    (day === '*' || weekday === '*'
      ? undefined
      : 'must have * as day or as weekday: of two that are set cron takes days that match either, Temporal days that match both')
  );
}

function fieldFlaw(field: Field, text: string): string | undefined {
  return text
    .split(',')
    .map((item) => itemFlaw(field, item))
    .find((flaw) => flaw !== undefined);
}

function itemFlaw(field: Field, item: string): string | undefined {
  const expected = `must have as ${field.name} ${field.range}, or *, or lists, ranges and steps of them`;
  const match = /^(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:(?<=[*-].*)\/([1-9][0-9]?))?$/i.exec(item);
  const [, from = '', to, step = '1'] = match ?? [];
  if (Number(step) > field.most) return expected;
  if (from === '*') return to === undefined ? undefined : expected;
  const low = numberOf(field, from);
  const high = numberOf(field, to ?? from);
  if (low === undefined || high === undefined) return expected;
  return low <= high ? undefined : `must have ranges from low to high: ${field.name} ${item} runs backwards`;
}

function numberOf({ least, most, names }: Field, text: string): number | undefined {
  const named = names.indexOf(text.toLowerCase());
  if (named >= 0) return least + named;
  const value = /^[0-9]{1,2}$/.test(text) ? Number(text) : NaN;
  return value >= least && value <= most ? value : undefined;
}
