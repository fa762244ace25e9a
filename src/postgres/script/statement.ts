import { HoldfastError } from '../../domain/errors.ts';
import { decodeText } from './encodings.ts';

export type TokenKind = 'word' | 'identifier' | 'string' | 'number' | 'symbol';

const kinds: readonly TokenKind[] = ['word', 'identifier', 'string', 'number', 'symbol'];

/** In the order of `kinds`, as the scanner notes them down. */
export const tokenKind = Object.freeze({ word: 0, identifier: 1, string: 2, number: 3, symbol: 4 });

/** From here on literals, and commas in parentheses, aren't kept: a long INSERT has millions. */
const literalsKept = 50_000;
const mostTokens = 16 * 1024 * 1024;

/** The tokens of one statement after the other, in memory that is used again. Positions count from its beginning. */
export class Tokens {
  count = 0;
  #kinds = new Uint8Array(1024);
  #starts = new Int32Array(1024);
  #ends = new Int32Array(1024);

  clear(): void {
    this.count = 0;
  }

  add(kind: number, start: number, end: number): void {
    if (this.count === this.#kinds.length) this.#grow();
    this.#kinds[this.count] = kind;
    this.#starts[this.count] = start;
    this.#ends[this.count] = end;
    this.count += 1;
  }

  /** A literal, or a comma in parentheses. */
  addPlain(kind: number, start: number, end: number): void {
    if (this.count < literalsKept) this.add(kind, start, end);
  }

  kind(at: number): number {
    return at < this.count ? (this.#kinds[at] ?? -1) : -1;
  }

  start(at: number): number {
    return this.#starts[at] ?? 0;
  }

  end(at: number): number {
    return this.#ends[at] ?? 0;
  }

  #grow(): void {
    if (this.count >= mostTokens) {
      throw new HoldfastError(
        'DumpRefused',
        `a statement of the dump has more than ${String(mostTokens)} parts`,
        'make the dump anew with fewer rows in each INSERT',
      );
    }
    const grown = <T extends Uint8Array | Int32Array>(into: T, from: T): T => {
      into.set(from);
      return into;
    };
    this.#kinds = grown(new Uint8Array(this.count * 2), this.#kinds);
    this.#starts = grown(new Int32Array(this.count * 2), this.#starts);
    this.#ends = grown(new Int32Array(this.count * 2), this.#ends);
  }
}

/** One statement, up to and with its semicolon. Good only until the scanner goes on. */
export class Statement {
  readonly bytes: Buffer;
  readonly tokens: Tokens;
  /** Of its first byte in the whole script. */
  readonly offset: number;
  /** Of its first byte, from 1. */
  readonly line: number;
  /** What keeps it from being read in one way only; null: nothing. */
  readonly problem: string | null;
  /** It holds a quoted text that ends elsewhere when standard_conforming_strings is otherwise. */
  readonly dependsOnStrings: boolean;
  /** Rows follow it: it is a COPY … FROM stdin. */
  readonly copiesIn: boolean;
  /** standard_conforming_strings is off for it. */
  readonly escapes: boolean;
  #shape: string | undefined;

  constructor(
    bytes: Buffer,
    tokens: Tokens,
    facts: Pick<Statement, 'offset' | 'line' | 'problem' | 'dependsOnStrings' | 'copiesIn' | 'escapes'>,
  ) {
    this.bytes = bytes;
    this.tokens = tokens;
    this.offset = facts.offset;
    this.line = facts.line;
    this.problem = facts.problem;
    this.dependsOnStrings = facts.dependsOnStrings;
    this.copiesIn = facts.copiesIn;
    this.escapes = facts.escapes;
  }

  get count(): number {
    return this.tokens.count;
  }

  kind(at: number): TokenKind | undefined {
    return kinds[this.tokens.kind(at)];
  }

