import { HoldfastError } from '../../domain/errors.ts';
import { carriageReturn, countFeeds, feed, kindAt, kindOfByte as byte } from './bytes.ts';
import { isCopyIn, isPlainCopyIn } from './copy-in.ts';
import { Blocks } from './blocks.ts';
import { Statement, tokenKind, Tokens } from './statement.ts';

/** A comment that begins with two dashes, between statements. */
export interface Comment {
  /** Of its first byte in the whole script. */
  readonly offset: number;
  readonly line: number;
  /** With its dashes, without its line end; its first 256 bytes. */
  readonly text: string;
}

/** White space and comments between statements; a semicolon of its own counts as one. */
export interface Blank {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly line: number;
  readonly comments: readonly Comment[];
}

/** A line from a backslash to its end: psql's own. */
export interface MetaCommand {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly line: number;
}

/** Bytes of a table's rows, cut anywhere. */
export interface Rows {
  readonly bytes: Buffer;
  readonly offset: number;
}

/** The line `\.` with its line end. */
export interface RowsEnd {
  readonly bytes: Buffer;
  readonly offset: number;
  /** How many lines there were. */
  readonly rows: number;
}

/**
 * Hears of everything in a script, in its order: together these are all its bytes, each of them once. What it is given
 * is good only during the call, but for `bytes`, which stay as they are.
 */
export interface ScriptVisitor {
  blank(blank: Blank): void;
  statement(statement: Statement): void;
  meta(command: MetaCommand): void;
  rows(rows: Rows): void;
  rowsEnd(end: RowsEnd): void;
}

const longestStatement = 256 * 1024 * 1024;
const longestWord = 1024 * 1024;

type Open = 'nothing' | 'plain' | 'escapes' | 'verbatim' | 'identifier' | 'dollar' | 'comment' | 'line comment';

const openNames: Readonly<Record<Open, string>> = {
  nothing: 'a statement',
  plain: 'a quoted text',
  escapes: 'a quoted text',
  verbatim: 'a quoted text',
  identifier: 'a quoted name',
  dollar: 'a dollar-quoted text',
  comment: 'a comment',
  'line comment': 'a comment',
};

/**
 * Reads a psql script as psql and the server both do, in whatever chunks it comes, and tells a visitor what stands in
 * it. Where the two may read it differently (a text continued on the next line, a letter right behind a number, a
 * psql variable) the statement has a `problem`. Memory is that of the longest statement; rows flow through.
 *
 * Fails with DumpRefused on a NUL byte and on a statement longer than 256 MiB.
 */
export class Scanner {
  /** Off: a backslash in a plain string is an escape. Set by whoever judges the statements. */
  standardStrings = true;
  readonly #visitor: ScriptVisitor;
  #buffer: Buffer = Buffer.alloc(0);
  /** How much of the buffer is filled. */
  #length = 0;
  /** Whether the buffer is our own, so that it may be appended to. */
  #own = false;
  /** Of the buffer's first byte in the script. */
  #base = 0;
  /** Where the piece begins that is being read, and where reading goes on. */
  #start = 0;
  #at = 0;
  /** Of `#start`. */
  #line = 1;
  #inRows = false;
  #rowCount = 0;
  #atLineBegin = true;
  /** Behind a COPY: its line must end here. */
  #endingLine = false;
  readonly #tokens = new Tokens();
  readonly #blocks = new Blocks();
  #comments: Comment[] = [];
  #blankFeeds = 0;
  #depth = 0;
  #problem: string | null = null;
  #dependsOnStrings = false;
  /** The token before is a quoted text. */
  #afterString = false;
  #open: Open = 'nothing';
  #openStart = 0;
  #commentDepth = 0;
  #tag: Buffer = Buffer.alloc(0);

  /** @param place where the script begins in something larger: for the lines and offsets that are told */
  constructor(visitor: ScriptVisitor, place: { readonly offset?: number; readonly line?: number } = {}) {
    this.#visitor = visitor;
    this.#base = place.offset ?? 0;
    this.#line = place.line ?? 1;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const nul = bytes.indexOf(0);
    this.#append(nul === -1 ? bytes : bytes.subarray(0, nul));
    this.#run(false);
    if (nul !== -1) throw this.#refusal(this.#lineAt(this.#length), 'it holds a NUL byte');
    if (this.#length - this.#start > longestStatement) {
      throw this.#refusal(this.#line, 'a statement is longer than 256 MiB');
    }
  }

