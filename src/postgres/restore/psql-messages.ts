import { listedAtMost, type Finding } from '../../domain/restore-report.ts';
import { classify, isWarning, plainMessage, type Verdict } from './classify.ts';

/** What psql writes to stderr with VERBOSITY=verbose: `psql:<stdin>:12: ERROR:  42704: role "x" does not exist`. */
const server = /^(?:psql:(?:<stdin>|-):(\d+): )?(\p{L}[\p{L} ]*):\s+([0-9A-Z]{5}): (.*)$/u;
/** Without a SQLSTATE psql itself speaks: `psql:<stdin>:5: error: invalid command \x`. */
const own = /^psql:(?:(?:<stdin>|-):(\d+):)? ?(?:error|fatal): (.*)$/;
const detail = /^DETAIL: {2}(.*)$/;

/** NOTICE and the like carry any SQLSTATE; where the language is not ours to choose, the class decides. */
const mild = ['DEBUG', 'LOG', 'INFO', 'NOTICE', 'WARNING'];

export interface PsqlError {
  readonly finding: Finding;
  readonly verdict: Verdict;
}

/**
 * Reads psql's stderr line by line. Keeps the first error and the first notes, however much comes. psql runs with
 * ON_ERROR_STOP, so whatever follows the first error is its consequence.
 */
export class PsqlMessages {
  #error: PsqlError | undefined;
  #notes: Finding[] = [];
  #noteCount = 0;
  #expectsDetail = false;

  push(line: string): void {
    const said = server.exec(line);
    if (said !== null) {
      const [, number, severity = '', sqlState = '', message = ''] = said;
      if (mild.includes(severity) || isWarning(sqlState)) this.#note(number, sqlState, message);
      else this.#fail(number, sqlState, message);
      return;
    }
    const ownWords = own.exec(line);
    if (ownWords !== null) {
      this.#fail(ownWords[1], null, ownWords[2] ?? '');
      return;
    }
    const more = detail.exec(line)?.[1];
    if (more !== undefined && this.#expectsDetail && this.#error !== undefined) {
      const { finding, verdict } = this.#error;
      this.#error = { verdict, finding: { ...finding, message: plainMessage(`${finding.message}: ${more}`) } };
    }
    this.#expectsDetail = false;
  }

  /** undefined: none so far. */
  get error(): PsqlError | undefined {
    return this.#error;
  }

  get notes(): { readonly count: number; readonly first: readonly Finding[] } {
    return { count: this.#noteCount, first: this.#notes };
  }

  #fail(line: string | undefined, sqlState: string | null, message: string): void {
    if (this.#error !== undefined) return;
    const verdict = classify({ sqlState, message });
    this.#expectsDetail = true;
    this.#error = { verdict, finding: { ...findingAt(line, sqlState, message), kind: verdict.kind, weight: 'error' } };
  }

  #note(line: string | undefined, sqlState: string, message: string): void {
    this.#expectsDetail = false;
    this.#noteCount += 1;
    if (this.#notes.length < listedAtMost) this.#notes.push(findingAt(line, sqlState, message));
  }
}

const findingAt = (line: string | undefined, sqlState: string | null, message: string): Finding => ({
  kind: 'harmless',
  weight: 'note',
  line: line === undefined ? null : Number(line),
  sqlState,
  message: plainMessage(message),
});
