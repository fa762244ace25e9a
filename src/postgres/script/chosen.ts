import { selects, type Selection } from '../../domain/dump-survey.ts';
import type { Subject } from './forms.ts';
import { findOutermost, qualifiedName } from './names.ts';
import type { ReadingState } from './reading-state.ts';
import type { Statement } from './statement.ts';

/** Decides, statement by statement in the dump's order, what is wanted of it where only some tables' rows are. */
export class Chosen {
  readonly #selection: Selection;
  /** What a partition or a sequence belongs to, both as keys. */
  readonly #parents = new Map<string, string>();
  /** Foreign keys that were left out, so that their comments are too. */
  readonly #leftOut = new Set<string>();

  constructor(selection: Selection) {
    this.#selection = selection;
  }

  keeps(statement: Statement, subject: Subject | null, state: ReadingState): boolean {
    switch (subject) {
      case 'copy':
        return this.#wants(nameFrom(statement, 1, state));
      case 'insert':
        return this.#wants(nameFrom(statement, 2, state));
      case 'sequence value':
        return this.#wants(sequenceOf(statement, state));
      case 'foreign key':
        this.#leaveOut(statement, state);
        return false;
      case 'rule':
        // A view in the old way, whose columns others refer to.
        return statement.name(statement.is(1, 'rule') ? 2 : 4, 'utf8') === '_RETURN' && statement.is(0, 'create');
      case 'transaction':
      case 'trigger':
      case 'event trigger':
      case 'publication':
      case 'subscription':
      case 'large object':
      case 'statistics':
      case 'refresh':
        return false;
      case 'definition':
        this.#learn(statement, state);
        return !this.#isOfLeftOut(statement, state);
      default:
        return true;
    }
  }

  #wants(key: string | undefined): boolean {
    for (let at = key, steps = 0; at !== undefined && steps < 1000; at = this.#parents.get(at), steps += 1) {
      const [schema = '', name = ''] = JSON.parse(at) as string[];
      if (selects(this.#selection, schema, name)) return true;
    }
    return false;
  }

  /** Partitions go with their table, sequences with the table whose column they belong to. */
  #learn(statement: Statement, state: ReadingState): void {
    if (statement.is(0, 'alter')) {
      const at = statement.is(1, 'foreign') ? 3 : 2;
      const named = at + (statement.is(at, 'only') ? 1 : 0);
      const owner = nameFrom(statement, named, state);
      const attach = findOutermost(statement, ['attach'], named);
      const sequence =
        findOutermost(statement, ['generated'], named) === -1 ? -1 : indexOf(statement, 'sequence', named);
      const ownedBy = findOutermost(statement, ['owned'], named);
      if (attach !== -1 && statement.is(attach + 1, 'partition'))
        this.#belongs(nameFrom(statement, attach + 2, state), owner);
      else if (sequence !== -1) this.#belongs(nameFrom(statement, sequence + 2, state), owner);
      else if (statement.is(1, 'sequence') && ownedBy !== -1)
        this.#belongs(owner, tableOfColumn(statement, ownedBy + 2, state));
    } else if (statement.has(0, 'create', 'table') || statement.has(1, 'foreign', 'table')) {
      const at = statement.is(1, 'foreign') ? 3 : 2;
      const of = findOutermost(statement, ['partition'], at);
      if (of !== -1 && statement.is(of + 1, 'of'))
        this.#belongs(nameFrom(statement, at, state), nameFrom(statement, of + 2, state));
    }
  }

  #belongs(child: string | undefined, parent: string | undefined): void {
    if (child !== undefined && parent !== undefined && child !== parent) this.#parents.set(child, parent);
  }

  #leaveOut(statement: Statement, state: ReadingState): void {
    const at = statement.is(1, 'foreign') ? 3 : 2;
    const table = qualifiedName(statement, at + (statement.is(at, 'only') ? 1 : 0), state.encoding);
    const constraint = table === undefined ? undefined : statement.name(table.next + 2, state.encoding);
    if (table !== undefined && constraint !== undefined) this.#leftOut.add(keyOf(table, state, constraint));
  }

  /** COMMENT ON CONSTRAINT name ON table */
  #isOfLeftOut(statement: Statement, state: ReadingState): boolean {
    if (!statement.has(0, 'comment', 'on', 'constraint') || !statement.is(4, 'on')) return false;
    const table = qualifiedName(statement, 5, state.encoding);
    const constraint = statement.name(3, state.encoding);
    return table !== undefined && constraint !== undefined && this.#leftOut.has(keyOf(table, state, constraint));
  }
}

const keyOf = (
  { schema, name }: { readonly schema: string | undefined; readonly name: string },
  state: ReadingState,
  ...more: readonly string[]
) => JSON.stringify([schema ?? state.schema, name, ...more]);

function nameFrom(statement: Statement, at: number, state: ReadingState): string | undefined {
  const found = qualifiedName(statement, at, state.encoding);
  return found === undefined ? undefined : keyOf(found, state);
}

/** OWNED BY schema.table.column */
function tableOfColumn(statement: Statement, at: number, state: ReadingState): string | undefined {
  const parts: string[] = [];
  for (let next = at; ; next += 2) {
    const part = statement.name(next, state.encoding);
    if (part === undefined) return undefined;
    parts.push(part);
    if (!statement.is(next + 1, '.')) break;
  }
  const [table, schema] = parts.slice(0, -1).reverse();
  return table === undefined ? undefined : keyOf({ schema, name: table }, state);
}

/** setval('schema.sequence', …): a name as regclass reads it. */
function sequenceOf(statement: Statement, state: ReadingState): string | undefined {
  const text = statement.string(indexOf(statement, '(', 1) + 1, state.encoding);
  const parts = [...(text ?? '').matchAll(/"((?:[^"]|"")*)"|([^".]+)/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare?.toLowerCase() ?? '',
  );
  const [name, schema] = parts.reverse();
  return name === undefined ? undefined : keyOf({ schema, name }, state);
}

function indexOf(statement: Statement, text: string, from: number): number {
  for (let at = from; at < statement.count; at += 1) if (statement.is(at, text)) return at;
  return -1;
}
