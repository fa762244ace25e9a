import type { SwapMark } from '../../domain/swap-report.ts';

/**
 * A swap that closes two databases says so on the copy, in the first line of its comment, in the same transaction;
 * the transaction that opens them takes it off again. So whoever comes after a crash can tell a database that this
 * swap closed from one that a person closed, and knows since when it is closed. A comment, because the owner of a
 * database may write one, and a setting of our own only a superuser.
 */
const pattern = /^holdfast: swap, closed at (\d{1,15}), copy was (open|closed)(?:\n([\s\S]*))?$/;

export function writeMark(mark: SwapMark, comment: string | null): string {
  const line = `holdfast: swap, closed at ${String(mark.closedAtMs)}, copy was ${mark.copyWasOpen ? 'open' : 'closed'}`;
  return comment === null ? line : `${line}\n${comment}`;
}

/** Any comment's mark, null where there is none, and what the comment is without it. */
export function readMark(comment: string | null): { readonly mark: SwapMark | null; readonly comment: string | null } {
  const found = comment === null ? null : pattern.exec(comment);
  if (!found) return { mark: null, comment };
  return { mark: { closedAtMs: Number(found[1]), copyWasOpen: found[2] === 'open' }, comment: found[3] ?? null };
}