  /** Nothing comes any more: what is left unfinished, null where the script ends well. */
  end(): string | null {
    this.#run(true);
    const line = String(this.#line);
    if (this.#inRows) return `the rows of a table that begin before line ${line} have no end`;
    if (this.#open === 'line comment') this.#closeComment(this.#length);
    else if (this.#open !== 'nothing') {
      const begun = String(this.#lineAt(this.#openStart));
      if (this.#tokens.count === 0) this.#emitBlank(this.#openStart);
      return `it ends inside ${openNames[this.#open]} that begins in line ${begun}`;
    }
    if (this.#tokens.count > 0 || this.#endingLine)
      return `it ends in the middle of the statement that begins in line ${line}`;
    this.#emitBlank(this.#length);
    return null;
  }

  #append(bytes: Buffer): void {
    const left = this.#length - this.#start;
    if (left === 0) {
      this.#move(bytes, bytes.length, false);
      return;
    }
    if (this.#own && this.#length + bytes.length <= this.#buffer.length) {
      // What was handed out lies before; nobody has seen the bytes behind.
      this.#buffer.set(bytes, this.#length);
      this.#length += bytes.length;
      return;
    }
    const needed = left + bytes.length;
    const grown = Buffer.allocUnsafeSlow(needed < 1024 * 1024 ? needed : needed * 2);
    this.#buffer.copy(grown, 0, this.#start, this.#length);
    grown.set(bytes, left);
    this.#move(grown, needed, true);
  }

  #move(buffer: Buffer, length: number, own: boolean): void {
    const shift = this.#start;
    this.#buffer = buffer;
    this.#length = length;
    this.#own = own;
    this.#base += shift;
    this.#start = 0;
    this.#at -= shift;
    this.#openStart -= shift;
  }

  #run(final: boolean): void {
    while (this.#at < this.#length || (final && !this.#inRows)) {
      const before = this.#at;
      const wasInRows = this.#inRows;
      const waiting = this.#inRows ? this.#readRows(final) : this.#readSql(final);
      if (waiting || (this.#at === before && this.#inRows === wasInRows)) break;
    }
    if (!this.#inRows && this.#tokens.count === 0 && this.#open === 'nothing' && !this.#endingLine) {
      this.#emitBlank(this.#at);
    }
  }

  // Rows ------------------------------------------------------------------------------------------------------------

  /** Looks at every line's beginning, as psql does: only a line `\.` ends the rows. True: more bytes are needed. */
  #readRows(final: boolean): boolean {
    const buffer = this.#buffer;
    const length = this.#length;
    let at = this.#at;
    for (;;) {
      if (this.#atLineBegin && buffer[at] === 0x5c && at < length) {
        const size = endOfRows(buffer, at, length);
        if (size > 0) {
          this.#emitRows(at);
          this.#endRows(at + size);
          return false;
        }
        if (size < 0 && !final) {
          this.#emitRows(at);
          return true;
        }
      }
      const next = at < length ? buffer.indexOf(feed, at) : -1;
      if (next === -1 || next >= length) {
        this.#atLineBegin = at === length && this.#atLineBegin;
        this.#emitRows(length);
        return true;
      }
      this.#rowCount += 1;
      this.#line += 1;
      this.#atLineBegin = true;
      at = next + 1;
    }
  }

  #emitRows(to: number): void {
    this.#at = to;
    if (to === this.#start) return;
    this.#visitor.rows({ bytes: this.#buffer.subarray(this.#start, to), offset: this.#base + this.#start });
    this.#start = to;
  }

  #endRows(to: number): void {
    const bytes = this.#buffer.subarray(this.#start, to);
    const end = { bytes, offset: this.#base + this.#start, rows: this.#rowCount };
    this.#start = to;
    this.#at = to;
    this.#line += 1;
    this.#inRows = false;
    this.#visitor.rowsEnd(end);
  }

  // SQL -------------------------------------------------------------------------------------------------------------

  /** Reads tokens until a statement ends or bytes are missing: true. */
  #readSql(final: boolean): boolean {
    if (this.#endingLine) return this.#endLine();
    while (this.#at < this.#length) {
      if (this.#open !== 'nothing') {
        if (!this.#continueOpen(final)) return true;
        continue;
      }
      const at = this.#at;
      switch (kindAt(this.#buffer, at)) {
        case byte.space:
          if (this.#tokens.count === 0 && this.#buffer[at] === feed) this.#blankFeeds += 1;
          this.#at = at + 1;
          break;
        case byte.word:
          if (!this.#readWord(final)) return true;
          break;
        case byte.digit:
          if (!this.#readNumber(final)) return true;
          break;
        case byte.quote:
          this.#beginQuote(this.standardStrings ? 'plain' : 'escapes', at, at + 1);
          break;
        case byte.doubleQuote:
          this.#beginOpen('identifier', at, at + 1);
          break;
        case byte.dollar:
          if (!this.#readDollar(final)) return true;
          break;
        case byte.dash:
        case byte.slash:
          if (!this.#readDashOrSlash(final)) return true;
          break;
        case byte.open:
          this.#depth += 1;
          this.#symbol();
          break;
        case byte.close:
          if (this.#depth > 0) this.#depth -= 1;
          this.#symbol();
          break;
        case byte.semicolon:
          if (this.#depth > 0 || this.#blocks.open) {
            this.#symbol();
            break;
          }
          this.#at = at + 1;
          if (this.#tokens.count === 0) break;
          if (this.#tokens.kind(0) === tokenKind.word && isCopyIn(this.#buffer, this.#start, this.#tokens)) {
            if (!isPlainCopyIn(this.#buffer, this.#start, this.#tokens)) {
              this.#problem ??= 'rows from stdin in a form that pg_dump does not write';
            }
            this.#endingLine = true;
            return this.#endLine();
          }
          this.#emitStatement(false);
          return false;
        case byte.backslash:
          if (this.#tokens.count === 0) return !this.#readMeta(final);
          this.#problem ??= 'a psql command inside a statement';
          this.#symbol();
          break;
        case byte.colon:
          if (!this.#readColon(final)) return true;
          break;
        default:
          this.#symbol();
      }
    }
    return true;
  }

  /** Makes the first token end the blank before it. */
  #begin(): void {
    if (this.#tokens.count === 0) this.#emitBlank(this.#at);
    this.#afterString = false;
  }

  #symbol(): void {
    this.#begin();
    const from = this.#at - this.#start;
    if (this.#depth > 0 && this.#buffer[this.#at] === 0x2c) this.#tokens.addPlain(tokenKind.symbol, from, from + 1);
    else this.#tokens.add(tokenKind.symbol, from, from + 1);
    this.#at += 1;
  }

  #readWord(final: boolean): boolean {
    const buffer = this.#buffer;
    const start = this.#at;
    if (this.#base + start === 0 && buffer[0] === 0xef) {
      if (this.#length < 3 && !final) return false;
      if (buffer[1] === 0xbb && buffer[2] === 0xbf && this.#length >= 3) {
        // A byte order mark: white space, there and nowhere else.
        this.#at = 3;
        return true;
      }
    }
    let end = start + 1;
    for (; end < this.#length; end += 1) {
      const kind = kindAt(buffer, end);
      if (kind !== byte.word && kind !== byte.digit && kind !== byte.dollar) break;
    }
    if (end - start > longestWord) throw this.#refusal(this.#line, 'a word is longer than 1 MiB');
    if (end + 2 > this.#length && !final) return false;
    if (end - start === 1) {
      // E'…', B'…', X'…', U&'…', U&"…": the letter belongs to what is quoted. N'…' is a word and a string.
      const letter = (buffer[start] ?? 0) | 0x20;
      const next = end < this.#length ? buffer[end] : 0;
      if (next === 0x27 && letter === 0x65) return this.#beginQuote('escapes', start, end + 1);
      if (next === 0x27 && (letter === 0x62 || letter === 0x78)) return this.#beginQuote('verbatim', start, end + 1);
      if (next === 0x26 && letter === 0x75 && end + 1 < this.#length) {
        if (buffer[end + 1] === 0x27) return this.#beginQuote('verbatim', start, end + 2);
        if (buffer[end + 1] === 0x22) return this.#beginOpen('identifier', start, end + 2);
      }
    }
    this.#begin();
    this.#blocks.word(buffer, start, end, this.#depth);
    this.#tokens.add(tokenKind.word, start - this.#start, end - this.#start);
    this.#at = end;
    return true;
  }

  #readNumber(final: boolean): boolean {
    const buffer = this.#buffer;
    const start = this.#at;
    let end = start + 1;
    while (end < this.#length && (kindAt(buffer, end) === byte.digit || buffer[end] === 0x2e)) end += 1;
    if (end + 2 >= this.#length && !final) return this.#tooLong(end - start);
    if (((buffer[end] ?? 0) | 0x20) === 0x65 && end < this.#length) {
      const sign = buffer[end + 1] === 0x2b || buffer[end + 1] === 0x2d ? 1 : 0;
      if (kindAt(buffer, end + 1 + sign) === byte.digit && end + 1 + sign < this.#length) {
        end += 1 + sign;
        while (end < this.#length && kindAt(buffer, end) === byte.digit) end += 1;
        if (end === this.#length && !final) return this.#tooLong(end - start);
      }
    }
    this.#begin();
    this.#glued(end, 'a number');
    this.#tokens.addPlain(tokenKind.number, start - this.#start, end - this.#start);
    this.#at = end;
    return true;
  }

  #tooLong(size: number): boolean {
    if (size > longestWord) throw this.#refusal(this.#line, 'a number is longer than 1 MiB');
    return false;
  }

  /** Versions differ in what they take a letter or a quote for that follows at once. */
  #glued(end: number, what: string): void {
    if (end >= this.#length) return;
    const kind = kindAt(this.#buffer, end);
    if (kind === byte.word || kind === byte.quote || kind === byte.doubleQuote || kind === byte.dollar) {
      this.#problem ??= `${what} with a letter or quote right behind it`;
    }
  }

  #readDollar(final: boolean): boolean {
    const buffer = this.#buffer;
    const start = this.#at;
    let end = start + 1;
    if (end < this.#length && kindAt(buffer, end) === byte.digit) {
      while (end < this.#length && kindAt(buffer, end) === byte.digit) end += 1;
      if (end === this.#length && !final) return this.#tooLong(end - start);
      this.#begin();
      this.#glued(end, 'a parameter');
      this.#tokens.add(tokenKind.number, start - this.#start, end - this.#start);
      this.#at = end;
      return true;
    }
    for (; end < this.#length; end += 1) {
      const kind = kindAt(buffer, end);
      if (kind !== byte.word && kind !== byte.digit) break;
    }
    if (end - start > longestWord) throw this.#refusal(this.#line, 'a word is longer than 1 MiB');
    if (end >= this.#length) {
      if (!final) return false;
      this.#symbol();
      return true;
    }
    if (kindAt(buffer, end) !== byte.dollar) {
      this.#symbol();
      return true;
    }
    this.#tag = Buffer.from(buffer.subarray(start, end + 1));
    return this.#beginOpen('dollar', start, end + 1);
  }

  #readDashOrSlash(final: boolean): boolean {
    const at = this.#at;
    if (at + 1 >= this.#length && !final) return false;
    const first = this.#buffer[at];
    const second = at + 1 < this.#length ? this.#buffer[at + 1] : 0;
    const line = first === 0x2d && second === 0x2d;
    if (!line && !(first === 0x2f && second === 0x2a)) {
      this.#symbol();
      return true;
    }
    this.#open = line ? 'line comment' : 'comment';
    this.#openStart = at;
    this.#commentDepth = 1;
    this.#at = at + 2;
    return true;
  }

  /** psql replaces `:name` outside quotes by a variable's value; those it sets itself have names in capitals. */
  #readColon(final: boolean): boolean {
    const buffer = this.#buffer;
    const at = this.#at;
    let end = at + 1;
    if (end >= this.#length && !final) return false;
    const next = end < this.#length ? buffer[end] : 0;
    if (next === 0x3a || next === 0x3d) {
      this.#symbol();
      this.#symbol();
      return true;
    }
    const quoted = next === 0x22;
    if (quoted) end += 1;
    const from = end;
    for (; end < this.#length; end += 1) {
      const kind = kindAt(buffer, end);
      if (kind !== byte.word && kind !== byte.digit) break;
    }
    if (end - at > longestWord) throw this.#refusal(this.#line, 'a word is longer than 1 MiB');
    if (end >= this.#length && !final) return false;
    const isVariable = /^[A-Z][A-Z0-9_]{3,}$/.test(buffer.toString('latin1', from, end));
    if (isVariable || next === 0x27 || next === 0x7b) this.#problem ??= 'a psql variable';
    this.#symbol();
    return true;
  }

  // What is quoted ----------------------------------------------------------------------------------------------------

  #beginQuote(kind: 'plain' | 'escapes' | 'verbatim', start: number, inside: number): boolean {
    // 'a' and 'b' on the next line are one string to the server, and to psql two, which may read them otherwise.
    if (this.#afterString && inside === start + 1) this.#problem ??= 'a quoted text that goes on behind a line break';
    return this.#beginOpen(kind, start, inside);
  }

  #beginOpen(kind: Open, start: number, inside: number): true {
    this.#begin();
    this.#open = kind;
    this.#openStart = start;
    this.#at = inside;
    return true;
  }

  /** True: it has ended. */
  #continueOpen(final: boolean): boolean {
    switch (this.#open) {
      case 'plain':
        return this.#continueQuoted(0x27, final);
      case 'verbatim':
        return this.#continueQuoted(0x27, final);
      case 'identifier':
        return this.#continueQuoted(0x22, final);
      case 'escapes':
        return this.#continueEscapes(final);
      case 'dollar':
        return this.#continueDollar();
      case 'comment':
        return this.#continueComment();
      case 'line comment':
        return this.#continueLineComment(final);
      case 'nothing':
        return true;
    }
  }

  #close(end: number): true {
    const kind = this.#open === 'identifier' ? tokenKind.identifier : tokenKind.string;
    const from = this.#openStart - this.#start;
    this.#afterString = kind === tokenKind.string;
    if (this.#afterString) this.#tokens.addPlain(kind, from, end - this.#start);
    else this.#tokens.add(kind, from, end - this.#start);
    this.#open = 'nothing';
    this.#at = end;
    return true;
  }

  #continueQuoted(quote: number, final: boolean): boolean {
    const buffer = this.#buffer;
    const plain = this.#open === 'plain';
    const inside = this.#openStart + 1;
    for (;;) {
      const found = indexBelow(buffer, quote, this.#at, this.#length);
      if (found === -1) {
        this.#at = this.#length;
        return false;
      }
      if (found + 1 >= this.#length && !final) {
        this.#at = found;
        return false;
      }
      if (plain && found > inside && buffer[found - 1] === 0x5c) this.#dependsOnStrings = true;
      if (found + 1 >= this.#length || buffer[found + 1] !== quote) return this.#close(found + 1);
      this.#at = found + 2;
    }
  }

  #continueEscapes(final: boolean): boolean {
    const buffer = this.#buffer;
    const length = this.#length;
    const depends = buffer[this.#openStart] === 0x27;
    let at = this.#at;
    for (; at < length; at += 1) {
      const here = buffer[at];
      if (here === 0x5c) {
        if (depends) this.#dependsOnStrings = true;
        if (at + 1 >= length) break;
        at += 1;
      } else if (here === 0x27) {
        if (at + 1 >= length && !final) break;
        if (at + 1 >= length || buffer[at + 1] !== 0x27) return this.#close(at + 1);
        at += 1;
      }
    }
    this.#at = at;
    return false;
  }

  #continueDollar(): boolean {
    const tag = this.#tag;
    const found = this.#buffer.indexOf(tag, this.#at);
    if (found !== -1 && found + tag.length <= this.#length) return this.#close(found + tag.length);
    const inside = this.#openStart + tag.length;
    this.#at = Math.max(inside, this.#length - tag.length + 1);
    return false;
  }

  #continueComment(): boolean {
    const buffer = this.#buffer;
    let at = this.#at;
    for (; at + 1 < this.#length; at += 1) {
      const here = buffer[at];
      const next = buffer[at + 1];
      if (here === 0x2a && next === 0x2f) {
        this.#commentDepth -= 1;
        at += 1;
        if (this.#commentDepth > 0) continue;
        if (this.#tokens.count === 0) this.#blankFeeds += countFeeds(buffer, this.#openStart, at);
        this.#open = 'nothing';
        this.#at = at + 1;
        return true;
      }
      if (here === 0x2f && next === 0x2a) {
        this.#commentDepth += 1;
        at += 1;
      }
    }
    this.#at = at;
    return false;
  }

  /** A carriage return ends it too, for psql and for the server. */
  #continueLineComment(final: boolean): boolean {
    const buffer = this.#buffer;
    let at = this.#at;
    while (at < this.#length && buffer[at] !== feed && buffer[at] !== carriageReturn) at += 1;
    this.#at = at;
    if (at >= this.#length && !final) return false;
    this.#closeComment(at);
    return true;
  }

  #closeComment(end: number): void {
    this.#open = 'nothing';
    this.#at = end;
    if (this.#tokens.count > 0) return;
    this.#comments.push({
      offset: this.#base + this.#openStart,
      line: this.#line + this.#blankFeeds,
      text: this.#buffer.toString('utf8', this.#openStart, Math.min(end, this.#openStart + 256)),
    });
  }

  // What is told ------------------------------------------------------------------------------------------------------

  #emitBlank(to: number): void {
    if (to > this.#start) {
      const blank = {
        bytes: this.#buffer.subarray(this.#start, to),
        offset: this.#base + this.#start,
        line: this.#line,
        comments: this.#comments,
      };
      this.#start = to;
      this.#line += this.#blankFeeds;
      this.#visitor.blank(blank);
      this.#comments = [];
    }
    this.#blankFeeds = 0;
  }

  #emitStatement(copiesIn: boolean): void {
    const bytes = this.#buffer.subarray(this.#start, this.#at);
    const statement = new Statement(bytes, this.#tokens, {
      offset: this.#base + this.#start,
      line: this.#line,
      problem: this.#problem ?? this.#blocks.problem(bytes, this.#tokens),
      dependsOnStrings: this.#dependsOnStrings,
      copiesIn,
      escapes: !this.standardStrings,
    });
    const feeds = countFeeds(bytes, 0, bytes.length);
    this.#visitor.statement(statement);
    this.#line += feeds;
    this.#start = this.#at;
    this.#tokens.clear();
    this.#blocks.clear();
    this.#depth = 0;
    this.#problem = null;
    this.#dependsOnStrings = false;
    this.#afterString = false;
  }

  /** Behind a COPY: psql takes the rows from the next line on, and executes the rest of this one after them. */
  #endLine(): boolean {
    while (this.#at < this.#length && this.#buffer[this.#at] !== feed) {
      if (kindAt(this.#buffer, this.#at) !== byte.space) this.#problem ??= 'something behind a COPY, before its rows';
      this.#at += 1;
    }
    if (this.#at >= this.#length) {
      if (this.#at - this.#start > longestStatement) throw this.#refusal(this.#line, 'a line is longer than 256 MiB');
      return true;
    }
    this.#at += 1;
    this.#endingLine = false;
    this.#emitStatement(true);
    this.#inRows = true;
    this.#rowCount = 0;
    this.#atLineBegin = true;
    return false;
  }

  #readMeta(final: boolean): boolean {
    this.#emitBlank(this.#at);
    const found = this.#buffer.indexOf(feed, this.#at);
    const end = found === -1 || found >= this.#length ? -1 : found + 1;
    if (end === -1 && !final) {
      if (this.#length - this.#at > longestWord) throw this.#refusal(this.#line, 'a psql command is longer than 1 MiB');
      return false;
    }
    const to = end === -1 ? this.#length : end;
    const meta = {
      bytes: this.#buffer.subarray(this.#start, to),
      offset: this.#base + this.#start,
      line: this.#line,
    };
    this.#start = to;
    this.#at = to;
    if (end !== -1) this.#line += 1;
    this.#visitor.meta(meta);
    return true;
  }

  #lineAt(position: number): number {
    return this.#line + countFeeds(this.#buffer, this.#start, position);
  }

  #refusal(line: number, what: string): HoldfastError {
    return new HoldfastError(
      'DumpRefused',
      `the dump can't be read beyond line ${String(line)}: ${what}`,
      'pg_dump writes nothing of the kind: find out who changed the file, and make the dump anew',
    );
  }
}

/** The length of a line `\.` with its line end; -1: it may become one; 0: it is none. */
function endOfRows(buffer: Buffer, at: number, length: number): number {
  if (at + 1 >= length) return -1;
  if (buffer[at + 1] !== 0x2e) return 0;
  if (at + 2 >= length) return -1;
  if (buffer[at + 2] === feed) return 3;
  if (buffer[at + 2] !== carriageReturn) return 0;
  if (at + 3 >= length) return -1;
  return buffer[at + 3] === feed ? 4 : 0;
}

/** The next such byte before `to`: most texts are short, and end before a search has begun. */
function indexBelow(buffer: Buffer, wanted: number, from: number, to: number): number {
  const near = Math.min(to, from + 24);
  for (let at = from; at < near; at += 1) if (buffer[at] === wanted) return at;
  if (near === to) return -1;
  const found = buffer.indexOf(wanted, near);
  return found < to ? found : -1;
}
