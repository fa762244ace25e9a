import { formatSeconds } from '../domain/format.ts';

/** 2026-11-21 02:00:00 UTC */
export const formatUtc = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** 2026-11-21 02:00 UTC: for what has no seconds. */
export const formatUtcMinute = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** 2026-11-21 11:00 Asia/Tokyo */
function formatInZone(at: Date, timeZone: string): string {
  const text = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' }).format(at);
  return `${text} ${timeZone}`;
}

/** In the zone, and in UTC where that is another. */
export const formatRun = (at: Date, timeZone: string): string =>
  timeZone === 'UTC' ? formatUtcMinute(at) : `${formatInZone(at, timeZone)} (${formatUtcMinute(at)})`;

/** @param nowMs milliseconds since 1970 */
const ageSeconds = (at: Date, nowMs: number): number => Math.max(0, (nowMs - at.getTime()) / 1000);

export const formatAge = (at: Date, nowMs: number): string => formatSeconds(ageSeconds(at, nowMs));
