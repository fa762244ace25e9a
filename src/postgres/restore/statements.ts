import { HoldfastError } from '../../domain/errors.ts';
import { Lexer, type Token } from './tokens.ts';

export interface Statement {
  readonly kind: 'sql';
  /** Without comments before it and without its semicolon. Positions of the tokens count from its beginning. */
  readonly text: string;
  readonly tokens: readonly Token[];
  /** Of the text that was split, from 1. */
  readonly line: number;
  /** What standard_conforming_strings has to be for the text to mean what it meant. */
  readonly standardStrings: boolean;
}

/** A line for psql, which is no SQL: `\connect …`, `\restrict …`. */
export interface MetaCommand {
  readonly kind: 'meta';
  readonly text: string;
  readonly line: number;
}

/**
 * Splits a psql script without COPY data into its statements and meta-commands, in order; for the small members
 * (globals, properties), not for contents. Pure. Never splits inside quotes, dollar quotes, comments or parentheses.
 * ObjectDamaged where the script ends inside one of these, or in the middle of a statement.
 */
export function splitStatements(script: string): (Statement | MetaCommand)[] {
  const lexer = new Lexer(script);
  const found: (Statement | MetaCommand)[] = [];
  let tokens: Token[] = [];
  let depth = 0;
  for (let token = lexer.next(); token !== undefined; token = lexer.next()) {
    const symbol = token.kind === 'symbol' ? token.value : '';
    if (symbol === '\\') {
      if (tokens.length > 0) throw misplaced(lexer.lineOf(token.start));
      found.push({ kind: 'meta', text: lexer.takeLine(token.start), line: lexer.lineOf(token.start) });
      continue;
    }
    if (symbol === '(') depth += 1;
    if (symbol === ')') depth -= 1;
    if (symbol !== ';' || depth > 0) {
      tokens.push(token);
      continue;
    }
    const statement = statementOf(script, tokens, lexer);
    if (statement !== undefined) {
      found.push(statement);
      lexer.standardStrings = standardStringsAfter(statement);
    }
    tokens = [];
    depth = 0;
  }
  const [first] = tokens;
  if (first !== undefined) throw cutOff(lexer.lineOf(first.start));
  return found;
}

export const isStatement = (piece: Statement | MetaCommand): piece is Statement => piece.kind === 'sql';

/** Whether the tokens from `at` on are these words, in this order. */
export const hasWords = (tokens: readonly Token[], words: readonly string[], at = 0): boolean =>
  words.every((word, index) => tokens[at + index]?.kind === 'word' && tokens[at + index]?.value === word);

/** A name: quoted, or a word. */
export const nameAt = (tokens: readonly Token[], at: number): string | undefined => {
  const token = tokens[at];
  return token?.kind === 'identifier' || token?.kind === 'word' ? token.value : undefined;
};

function statementOf(script: string, tokens: readonly Token[], lexer: Lexer): Statement | undefined {
  const [first] = tokens;
  const last = tokens.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return {
    kind: 'sql',
    text: script.slice(first.start, last.end),
    tokens: tokens.map((token) => ({ ...token, start: token.start - first.start, end: token.end - first.start })),
    line: lexer.lineOf(first.start),
    standardStrings: lexer.standardStrings,
  };
}

function standardStringsAfter({ tokens, standardStrings }: Statement): boolean {
  if (!hasWords(tokens, ['set', 'standard_conforming_strings'])) return standardStrings;
  return ['on', 'true', 'yes', '1'].includes(tokens.at(-1)?.value.toLowerCase() ?? '');
}

const misplaced = (line: number) =>
  new HoldfastError(
    'ObjectDamaged',
    `a backslash command stands in the middle of a statement in line ${String(line)}`,
    'restore from another backup: this one was not written by pg_dumpall, or is damaged',
  );

const cutOff = (line: number) =>
  new HoldfastError(
    'ObjectDamaged',
    `the SQL ends in the middle of the statement that begins in line ${String(line)}`,
    'restore from another backup: this one is cut off or damaged',
  );
