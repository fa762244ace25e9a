/** Bytes, times and names as people read them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units: 1 kB is 1,000 bytes. */
export function formatBytes(bytes: number): string {
  const unit = units.find((_, power) => bytes / 1000 ** power < 999.5) ?? 'PB';
  const value = bytes / 1000 ** units.indexOf(unit);
  return `${unit === 'B' || value >= 99.5 ? value.toFixed(0) : value.toPrecision(2)} ${unit}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(0)} h`;
  return `${(seconds / 86_400).toFixed(0)} days`;
}

export const formatCount = (count: number, one: string, many = `${one}s`) =>
  `${String(count).replace(/\B(?=(\d{3})+$)/g, ',')} ${count === 1 ? one : many}`;

/** 150018 is 15.18. */
export const formatVersion = (versionNum: number) =>
  `${String(Math.floor(versionNum / 10_000))}.${String(versionNum % 10_000)}`;

/** Half of a character that takes two UTF-16 units can't be written as UTF-8. */
export const wellFormed = (text: string) => text.replace(/\p{Cs}/gu, '\ufffd');

/**
 * What can't be seen, or makes other text look different: control characters, line and paragraph separators, marks
 * that change the direction of writing, zero-width spaces, halves of characters.
 */
const deceptive = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;

/** Text that somebody else wrote, on one line of ours: it can't begin a line of its own, nor hide anything. */
export const oneLine = (text: string) => text.replace(/[ \t\r\n]+/g, ' ').replace(deceptive, '\ufffd');

/** For Markdown: a name that nobody chose for its looks, on one line and without a way out of its quotes. */
export function code(text: string): string {
  const clean = text.replace(deceptive, '\ufffd');
  const longest = Math.max(0, ...(clean.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  // Markdown takes one space off each end, so that a name can begin or end with a backtick or a space; two
  // backticks with nothing between them would open a span that goes on to the next ones
  const pad = /^[` ]|[` ]$|^$/.test(clean) ? ' ' : '';
  return `${fence}${pad}${clean}${pad}${fence}`;
}

/** One word for a POSIX shell, whatever it holds. */
export const shellWord = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
