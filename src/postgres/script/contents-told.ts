import type { SurveyedDatabase } from '../../domain/dump-survey.ts';
import type { Subject } from './forms.ts';
import { findOutermost, outermost, qualifiedName } from './names.ts';
import type { ReadingState } from './reading-state.ts';
import { roleNames } from './role-names.ts';
import type { Statement } from './statement.ts';

type Contents = Pick<SurveyedDatabase, 'extensions' | 'tables' | 'roles' | 'tablespaces'>;

interface Table {
  readonly schema: string;
  readonly name: string;
  /** It has rows of its own, and all of them are in the dump. */
  counts: boolean;
  rows: number;
}

const nothing = { named: '', schema: '', key: '', table: { schema: '', name: '', counts: false, rows: 0 } };

/** What the statements of one database's contents say of it. */
export class ContentsTold {
  readonly #tables = new Map<string, Table>();
  readonly #partitions = new Map<string, string>();
  /** Rows were given to these for their partitions. */
  readonly #roots = new Set<string>();
  readonly #extensions = new Map<string, string>();
  readonly #roles = new Set<string>();
  readonly #tablespaces = new Set<string>();
  #copying: string | undefined;
  #last: { readonly named: string; readonly schema: string; readonly key: string; readonly table: Table } = nothing;
  #created = 0;
  #filled = 0;

  /** No table is made, but some are filled; or made, and none filled. */
  get only(): 'rows' | 'definitions' | null {
    if (this.#created === 0 && this.#filled > 0) return 'rows';
    return this.#created > 0 && this.#filled === 0 ? 'definitions' : null;
  }

  apply(statement: Statement, subject: Subject | null, state: ReadingState): void {
    if (subject !== 'insert' && subject !== 'copy') {
      for (const role of roleNames(statement, state.encoding)) this.#roles.add(role);
    }
    switch (subject) {
      case 'copy':
        this.#copying = this.#fill(statement, 1, state, 0);
        return;
      case 'insert':
        this.#fill(statement, 2, state, insertedRows(statement));
        return;
      case 'setting':
        if (statement.is(1, 'default_tablespace')) this.#tablespace(statement, 3, state);
        return;
      case 'definition':
        if (statement.is(0, 'create')) this.#create(statement, state);
        else if (statement.is(0, 'alter')) this.#attach(statement, state);
        return;
      default:
    }
  }

  rowsEnd(rows: number): void {
    const table = this.#copying === undefined ? undefined : this.#tables.get(this.#copying);
    if (table !== undefined) table.rows += rows;
    this.#copying = undefined;
  }

  get contents(): Contents {
    // Filled through its root: which rows are whose isn't told.
    const throughRoot = (key: string): boolean => {
      const parent = this.#partitions.get(key);
      return parent !== undefined && (this.#roots.has(parent) || throughRoot(parent));
    };
    const tables = [...this.#tables].map(([key, { schema, name, counts, rows }]): Contents['tables'][number] => [
      schema,
      name,
      counts && !throughRoot(key) ? rows : null,
    ]);
    return {
      // Not told: whatever version the target has is installed.
      extensions: [...this.#extensions].map(([name, schema]) => ({ name, version: '', schema })),
      tables: tables.sort(([aSchema, aName], [bSchema, bName]) =>
        JSON.stringify([aSchema, aName]) < JSON.stringify([bSchema, bName]) ? -1 : 1,
      ),
      roles: [...this.#roles].sort(),
      tablespaces: [...this.#tablespaces].sort(),
    };
  }

  #create(statement: Statement, state: ReadingState): void {
    if (statement.is(1, 'extension')) this.#extension(statement, state);
    const table = findOutermost(statement, ['table'], 1);
    const view = statement.has(1, 'materialized', 'view');
    if (view) this.#table(statement, 3, state, false);
    else if (table === 1 || table === 2) {
      const parted = partitionWord(statement, 'by') !== -1;
      const key = this.#table(statement, table + 1, state, !parted && !statement.is(1, 'foreign'));
      const of = partitionWord(statement, 'of');
      const parent = of === -1 ? undefined : keyAt(statement, of + 1, state);
      if (key !== undefined && parent !== undefined && parent !== key) this.#partitions.set(key, parent);
    }
    const tablespace = findOutermost(statement, ['tablespace'], 2);
    if (tablespace !== -1) this.#tablespace(statement, tablespace + 1, state);
  }

  #table(statement: Statement, at: number, state: ReadingState, counts: boolean): string | undefined {
    const key = keyAt(statement, at, state);
    if (key === undefined) return undefined;
    const [schema = '', name = ''] = JSON.parse(key) as string[];
    this.#tables.set(key, { schema, name, counts, rows: this.#tables.get(key)?.rows ?? 0 });
    this.#last = nothing;
    if (counts) this.#created += 1;
    return key;
  }

  #attach(statement: Statement, state: ReadingState): void {
    const at = findOutermost(statement, ['attach'], 2);
    if (!statement.is(1, 'table') || at === -1) return;
    const parent = keyAt(statement, statement.is(2, 'only') ? 3 : 2, state);
    const child = keyAt(statement, at + 2, state);
    if (parent !== undefined && child !== undefined && parent !== child) this.#partitions.set(child, parent);
  }

  #fill(statement: Statement, at: number, state: ReadingState, rows: number): string | undefined {
    if (at >= statement.count) return undefined;
    this.#filled += 1;
    // One INSERT after the other names the same table.
    const { tokens, bytes } = statement;
    const end = tokens.end(statement.is(at + 1, '.') ? at + 2 : at);
    const named = bytes.toString('latin1', tokens.start(at), end);
    if (named === this.#last.named && state.schema === this.#last.schema) {
      this.#last.table.rows += rows;
      return this.#last.key;
    }
    const key = keyAt(statement, at, state);
    if (key === undefined) return undefined;
    const known = this.#tables.get(key);
    const [schema = '', name = ''] = JSON.parse(key) as string[];
    const table = known ?? { schema, name, counts: true, rows: 0 };
    table.rows += rows;
    this.#tables.set(key, table);
    if (!table.counts) this.#roots.add(key);
    this.#last = { named, schema: state.schema, key, table };
    return key;
  }

