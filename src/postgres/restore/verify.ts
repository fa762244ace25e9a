import type { DatabaseRecord, Extension } from '../../domain/manifest.ts';
import type { VerificationReport } from '../../domain/restore-report.ts';
import { withSession, type Server, type Session } from '../connection.ts';
import { listTables } from '../inspect-database.ts';
import { abreast } from './abreast.ts';
import { compareContents, tableKey, type FoundContents } from './compare.ts';

export interface VerifyInput {
  readonly server: Server;
  readonly database: string;
  readonly record: Pick<DatabaseRecord, 'tables' | 'extensions'>;
  /** Default false: a table that the backup doesn't have is a difference. */
  readonly othersMayBeThere?: boolean;
  /** How many sessions count at once. */
  readonly sessions: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: { readonly tablesDone: number; readonly tablesTotal: number }) => void;
}

/**
 * Reads a restored database whole, every row once, and compares it with the manifest's record. Changes nothing. A
 * difference is a result, not an error; rejects as `connect` and `query` do.
 */
export async function verifyDatabase(input: VerifyInput): Promise<VerificationReport> {
  const { server, database, signal } = input;
  const options = { database, applicationName: 'holdfast verify', signal };
  const { contents, sized } = await withSession(server, options, async (session) => ({
    contents: await readContents(session),
    sized: await readSizes(session),
  }));
  const rows = new Map<string, number>();
  const batches = inBatches(sized);
  let tablesDone = 0;
  await abreast(server, batches, { ...options, sessions: input.sessions }, async (session, batch) => {
    for (const [key, count] of await countRows(session, batch)) rows.set(key, count);
    tablesDone += batch.length;
    input.onProgress?.({ tablesDone, tablesTotal: sized.length });
  });
  return compareContents(input.record, { ...contents, rows }, { othersMayBeThere: input.othersMayBeThere ?? false });
}

async function readContents(session: Session): Promise<Omit<FoundContents, 'rows'>> {
  const extensions = await session.query<Extension>(
    `SELECT e.extname::text AS name, e.extversion AS version, n.nspname::text AS schema
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace`,
  );
  const tables = await listTables(session);
  const indexes = await session.query<{ readonly name: string; readonly partitioned: boolean }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind = 'I' AS partitioned
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname !~ '^pg_temp_'
      ORDER BY 1`,
  );
  const constraints = await session.query<{ readonly name: string }>(
    `SELECT format('%I on %s', k.conname, k.conrelid::regclass) AS name
       FROM pg_constraint k WHERE NOT k.convalidated AND k.conrelid <> 0 ORDER BY 1`,
  );
  const named = (partitioned: boolean) =>
    indexes.filter((index) => index.partitioned === partitioned).map(({ name }) => name);
  return {
    extensions,
    tables: tables.map(({ schema, name }) => ({ schema, name })),
    invalidIndexes: named(false),
    incompleteIndexes: named(true),
    unvalidatedConstraints: constraints.map(({ name }) => name),
  };
}

interface SizedTable {
  readonly key: string;
  readonly bytes: number;
}

/** Tables that hold rows of their own, the largest first, so that none is left over for one session alone. */
async function readSizes(session: Session): Promise<readonly SizedTable[]> {
  const tables = (await listTables(session)).filter(({ holdsRows }) => holdsRows);
  const sizes = await session.query<{ readonly oid: number; readonly bytes: string }>(
    `SELECT t.oid, pg_relation_size(t.oid)::text AS bytes FROM unnest($1::oid[]) AS t (oid)`,
    [tables.map(({ oid }) => oid)],
  );
  const bytes = new Map(sizes.map((size) => [size.oid, Number(size.bytes)]));
  return tables
    .map(({ oid, schema, name }) => ({ key: tableKey(schema, name), bytes: bytes.get(oid) ?? 0 }))
    .sort((a, b) => b.bytes - a.bytes);
}

const batchTables = 100;
const batchBytes = 8 * 1024 * 1024;

/** Tables that are counted by one query: their round trips would cost more than their rows. */
function inBatches(tables: readonly SizedTable[]): SizedTable[][] {
  const found: SizedTable[][] = [];
  let bytes = 0;
  for (const table of tables) {
    const last = found.at(-1);
    bytes += table.bytes;
    if (last !== undefined && last.length < batchTables && bytes <= batchBytes) last.push(table);
    else {
      found.push([table]);
      bytes = table.bytes;
    }
  }
  return found;
}

async function countRows(session: Session, batch: readonly SizedTable[]): Promise<[string, number][]> {
  const counts = batch.map(({ key }) => `(SELECT count(*) FROM ONLY ${key})`);
  const [row] = await session.query<{ readonly rows: readonly string[] }>(
    `SELECT ARRAY[${counts.join(', ')}]::text[] AS rows`,
  );
  return batch.map(({ key }, index) => [key, Number(row?.rows[index])]);
}
