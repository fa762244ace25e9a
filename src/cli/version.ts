import { readFileSync } from 'node:fs';

/** From package.json, which lies two levels up from src/cli and from dist/cli alike. Reads it by hand: `--help` is to be quick. */
export function holdfastVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : 'unknown';
}