  #extension(statement: Statement, state: ReadingState): void {
    const at = statement.is(2, 'if') ? 5 : 2;
    const name = statement.name(at, state.encoding);
    const schema = findOutermost(statement, ['schema'], at);
    if (name === undefined) return;
    this.#extensions.set(name, schema === -1 ? '' : (statement.name(schema + 1, state.encoding) ?? ''));
  }

  #tablespace(statement: Statement, at: number, state: ReadingState): void {
    const name = statement.name(at, state.encoding) ?? statement.string(at, state.encoding);
    if (name !== undefined && name !== '' && name !== 'pg_default' && name !== 'pg_global') this.#tablespaces.add(name);
  }
}

function keyAt(statement: Statement, at: number, state: ReadingState): string | undefined {
  const skipped = statement.has(at, 'if', 'not', 'exists') ? at + 3 : at;
  const found = qualifiedName(statement, skipped, state.encoding);
  return found === undefined ? undefined : JSON.stringify([found.schema ?? state.schema, found.name]);
}

/** The word behind PARTITION, where it is this one. */
function partitionWord(statement: Statement, word: string): number {
  for (const at of outermost(statement, 2)) {
    if (statement.is(at, 'partition') && statement.is(at + 1, word)) return at + 1;
  }
  return -1;
}

function insertedRows(statement: Statement): number {
  let values = 2;
  while (values < statement.count && !statement.is(values, 'values')) values += 1;
  if (values === statement.count) return 0;
  if (statement.is(values - 1, 'default')) return 1;
  let rows = 0;
  let depth = 0;
  for (let at = values + 1; at < statement.count; at += 1) {
    if (statement.is(at, '(')) {
      if (depth === 0) rows += 1;
      depth += 1;
    } else if (statement.is(at, ')')) depth -= 1;
  }
  return rows;
}