  /** As it stands there. */
  raw(at: number, encoding: 'latin1' | 'utf8' = 'latin1'): string {
    return at < this.count ? this.bytes.toString(encoding, this.tokens.start(at), this.tokens.end(at)) : '';
  }

  /** A word in lower case; undefined for anything else. */
  word(at: number): string | undefined {
    return this.tokens.kind(at) === tokenKind.word ? lower(this.raw(at)) : undefined;
  }

  /** Whether the word or symbol stands there. */
  is(at: number, text: string): boolean {
    const kind = this.tokens.kind(at);
    if (kind !== tokenKind.word && kind !== tokenKind.symbol) return false;
    const start = this.tokens.start(at);
    if (this.tokens.end(at) - start !== text.length) return false;
    for (let index = 0; index < text.length; index += 1) {
      const byte = this.bytes[start + index] ?? 0;
      const wanted = text.charCodeAt(index);
      if (byte !== wanted && !(byte >= 0x41 && byte <= 0x5a && byte + 0x20 === wanted)) return false;
    }
    return true;
  }

  /** Whether these words and symbols stand there, in this order. */
  has(at: number, ...texts: readonly string[]): boolean {
    return texts.every((text, index) => this.is(at + index, text));
  }

  /**
   * Its first tokens for patterns: words in lower case, "i" for a quoted name, 's' for a text, 0 for a number, each
   * between spaces. What is quoted can't be taken for anything else.
   */
  shape(): string {
    if (this.#shape !== undefined) return this.#shape;
    const parts: string[] = [];
    const shown = this.is(0, 'select') || this.is(0, 'set') ? shownOfLists : shownOfOthers;
    for (let at = 0; at < this.count && at < shown; at += 1) parts.push(this.#shapeOf(at));
    this.#shape = ` ${parts.join(' ')} ${this.count > shown ? '… ' : ''}`;
    return this.#shape;
  }

  /** A name, quoted or not; undefined for anything else, also for one with Unicode escapes. */
  name(at: number, encoding: string): string | undefined {
    const kind = this.kind(at);
    if (kind === 'word') return lower(this.#text(at, encoding));
    if (kind !== 'identifier' || this.bytes[this.tokens.start(at)] !== 0x22) return undefined;
    const text = this.#text(at, encoding);
    return text.slice(1, -1).replaceAll('""', '"');
  }

  /** What a quoted text stands for; undefined for anything else. */
  string(at: number, encoding: string): string | undefined {
    if (this.kind(at) !== 'string') return undefined;
    const text = this.#text(at, encoding);
    if (text.startsWith("'")) return plainString(text.slice(1, -1), this.escapes);
    if (/^e'/i.test(text)) return plainString(text.slice(2, -1), true);
    const tag = /^\$[^$]*\$/.exec(text)?.[0];
    return tag === undefined ? undefined : text.slice(tag.length, -tag.length);
  }

  #text(at: number, encoding: string): string {
    return decodeText(this.bytes.subarray(this.tokens.start(at), this.tokens.end(at)), encoding);
  }

  #shapeOf(at: number): string {
    switch (this.kind(at)) {
      case 'identifier':
        return '"i"';
      case 'string':
        return "'s'";
      case 'number':
        return '0';
      default:
        return lower(this.raw(at));
    }
  }
}

/** How many tokens a shape has; what comes after these is three dots, so that no pattern takes it for the end. */
const shownOfOthers = 64;
const shownOfLists = 4096;

/** ASCII only: what PostgreSQL does to other letters depends on the database. */
const lower = (text: string) =>
  /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;

const simpleEscapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function plainString(inside: string, escapes: boolean): string {
  if (!escapes) return inside.replaceAll("''", "'");
  return inside.replace(/''|\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|[\s\S])/g, (found, escaped: string | undefined) => {
    if (escaped === undefined) return "'";
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
    if (/^x./.test(escaped)) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return simpleEscapes[escaped] ?? found.slice(1);
  });
}
