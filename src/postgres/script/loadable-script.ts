import { isAscii } from 'node:buffer';
import type { DumpFinding, Selection } from '../../domain/dump-survey.ts';
import type { Allowance } from '../../domain/manifest.ts';
import { countFeeds } from './bytes.ts';
import { isSafeEncoding } from './encodings.ts';
import { Fence } from './fence.ts';
import { judge, subjectOf } from './judge.ts';
import { readCommand } from './meta.ts';
import { ReadingState } from './reading-state.ts';
import { refusal } from './refusal.ts';
import { Chosen } from './chosen.ts';
import type { Blank, MetaCommand, Rows, RowsEnd, ScriptVisitor } from './scan.ts';
import type { Subject } from './forms.ts';
import type { Statement } from './statement.ts';

export interface LoadableOptions {
  /** Whose contents they are: a `\connect` to another one is refused. */
  readonly database: string;
  /** What may run although a dump doesn't usually hold it. */
  readonly allow: readonly Allowance[];
  /** The catalog vouches for the bytes: they are read, and not judged. */
  readonly trusted?: boolean;
  /** Every definition, and only the rows of these; without what needs the other rows. */
  readonly selection?: Selection;
  /** For a psql that knows fences: everything comes inside one, so that psql itself refuses any command of its own. */
  readonly restrictKey?: string;
  /** Of the first byte in the whole file, for messages; 1. */
  readonly firstLine?: number;
}

/** In bytes: copied rather than written on its own. */
const smallPiece = 16 * 1024;

const lineFeeds = Buffer.alloc(4096, '\n');

/** Lets through what may be loaded, piece by piece, and puts line feeds where something was left out. */
export class LoadableScript implements ScriptVisitor {
  readonly #options: LoadableOptions;
  readonly #onStandardStrings: (on: boolean) => void;
  readonly #fence = new Fence();
  readonly #state = new ReadingState();
  readonly #chosen: Chosen | undefined;
  #out: Uint8Array[] = [];
  #keepsRows = false;
  /** --clean: among the DROPs at the beginning. */
  #inPrelude = false;
  /** Of what was let through, before the line feeds that wait. */
  #atLineBegin = true;
  /** Line feeds that wait for the statement behind them. */
  #feeds = 0;

  constructor(options: LoadableOptions, onStandardStrings: (on: boolean) => void) {
    this.#options = options;
    this.#onStandardStrings = onStandardStrings;
    if (options.selection !== undefined) this.#chosen = new Chosen(options.selection);
  }

  /** What has been let through since the last time; small pieces together. */
  *take(): Generator<Uint8Array> {
    const out = this.#out;
    this.#out = [];
    let small: Uint8Array[] = [];
    for (const piece of out) {
      if (piece.length < smallPiece) {
        small.push(piece);
        continue;
      }
      if (small.length > 0) yield Buffer.concat(small);
      small = [];
      yield piece;
    }
    if (small.length > 0) yield Buffer.concat(small);
  }

  /** Null: nothing is missing at the end. */
  unfinished(): string | null {
    this.#flushFeeds();
    return this.#fence.open ? 'its fence is not closed' : null;
  }

  blank({ bytes }: Blank): void {
    this.#feeds += countFeeds(bytes, 0, bytes.length);
  }

  meta({ bytes, line }: MetaCommand): void {
    const command = readCommand(bytes);
    const wrong = this.#fence.pass(command);
    if (wrong !== null) this.#refuse({ needs: 'never', what: wrong, line });
    if (command.kind === 'connect' && command.database !== this.#options.database)
      this.#refuse({ needs: 'never', what: `a \\connect to another database ('${command.database}')`, line });
    if (command.kind === 'encoding') {
      if (!isSafeEncoding(command.encoding))
        this.#refuse({ needs: 'never', what: `\\encoding ${command.encoding}`, line });
      this.#state.encoding = command.encoding;
    }
    this.#feeds += countFeeds(bytes, 0, bytes.length);
  }

  statement(statement: Statement): void {
    const subject = this.#judged(statement);
    const keeps = this.#keeps(statement, subject);
    if (statement.copiesIn) this.#keepsRows = keeps;
    if (subject === 'setting' && this.#state.apply(statement)) this.#onStandardStrings(this.#state.standardStrings);
    if (!keeps) {
      this.#feeds += countFeeds(statement.bytes, 0, statement.bytes.length);
      return;
    }
    this.#makeSure(statement);
    this.#flushFeeds();
    this.#out.push(statement.bytes);
    this.#atLineBegin = statement.copiesIn;
  }

  rows({ bytes }: Rows): void {
    if (this.#keepsRows) this.#out.push(bytes);
    else this.#feeds += countFeeds(bytes, 0, bytes.length);
  }

  rowsEnd({ bytes }: RowsEnd): void {
    if (this.#keepsRows) this.#out.push(bytes);
    else this.#feeds += 1;
  }

  #judged(statement: Statement): Subject | null {
    if (this.#options.trusted === true) return subjectOf(statement);
    const { needs, what, subject } = judge(statement);
    if (needs === 'nothing') return subject;
    if (needs === 'never' || !this.#options.allow.includes(needs)) this.#refuse({ needs, what, line: statement.line });
    return subject;
  }

  #refuse(finding: Omit<DumpFinding, 'database'>): never {
    throw refusal({ ...finding, database: this.#options.database });
  }

  #keeps(statement: Statement, subject: Subject | null): boolean {
    switch (subject) {
      case 'database':
      case 'cluster':
        return false;
      case 'drop':
        this.#inPrelude = true;
        return false;
      case 'setting':
        // Older servers don't know it; whoever loads has set it to 0 where it is known.
        return !statement.is(1, 'transaction_timeout');
      case 'definition': {
        if (this.#inPrelude && statement.has(0, 'create', 'or', 'replace', 'view')) return false;
        this.#inPrelude = false;
        // template0 has it.
        if (statement.has(0, 'create', 'schema') && statement.name(statement.count - 1, 'utf8') === 'public')
          return false;
        break;
      }
      default:
        this.#inPrelude = false;
    }
    return this.#chosen?.keeps(statement, subject, this.#state) ?? true;
  }

  /**
   * A function that ran meanwhile may have changed the encoding or how backslashes count, and psql goes by what the
   * server says. So both are set anew, on the line before, for a statement that would be read otherwise then.
   */
  #makeSure(statement: Statement): void {
    if (this.#options.trusted === true || statement.is(0, 'set')) return;
    if (!statement.dependsOnStrings && isAscii(statement.bytes)) return;
    if (this.#feeds === 0 && !this.#atLineBegin) {
      const what = 'a text that may be read in two ways, on the same line as another statement';
      this.#refuse({ needs: 'never', what, line: statement.line });
    }
    const on = this.#state.standardStrings ? 'on' : 'off';
    const again = `SET client_encoding = '${this.#state.encoding}'; SET standard_conforming_strings = ${on};`;
    this.#out.push(Buffer.from(this.#feeds === 0 ? `${again}\n` : again));
  }

  #flushFeeds(): void {
    for (let left = this.#feeds; left > 0; left -= lineFeeds.length) {
      this.#out.push(lineFeeds.subarray(0, Math.min(left, lineFeeds.length)));
    }
    this.#feeds = 0;
  }
}
