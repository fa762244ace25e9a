import { createHash } from 'node:crypto';

/**
 * How a database that a restore makes says whose it is. It is created with a connection limit that stands for the run,
 * so there is no moment at which it exists unmarked; then it gets a comment, for people and for later steps.
 *
 * - `making`: it is being made, and of no use to anybody
 * - `loaded`: its contents are whole and verified; its properties are still to come
 * - `done`: it bears its final name and has its properties; the rest of the comment is its own
 * - `aside`: an empty database whose place a restored one took
 */
export type RestoreState = 'making' | 'loaded' | 'done' | 'aside';

export interface RestoreMark {
  readonly run: string;
  readonly state: RestoreState;
  /** What was compared when it was verified, so that a later attempt needn't do it again. */
  readonly verified: Verified | null;
  /** The comment without the mark. */
  readonly comment: string | null;
}

export interface Verified {
  readonly tables: number;
  readonly rows: number;
}

const pattern =
  /^holdfast: restore ([A-Za-z0-9-]+)(?:, (loaded|done|put aside, it was empty))?(?:, (\d{1,15}) tables and (\d{1,15}) rows are as in the backup)?(?:\n([\s\S]*))?$/;

export interface MarkWish {
  /** Short id of the run: letters, digits and hyphens. */
  readonly run: string;
  readonly state: RestoreState;
  readonly verified?: Verified | null;
  readonly comment?: string | null;
}

export function restoreMark({ run, state, verified = null, comment = null }: MarkWish): string {
  const words = { making: '', loaded: ', loaded', done: ', done', aside: ', put aside, it was empty' };
  const counts =
    verified === null
      ? ''
      : `, ${String(verified.tables)} tables and ${String(verified.rows)} rows are as in the backup`;
  return `holdfast: restore ${run}${words[state]}${counts}${comment === null ? '' : `\n${comment}`}`;
}

/** undefined: not a mark. */
export function readRestoreMark(comment: string | null): RestoreMark | undefined {
  const found = comment === null ? null : pattern.exec(comment);
  if (found === null) return undefined;
  const [, run = '', word, tables, rows, rest] = found;
  const state: RestoreState = word === 'loaded' || word === 'done' ? word : word === undefined ? 'making' : 'aside';
  const verified = tables === undefined ? null : { tables: Number(tables), rows: Number(rows) };
  return { run, state, verified, comment: rest ?? null };
}

/**
 * The connection limit that a database is created with: between one and two thousand million, so that it limits
 * nobody, and different for every run.
 */
export function markLimit(run: string): number {
  return 1_000_000_000 + (createHash('sha256').update(run).digest().readUInt32BE() % 1_000_000_000);
}

/** A database as found: whether this run made it, and nobody else can have. */
export function isOurs(
  found: { readonly comment: string | null; readonly connectionLimit: number },
  run: string,
): boolean {
  const mark = readRestoreMark(found.comment);
  if (mark !== undefined) return mark.run === run && (mark.state === 'making' || mark.state === 'loaded');
  return found.comment === null && found.connectionLimit === markLimit(run);
}
