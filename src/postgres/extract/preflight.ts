import { selects, type Selection } from '../../domain/dump-survey.ts';
import type { DatabaseRecord } from '../../domain/manifest.ts';
import { listed, type ExtractFacts } from '../../domain/restore-report.ts';
import type { Session } from '../connection.ts';
import { tableKey } from '../restore/compare.ts';
import { assertInside, checkSchemaName, findSchema, type Place } from './place.ts';
import { similarNames, similarTables } from './similar.ts';

export interface ExtractQuestion {
  readonly live: Place;
  readonly schema: string;
  readonly record: Pick<DatabaseRecord, 'tables' | 'extensions' | 'roles' | 'bytes'>;
  readonly selection: Selection;
  /** Short id of the run: what it made itself is not in the way. */
  readonly run: string;
}

/**
 * Read-only. What types and functions of other schemas the tables need can't be told before the copy is there: where
 * the live database lacks one, the move fails and changes nothing. InvalidArgument for a name that no schema can have,
 * PlanChanged where the session isn't in the live database.
 * @param session in the live database
 */
export async function preflightExtract(session: Session, question: ExtractQuestion): Promise<ExtractFacts> {
  const { live, schema, record, selection, run } = question;
  checkSchemaName(schema);
  await assertInside(session, live);
  const found = await findSchema(session, schema);
  const [there] = await session.query<{
    readonly extensions: readonly string[];
    readonly roles: readonly string[];
    readonly publications: readonly string[];
    readonly triggers: readonly string[];
  }>(
    `SELECT (SELECT coalesce(json_agg(extname), '[]') FROM pg_extension) AS extensions,
        (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles) AS roles,
        (SELECT coalesce(json_agg(pubname ORDER BY pubname), '[]') FROM pg_publication WHERE puballtables) AS publications,
        (SELECT coalesce(json_agg(evtname ORDER BY evtname), '[]') FROM pg_event_trigger
          WHERE evtenabled IN ('O', 'A')) AS triggers`,
  );
  if (there === undefined) throw new TypeError('the server answered a query for one row with none');
  const chosen = record.tables.filter(([inSchema, table]) => selects(selection, inSchema, table));
  const rows = rowsOf(chosen);
  const allRows = rowsOf(record.tables) ?? 0;
  return {
    schemaFree: found === undefined || found.mark?.run === run,
    notInBackup: listed(notInBackup(record.tables, selection)),
    tables: chosen.length,
    rows,
    needBytes: rows === null || allRows === 0 ? null : Math.ceil((record.bytes * rows) / allRows),
    missingExtensions: listed(without(namesOf(record.extensions), there.extensions)),
    missingRoles: listed(without(record.roles, there.roles)),
    publishesAllTables: listed(there.publications),
    eventTriggers: listed(there.triggers),
  };
}

type Tables = DatabaseRecord['tables'];

const namesOf = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name);
const without = (wanted: readonly string[], there: readonly string[]) => wanted.filter((name) => !there.includes(name));

/** null: none of them was counted. */
function rowsOf(tables: Tables): number | null {
  const counts = tables.flatMap(([, , rows]) => (rows === null ? [] : [rows]));
  return counts.length === 0 ? null : counts.reduce((sum, rows) => sum + rows, 0);
}

/** What was chosen and the record doesn't have, with what may have been meant. Pure. */
export function notInBackup(
  tables: Tables,
  selection: Selection,
): { readonly what: string; readonly similar: readonly string[] }[] {
  const known = new Set(tables.map(([schema, table]) => tableKey(schema, table)));
  const schemas = [...new Set(tables.map(([schema]) => schema))];
  return [
    ...selection.tables
      .filter((table) => !known.has(tableKey(...table)))
      .map((table) => ({
        what: `table ${tableKey(...table)}`,
        similar: similarTables(
          table,
          tables.map(([schema, name]) => [schema, name] as const),
        ).map((found) => tableKey(...found)),
      })),
    ...selection.schemas
      .filter((schema) => !schemas.includes(schema))
      .map((schema) => ({ what: `schema '${schema}'`, similar: similarNames(schema, schemas) })),
  ];
}
