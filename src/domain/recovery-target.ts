import { z } from 'zod';
import { oneLine, wellFormed } from './format.ts';
import { formatLsn, lsnSchema, parseLsn } from './wal.ts';

/**
 * Where a recovery stops. What a person writes names exactly one kind, {"time":"2025-10-30T14:00:00+09:00"}; what comes
 * out is a union.
 */
export type RecoveryTarget = {
  /** The timeline to recover along; latest: the newest one of the archive. A plan pins it to a number. */
  readonly timeline: number | 'latest';
} & TargetPlace;

export type TargetPlace =
  /** Everything that is archived, as a standby that waits. */
  | { readonly kind: 'latest' }
  /** As soon as the base backup is consistent. */
  | { readonly kind: 'immediate' }
  /** `at` has an explicit offset: "2025-10-30T14:00:00.123456+09:00". inclusive: with what was committed right then. */
  | { readonly kind: 'time'; readonly at: string; readonly inclusive: boolean }
  | { readonly kind: 'lsn'; readonly lsn: string; readonly inclusive: boolean }
  /** A decimal number, of 32 bits or with the epoch before it, as pg_current_xact_id() shows it. */
  | { readonly kind: 'xid'; readonly xid: string; readonly inclusive: boolean }
  /** A restore point, made by pg_create_restore_point(). */
  | { readonly kind: 'name'; readonly name: string };

const instant =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(?:(Z)|([+-])(\d{2})(?::?(\d{2}))?)$/;

interface Instant {
  /** Microseconds since 1970, UTC. */
  readonly micros: bigint;
  /** As it was written, with 'T', seconds and an offset of hours and minutes. */
  readonly text: string;
}

/** undefined for what is no time of the calendar, or has no offset from UTC. Microseconds are kept. */
export function parseInstant(text: string): Instant | undefined {
  const match = instant.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second = '00', fraction = '', zulu, sign, hours = '00', minutes = '00'] =
    match;
  const date = `${year ?? ''}-${month ?? ''}-${day ?? ''}`;
  const wall = Date.parse(`${date}T${hour ?? ''}:${minute ?? ''}:${second}Z`);
  // Date takes the 31st of any month and 24:00: what comes back is another day then
  if (Number.isNaN(wall) || !new Date(wall).toISOString().startsWith(`${date}T${hour ?? ''}:`)) return undefined;
  if (Number(hours) > 15 || Number(minutes) > 59) return undefined;
  const offset = zulu === undefined ? (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1) : 0;
  const micros = BigInt(wall - offset * 60_000) * 1000n + BigInt(fraction.padEnd(6, '0'));
  const zone = zulu ?? `${sign ?? '+'}${hours}:${minutes}`;
  return {
    micros,
    text: `${date}T${hour ?? ''}:${minute ?? ''}:${second}${fraction === '' ? '' : `.${fraction}`}${zone}`,
  };
}

/** Microseconds since 1970 of a time that passed a schema; throws RangeError for anything else. */
export function microsOf(text: string): bigint {
  const parsed = parseInstant(text);
  if (parsed === undefined) throw new RangeError(`not a time with an offset: ${text}`);
  return parsed.micros;
}

const timeSchema = z.string().transform((text, context) => {
  const parsed = parseInstant(text);
  if (parsed !== undefined) return parsed.text;
  context.addIssue({
    code: 'custom',
    message:
      "must be a time of the calendar with an explicit offset from UTC, such as '2025-10-30T14:00:00+09:00' or '2025-10-30T05:00:00Z'",
  });
  return z.NEVER;
});

const lsnText = lsnSchema.transform((text) => formatLsn(parseLsn(text)));

const mostXid = (1n << 64n) - 1n;

/** PostgreSQL would read '010' as octal and '0x1F' as hexadecimal; 0, 1 and 2 are no transactions of anybody. */
const xidSchema = z
  .union([z.string(), z.number().int()])
  .transform(String)
  .refine(
    (text) => /^[1-9][0-9]{0,19}$/.test(text) && BigInt(text) <= mostXid && (BigInt(text) & 0xffffffffn) >= 3n,
    'must be a transaction\'s number in decimal digits, such as "1234"',
  );

