import { tokenKind, type Tokens } from './statement.ts';

/**
 * Where psql (14 and newer) takes semicolons for part of a function's body: between BEGIN and END of a statement that
 * begins with CREATE [OR REPLACE] FUNCTION or PROCEDURE. It counts words and knows no grammar, and so does this.
 */
export class Blocks {
  #words = 0;
  /** Initials of the first four words, where they are words that count. */
  #head = '';
  #depth = 0;
  #begun = false;

  get open(): boolean {
    return this.#depth > 0;
  }

  clear(): void {
    this.#words = 0;
    this.#head = '';
    this.#depth = 0;
    this.#begun = false;
  }

  word(buffer: Buffer, start: number, end: number, parentheses: number): void {
    const length = end - start;
    if (this.#words < 4) {
      const text = length <= 9 ? buffer.toString('latin1', start, end).toLowerCase() : '';
      this.#head += initials[text] ?? '-';
    }
    this.#words += 1;
    if (parentheses > 0 || length < 3 || length > 5 || !/^c(f|p|or(f|p))/.test(this.#head)) return;
    const text = buffer.toString('latin1', start, end).toLowerCase();
    if (text === 'begin') {
      this.#depth += 1;
      this.#begun = true;
    } else if (text === 'case' && this.#depth > 0) this.#depth += 1;
    else if (text === 'end' && this.#depth > 0) this.#depth -= 1;
  }

  /**
   * For the server a body begins with BEGIN ATOMIC and ends with the first END that follows a semicolon. If that isn't
   * the end of the statement as psql sees it, there may be other statements hidden in it.
   */
  problem(bytes: Buffer, tokens: Tokens): string | null {
    if (!this.#begun) return null;
    const is = (at: number, text: string) =>
      bytes.toString('latin1', tokens.start(at), tokens.end(at)).toLowerCase() === text && tokens.kind(at) >= 0;
    const isWord = (at: number, text: string) => tokens.kind(at) === tokenKind.word && is(at, text);
    let depth = 0;
    let body = -1;
    for (let at = 0; at < tokens.count; at += 1) {
      if (tokens.kind(at) === tokenKind.symbol) {
        if (is(at, '(')) depth += 1;
        else if (is(at, ')')) depth -= 1;
      } else if (depth === 0 && body === -1 && isWord(at, 'begin')) {
        if (!isWord(at + 1, 'atomic')) break;
        body = at + 1;
      } else if (depth === 0 && body !== -1 && isWord(at, 'end') && (at - 1 === body || is(at - 1, ';'))) {
        if (at === tokens.count - 1) return null;
        break;
      }
    }
    return 'a function whose end psql and the server see in different places';
  }
}

const initials: Readonly<Record<string, string>> = {
  create: 'c',
  function: 'f',
  procedure: 'p',
  or: 'o',
  replace: 'r',
};
