/** Bytes, times and names as people read them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units: 1 kB is 1,000 bytes. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toPrecision(2)} ${units[unit] ?? ''}`;
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

/** For Markdown: a name that nobody chose for its looks, on one line and without a way out of its quotes. */
export function code(text: string): string {
  const clean = text.replace(/[\u0000-\u001f\u007f]/g, '\ufffd');
  const fence = clean.includes('`') ? '``' : '`';
  return `${fence}${clean}${fence}`;
}

/** One word for a POSIX shell, whatever it holds. */
export const shellWord = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
