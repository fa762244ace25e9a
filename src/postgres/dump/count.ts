import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import type { TableEntry } from '../inspect-database.ts';
import { quoteIdent } from '../quote.ts';

export interface RowCounts {
  /** By the table's OID; a table that is missing here wasn't counted. */
  readonly rows: ReadonlyMap<number, number>;
  /** Why some are missing, a sentence; null: none is. */
  readonly warning: string | null;
}

/** Tables that are counted by one query: their round trips would cost more than their rows. */
const batchTables = 100;
const batchPages = 1_000;

/** Pure: tables that hold rows, in order, small ones together. */
export function batches(tables: readonly TableEntry[]): TableEntry[][] {
  const found: TableEntry[][] = [];
  let pages = 0;
  for (const table of tables) {
    if (!table.holdsRows) continue;
    const last = found.at(-1);
    pages += table.pages;
    if (last !== undefined && last.length < batchTables && pages <= batchPages) last.push(table);
    else {
      found.push([table]);
      pages = table.pages;
    }
  }
  return found;
}

/**
 * Counts the rows of tables in the session's transaction, which has the dump's snapshot. Never fails: what can't be
 * counted at once (somebody waits for a lock on it, the session breaks) isn't counted. A table that was truncated or
 * rewritten between the snapshot and the count has lost the snapshot's rows: it isn't counted either.
 */
export async function countRows(session: Session, tables: readonly TableEntry[]): Promise<RowCounts> {
  const rows = new Map<number, number>();
  const uncounted: TableEntry[] = [];
  let why: string | undefined;
  let broken = false;
  const attempt = async (batch: readonly TableEntry[]): Promise<void> => {
    if (broken) {
      uncounted.push(...batch);
      return;
    }
    try {
      const [counted] = await session.query<Counted>(`SAVEPOINT counting; ${countQuery(batch)}`);
      await session.query('RELEASE SAVEPOINT counting');
      for (const [index, table] of batch.entries()) {
        const count = counted?.filenodes[index] === table.filenode ? counted.rows[index] : undefined;
        if (count === undefined) {
          uncounted.push(table);
          why ??= 'it was truncated or rewritten meanwhile';
        } else rows.set(table.oid, Number(count));
      }
    } catch (error) {
      broken = await session.query('ROLLBACK TO SAVEPOINT counting; RELEASE SAVEPOINT counting').then(
        () => false,
        () => true,
      );
      if (!broken && batch.length > 1) {
        for (const table of batch) await attempt([table]);
        return;
      }
      why ??= messageOf(error);
      uncounted.push(...batch);
    }
  };
  for (const batch of batches(tables)) await attempt(batch);
  const [first] = uncounted;
  if (first === undefined) return { rows, warning: null };
  const others = uncounted.length === 1 ? '' : ` and ${String(uncounted.length - 1)} more`;
  return { rows, warning: `the rows of ${first.schema}.${first.name}${others} were not counted: ${why ?? 'unknown'}` };
}

interface Counted {
  readonly rows: readonly string[];
  readonly filenodes: readonly (string | null)[];
}

/** The file nodes are looked up after the locks are held: from then on nobody can truncate. */
function countQuery(batch: readonly TableEntry[]): string {
  const counts = batch.map(
    ({ schema, name }) => `(SELECT count(*) FROM ONLY ${quoteIdent(schema)}.${quoteIdent(name)})`,
  );
  const filenodes = batch.map(({ oid }) => `pg_relation_filenode(${String(oid)})`);
  return `SELECT ARRAY[${counts.join(', ')}]::text[] AS rows, ARRAY[${filenodes.join(', ')}]::text[] AS filenodes`;
}
