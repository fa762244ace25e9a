import { wellFormed } from './format.ts';

/**
 * What CloudNativePG's pods log, a line each, as people read it: `FATAL: recovery ended before …`. PostgreSQL's own lines
 * are in `record`; what is no JSON stays as it is.
 */
export function readableLog(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(readable)
    .filter((line) => line !== '');
}

function readable(line: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line) as unknown;
  } catch {
    return wellFormed(line.trim());
  }
  if (typeof parsed !== 'object' || parsed === null) return wellFormed(line.trim());
  const { msg, error, record, level } = parsed as Readonly<Record<string, unknown>>;
  if (typeof record === 'object' && record !== null) {
    const { message, error_severity: severity, detail } = record as Readonly<Record<string, unknown>>;
    const more = typeof detail === 'string' && detail !== '' ? `: ${detail}` : '';
    return wellFormed(`${textOf(severity)}: ${textOf(message)}${more}`);
  }
  const what = [textOf(msg), textOf(error)].filter((part) => part !== '').join(': ');
  return wellFormed(level === 'error' ? `ERROR: ${what}` : what);
}

const textOf = (value: unknown) => (typeof value === 'string' ? value.trim() : '');