const restorePointSchema = z
  .string()
  .min(1)
  .refine((name) => new TextEncoder().encode(name).length <= 63, "must be at most 63 bytes, PostgreSQL's limit")
  .refine(
    (name) => !/\p{Cc}/u.test(name) && name === wellFormed(name),
    'must not hold control characters; give the lsn that pg_create_restore_point() answered instead',
  );

const kinds = ['latest', 'immediate', 'time', 'lsn', 'xid', 'name'] as const;
const exactlyOne = `must have exactly one of ${kinds.join(', ')}`;

const targetObject = z
  .strictObject({
    latest: z.literal(true).optional(),
    immediate: z.literal(true).optional(),
    time: timeSchema.optional(),
    lsn: lsnText.optional(),
    xid: xidSchema.optional(),
    name: restorePointSchema.optional(),
    timeline: z
      .union([z.number().int().min(1).max(0xffffffff), z.literal('latest')], {
        error: 'must be a timeline\'s number or "latest"',
      })
      .default('latest'),
    inclusive: z.boolean().optional(),
  })
  .transform((given, context): RecoveryTarget => {
    const { timeline, inclusive = true } = given;
    const named = kinds.filter((kind) => given[kind] !== undefined);
    if (named.length !== 1) context.addIssue({ code: 'custom', message: exactlyOne });
    if (given.inclusive !== undefined && !named.some((kind) => kind === 'time' || kind === 'lsn' || kind === 'xid'))
      context.addIssue({ code: 'custom', path: ['inclusive'], message: 'goes with time, lsn or xid' });
    if (given.time !== undefined) return { kind: 'time', at: given.time, inclusive, timeline };
    if (given.lsn !== undefined) return { kind: 'lsn', lsn: given.lsn, inclusive, timeline };
    if (given.xid !== undefined) return { kind: 'xid', xid: given.xid, inclusive, timeline };
    if (given.name !== undefined) return { kind: 'name', name: given.name, timeline };
    return given.immediate === true ? { kind: 'immediate', timeline } : { kind: 'latest', timeline };
  });

/** What a person writes; 'latest' and 'immediate' may be bare words. */
export const recoveryTargetSchema = z.preprocess(
  (value) => (value === 'latest' || value === 'immediate' ? { [value]: true } : value),
  targetObject,
);

/** As a person writes it: the other way round than recoveryTargetSchema. */
export function targetAsWritten(target: RecoveryTarget): Readonly<Record<string, string | number | boolean>> {
  const timeline = target.timeline === 'latest' ? {} : { timeline: target.timeline };
  switch (target.kind) {
    case 'latest':
    case 'immediate':
      return { [target.kind]: true, ...timeline };
    case 'time':
      return { time: target.at, ...(target.inclusive ? {} : { inclusive: false }), ...timeline };
    case 'lsn':
      return { lsn: target.lsn, ...(target.inclusive ? {} : { inclusive: false }), ...timeline };
    case 'xid':
      return { xid: target.xid, ...(target.inclusive ? {} : { inclusive: false }), ...timeline };
    case 'name':
      return { name: target.name, ...timeline };
  }
}

/** In words, on one line: "the time 2025-10-30T14:00:00+09:00, on timeline 2". */
export function describeTarget(target: RecoveryTarget): string {
  const timeline = target.timeline === 'latest' ? '' : `, on timeline ${String(target.timeline)}`;
  return `${describePlace(target)}${timeline}`;
}

function describePlace(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'latest':
      return 'the end of the archive';
    case 'immediate':
      return 'the moment at which the base backup is consistent';
    case 'time':
      return `${target.inclusive ? '' : 'just before '}the time ${target.at}`;
    case 'lsn':
      return `${target.inclusive ? '' : 'just before '}the place ${target.lsn}`;
    case 'xid':
      return `${target.inclusive ? 'the end of' : 'just before the end of'} transaction ${target.xid}`;
    case 'name':
      return `the restore point '${oneLine(target.name)}'`;
  }
}
