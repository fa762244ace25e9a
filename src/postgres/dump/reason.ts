import { messageOf } from '../../domain/errors.ts';
import { ToolFailure } from '../../process/chain.ts';

const longest = 600;

/**
 * Why a database failed, for its record: what pg_dump itself called the error, else the failure's message. One line,
 * bounded.
 */
export function reasonOf(error: unknown): string {
  const lock = error instanceof ToolFailure ? lockWaitedFor(error.exit.stderr) : undefined;
  if (lock !== undefined) return bounded(`it waited for a table's lock for longer than it may: ${lock}`);
  const said = error instanceof ToolFailure ? errorLines(error.exit.stderr) : '';
  const message = messageOf(error);
  const text = said === '' || message.includes(said) ? message : `${said} (${withoutLastWords(error, message)})`;
  return bounded(text);
}

function bounded(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}...` : line;
}

/** pg_dump's time-out for locks is a statement_timeout, and PostgreSQL's text says only that. */
function lockWaitedFor(stderr: string): string | undefined {
  if (!/statement timeout|lock timeout/.test(stderr)) return undefined;
  return /^pg_dump: detail: Query was: (LOCK TABLE .*)$/m.exec(stderr)?.[1];
}

/** "pg_dump: error: query failed: ERROR: …" and what PostgreSQL added, without the text of the query. */
function errorLines(stderr: string): string {
  const lines = stderr
    .split('\n')
    .flatMap((line) => /^pg_dump(?:all)?: (?:error|detail|hint): (.*)$/.exec(line)?.[1] ?? []);
  return lines.filter((line) => !/^(?:Query|Command) was:/.test(line)).join('; ');
}

/** "pg_dump failed with exit code 1: …" up to the colon. */
function withoutLastWords(error: unknown, message: string): string {
  const { exit } = error as ToolFailure;
  if (exit.signal === null && exit.code !== null) return `pg_dump's exit code was ${String(exit.code)}`;
  return message;
}
