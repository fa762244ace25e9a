import { messageOf } from '../../domain/errors.ts';
import type { Finding } from '../../domain/restore-report.ts';
import { sqlState } from '../failures.ts';
import { classify, plainMessage, type Verdict } from './classify.ts';

export interface Judged {
  readonly verdict: Verdict;
  readonly finding: Finding;
}

/**
 * What the server said when a statement of ours failed, judged; undefined where it wasn't the server that spoke, or
 * where nothing that follows can work: that is to be thrown on.
 * @param subject for the message: the statement's object
 */
export function judgeStatement(error: unknown, subject: string, line: number | null): Judged | undefined {
  const state = sqlState(error);
  if (state === undefined) return undefined;
  const text = messageOf(serverError(error));
  const verdict = classify({ sqlState: state, message: text });
  if (verdict.weight === 'fatal') return undefined;
  const { kind, weight } = verdict;
  return { verdict, finding: { kind, weight, line, sqlState: state, message: plainMessage(`${subject}: ${text}`) } };
}

/** The error as PostgreSQL sent it, below what was wrapped around it. */
function serverError(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  return sqlState(cause) === undefined ? error : serverError(cause);
}
