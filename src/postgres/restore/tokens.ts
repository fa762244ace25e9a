import { HoldfastError } from '../../domain/errors.ts';

/** A piece of SQL that a parser would see: no comment, no white space. */
export interface Token {
  readonly kind: 'word' | 'identifier' | 'string' | 'symbol';
  /** word: in lower case. identifier: without its quotes. string: what it stands for. symbol: one character. */
  readonly value: string;
  /** Where it stands in the whole text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

const wordStart = /[A-Za-z_\u0080-\uffff]/;
const word = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const dollarQuote = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const number = /[0-9][A-Za-z0-9_.]*/y;

/**
 * Reads one token after the other, as PostgreSQL's own scanner does: quotes, E'' strings, dollar quotes, nested
 * comments. Pure. ObjectDamaged where a quote or comment doesn't end.
 */
export class Lexer {
  /** Off: a backslash in an ordinary string is an escape, as old dumps had it. */
  standardStrings = true;
  readonly #text: string;
  #at = 0;
  /** Line feeds counted so far: positions are asked for in rising order. */
  #counted = { upTo: 0, line: 1 };

  constructor(text: string) {
    this.#text = text;
  }

  /** Where the next token will be looked for. */
  get position(): number {
    return this.#at;
  }

  /** The next token; undefined at the end. A backslash is a symbol. */
  next(): Token | undefined {
    this.#skipBlank();
    const start = this.#at;
    const first = this.#text[start];
    if (first === undefined) return undefined;
    if (first === "'") return this.#string(start, start, !this.standardStrings);
    if (first === '"') return this.#identifier(start);
    const dollar = first === '$' ? this.#match(dollarQuote) : undefined;
    if (dollar !== undefined) return this.#dollarQuoted(start, dollar);
    if (wordStart.test(first)) return this.#word(start);
    const digits = this.#match(number);
    if (digits !== undefined) return this.#token('word', digits.toLowerCase(), start, start + digits.length);
    return this.#token('symbol', first, start, start + 1);
  }

  /** The rest of the line from `start`, without its line feed, and goes on behind it: what psql takes as a command. */
  takeLine(start: number): string {
    const feed = this.#text.indexOf('\n', start);
    const end = feed === -1 ? this.#text.length : feed;
    this.#at = end;
    return this.#text.slice(start, end).trimEnd();
  }

  /** The number of the line on which a position lies, from 1. */
  lineOf(position: number): number {
    if (position < this.#counted.upTo) this.#counted = { upTo: 0, line: 1 };
    let { upTo, line } = this.#counted;
    for (
      let feed = this.#text.indexOf('\n', upTo);
      feed !== -1 && feed < position;
      feed = this.#text.indexOf('\n', upTo)
    ) {
      upTo = feed + 1;
      line += 1;
    }
    this.#counted = { upTo, line };
    return line;
  }

  #token(kind: Token['kind'], value: string, start: number, end: number): Token {
    this.#at = end;
    return { kind, value, start, end };
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0];
  }

  #word(start: number): Token {
    const text = this.#match(word) ?? '';
    // E'…', B'…', X'…', N'…': the letter belongs to the string.
    if (/^[ebxn]$/i.test(text) && this.#text[start + 1] === "'") {
      return this.#string(start, start + 1, /^e$/i.test(text) || !this.standardStrings);
    }
    return this.#token('word', text.toLowerCase(), start, start + text.length);
  }

  #identifier(start: number): Token {
    const end = this.#closing(start, start + 1, '"', false);
    return this.#token('identifier', this.#text.slice(start + 1, end - 1).replaceAll('""', '"'), start, end);
  }

  #string(start: number, quote: number, escapes: boolean): Token {
    const end = this.#closing(start, quote + 1, "'", escapes);
    const raw = this.#text.slice(quote + 1, end - 1);
    return this.#token('string', escapes ? unescape(raw) : raw.replaceAll("''", "'"), start, end);
  }

  /** The position behind the quote that ends what begins at `from`. */
  #closing(start: number, from: number, quote: string, escapes: boolean): number {
    for (let at = from; at < this.#text.length; at += 1) {
      const character = this.#text[at];
      if (escapes && character === '\\') at += 1;
      else if (character === quote) {
        if (this.#text[at + 1] !== quote) return at + 1;
        at += 1;
      }
    }
    throw this.#unfinished('a quoted text', start);
  }

  #dollarQuoted(start: number, tag: string): Token {
    const close = this.#text.indexOf(tag, start + tag.length);
    if (close === -1) throw this.#unfinished('a dollar-quoted text', start);
    return this.#token('string', this.#text.slice(start + tag.length, close), start, close + tag.length);
  }

  #skipBlank(): void {
    for (;;) {
      while (/\s/.test(this.#text[this.#at] ?? '')) this.#at += 1;
      if (this.#text.startsWith('--', this.#at)) {
        const feed = this.#text.indexOf('\n', this.#at);
        this.#at = feed === -1 ? this.#text.length : feed;
      } else if (this.#text.startsWith('/*', this.#at)) this.#skipBlockComment();
      else return;
    }
  }

  #skipBlockComment(): void {
    const start = this.#at;
    let depth = 0;
    do {
      if (this.#text.startsWith('/*', this.#at)) {
        depth += 1;
        this.#at += 2;
      } else if (this.#text.startsWith('*/', this.#at)) {
        depth -= 1;
        this.#at += 2;
      } else this.#at += 1;
      if (this.#at > this.#text.length) throw this.#unfinished('a comment', start);
    } while (depth > 0);
  }

  #unfinished(what: string, start: number): HoldfastError {
    return new HoldfastError(
      'ObjectDamaged',
      `the SQL ends inside ${what} that begins in line ${String(this.lineOf(start))}`,
      'restore from another backup: this one is cut off or damaged',
    );
  }
}

const simpleEscapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** What the inside of an E'' string stands for, as far as PostgreSQL's own tools write it. */
function unescape(raw: string): string {
  return raw.replace(/''|\\([\s\S])/g, (found, escaped: string | undefined) =>
    escaped === undefined ? found.slice(1) : (simpleEscapes[escaped] ?? escaped),
  );
}
