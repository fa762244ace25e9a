import { z } from 'zod';

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

const mostMs = 10 * 366 * 86_400_000;

/** "90s", "15m", "24h", "7d" or "2w" in milliseconds; undefined for anything else, and for more than ten years. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,5})([smhdw])$/.exec(text);
  const unit = unitMs[match?.[2] ?? ''];
  const ms = match && unit !== undefined ? Number(match[1]) * unit : Infinity;
  return ms <= mostMs ? ms : undefined;
}

export const durationSchema = z
  .string()
  .refine(
    (text) => parseDurationMs(text) !== undefined,
    'must be a whole number and a unit, such as "30m", "24h" or "7d", and at most ten years',
  )
  .meta({ pattern: '^[1-9][0-9]{0,5}[smhdw]$' });

/** For text that passed durationSchema. */
export function durationMs(text: string): number {
  const parsed = parseDurationMs(text);
  if (parsed === undefined) throw new RangeError(`not a duration: ${text}`);
  return parsed;
}
