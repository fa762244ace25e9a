import type { Statement } from './statement.ts';

/** A name with or without its schema, and where the tokens behind it begin. */
export interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
  readonly next: number;
}

/** The name that stands at `at`; undefined where none does. */
export function qualifiedName(statement: Statement, at: number, encoding: string): QualifiedName | undefined {
  const parts: string[] = [];
  let next = at;
  for (;;) {
    const part = statement.name(next, encoding);
    if (part === undefined) return undefined;
    parts.push(part);
    next += 1;
    if (!statement.is(next, '.')) break;
    next += 1;
  }
  const name = parts.pop() ?? '';
  return { schema: parts.pop(), name, next };
}

/** Positions of the tokens that stand in no parentheses, from `from` on. */
export function* outermost(statement: Statement, from = 0): Generator<number> {
  let depth = 0;
  for (let at = from; at < statement.count; at += 1) {
    if (statement.is(at, ')')) depth -= 1;
    if (depth === 0) yield at;
    if (statement.is(at, '(')) depth += 1;
  }
}

/** The first of these words in no parentheses, from `from` on; -1: there is none. */
export function findOutermost(statement: Statement, words: readonly string[], from = 0): number {
  for (const at of outermost(statement, from)) if (words.some((word) => statement.is(at, word))) return at;
  return -1;
}

/** How a statement begins, in capitals, for messages: names and values aren't shown. */
export function beginningOf(statement: Statement): string {
  const words: string[] = [];
  for (let at = 0; at < 3; at += 1) {
    const word = statement.word(at);
    if (word === undefined || !/^[a-z_]+$/.test(word) || !(at === 0 || sayable.has(word))) break;
    words.push(word.toUpperCase().slice(0, 40));
  }
  return words.length === 0 ? 'something that begins with no word' : words.join(' ');
}

const sayable = new Set(
  `access aggregate all as cast class collation constraint data database default domain event exists extension family
  foreign from function global group in index into language large materialized method not object on only operator or
  owned parameter policy prepared privileges procedural procedure publication replace role routine rule schema search
  sequence server session set statistics subscription system table tablespace temp temporary text to transaction
  transform trigger trusted type unlogged user view with work wrapper`.split(/\s+/),
);
