import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { countRows } from '../dump/count.ts';
import { listTables } from '../inspect-database.ts';
import { several } from './references.ts';

export interface SchemaContents {
  /** rows null: it holds none of its own (partitioned, foreign), or is filled anew (materialized). */
  readonly tables: readonly { readonly name: string; readonly rows: number | null }[];
  /** By name, who may do what with tables, views and sequences. */
  readonly privileges: ReadonlyMap<string, string>;
}

/**
 * Tables of a schema with exact row counts, in the session's transaction. PostgresUnavailable where one can't be
 * counted, because somebody holds a lock on it.
 */
export async function readSchemaContents(session: Session, schema: string): Promise<SchemaContents> {
  const tables = (await listTables(session)).filter((table) => table.schema === schema);
  const privileges = await session.query<{ readonly name: string; readonly acl: string }>(
    `SELECT c.relname::text AS name,
        (SELECT string_agg(a::text, ' ' ORDER BY a::text)
           FROM unnest(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) a) AS acl
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
    [schema],
  );
  const counts = await countRows(session, tables);
  if (counts.warning !== null) {
    throw new HoldfastError('PostgresUnavailable', counts.warning, 'see who works in the new schema, and try again');
  }
  return {
    tables: tables.map(({ oid, name }) => ({ name, rows: counts.rows.get(oid) ?? null })),
    privileges: new Map(privileges.map(({ name, acl }) => [name, acl])),
  };
}

/**
 * Pure. RestoreFailed where a table or a row is missing or too many; otherwise what differs and may, a sentence each.
 */
export function compareSchemas(expected: SchemaContents, found: SchemaContents, schema: string): string[] {
  const there = new Map(found.tables.map(({ name, rows }) => [name, rows]));
  const wrong = [
    ...expected.tables.flatMap(({ name, rows }) => {
      const now = there.get(name);
      if (now === rows) return [];
      return [`${name} has ${now === undefined ? 'vanished' : `${String(now)} rows instead of ${String(rows)}`}`];
    }),
    ...found.tables
      .filter(({ name }) => !expected.tables.some((table) => table.name === name))
      .map(({ name }) => `${name} is not in the backup`),
  ];
  if (wrong.length > 0) {
    throw new HoldfastError(
      'RestoreFailed',
      several(`schema '${schema}' is not what the backup holds`, wrong).join(),
      'somebody has worked in it meanwhile, or restore again under another name',
    );
  }
  const other = [...expected.privileges]
    .filter(([name, acl]) => found.privileges.get(name) !== acl)
    .map(([name]) => name);
  return several("default privileges of the live database were added to the backup's", other);
}
