import type { Selection } from '../../domain/dump-survey.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { tableKey } from '../restore/compare.ts';

/** Something that goes into the new schema by an ALTER … SET SCHEMA of its own. */
export interface Movable {
  /** As ALTER calls it: TABLE, TYPE, ROUTINE, … */
  readonly kind: string;
  /** Quoted and qualified, with arguments where it has some. */
  readonly identity: string;
  /** Of a relation; null for everything else. */
  readonly relation: number | null;
  readonly isTable: boolean;
  /** Where it comes from. */
  readonly schema: string;
  readonly owner: string | null;
}

/**
 * What the selection names in the session's database: tables with their partitions, and whatever is in chosen schemas
 * but what belongs to extensions. In an order in which each can be moved under the name that it has now. RestoreFailed
 * where something that was chosen isn't there.
 */
export async function readChosen(session: Session, selection: Selection): Promise<readonly Movable[]> {
  const tables = await readTables(session, selection);
  const whole = await readSchemas(session, selection.schemas);
  const known = new Set(whole.map(({ relation }) => relation));
  return [...whole, ...tables.filter(({ relation }) => !known.has(relation))];
}

/** Chosen tables, and partitions of every level: of those, and of what is in chosen schemas. */
async function readTables(session: Session, { tables, schemas }: Selection): Promise<readonly Movable[]> {
  const rows = await session.query<Movable & { readonly chosen: boolean; readonly name: string }>(
    `WITH RECURSIVE wanted AS (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS w (schema, name)),
     found AS (
       SELECT c.oid, true AS chosen
         FROM wanted w JOIN pg_namespace n ON n.nspname = w.schema
         JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'm', 'f')
       UNION
       SELECT c.oid, false
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'p' AND n.nspname = ANY($3::text[])
       UNION
       SELECT c.oid, false
         FROM found f JOIN pg_inherits i ON i.inhparent = f.oid JOIN pg_class c ON c.oid = i.inhrelid
        WHERE c.relispartition)
     SELECT 'TABLE' AS kind, format('%I.%I', n.nspname, c.relname) AS identity, c.oid AS relation, true AS "isTable",
         n.nspname::text AS schema, pg_get_userbyid(c.relowner)::text AS owner, c.relname::text AS name,
         bool_or(f.chosen) AS chosen
       FROM found f JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace
      GROUP BY c.oid, n.nspname ORDER BY n.nspname, c.relname`,
    [tables.map(([schema]) => schema), tables.map(([, name]) => name), schemas],
  );
  const there = new Set(rows.filter(({ chosen }) => chosen).map(({ schema, name }) => tableKey(schema, name)));
  const missing = tables.find(([schema, name]) => !there.has(tableKey(schema, name)));
  if (missing !== undefined) throw notThere(`table ${tableKey(...missing)}`);
  return rows;
}

/** What pg_identify_object calls what ALTER … SET SCHEMA takes, and what ALTER calls it. */
const kinds: Readonly<Record<string, string>> = {
  table: 'TABLE',
  view: 'TABLE',
  'materialized view': 'TABLE',
  'foreign table': 'TABLE',
  sequence: 'SEQUENCE',
  type: 'TYPE',
  function: 'ROUTINE',
  procedure: 'ROUTINE',
  aggregate: 'AGGREGATE',
  operator: 'OPERATOR',
  'operator class': 'OPERATOR CLASS',
  'operator family': 'OPERATOR FAMILY',
  collation: 'COLLATION',
  conversion: 'CONVERSION',
  'statistics object': 'STATISTICS',
  'text search configuration': 'TEXT SEARCH CONFIGURATION',
  'text search dictionary': 'TEXT SEARCH DICTIONARY',
  'text search parser': 'TEXT SEARCH PARSER',
  'text search template': 'TEXT SEARCH TEMPLATE',
};

/**
 * Leaves out what moves along with something else, or is made by it: owned sequences, row types, constructors; the multirange
 * of a range moves by itself only. What has arguments comes first: it is named by their types' names too.
 */
async function readSchemas(session: Session, schemas: readonly string[]): Promise<readonly Movable[]> {
  if (schemas.length === 0) return [];
  const found = await session.query<{ readonly name: string }>(
    'SELECT nspname::text AS name FROM pg_namespace WHERE nspname = ANY($1::text[])',
    [schemas],
  );
  const missing = schemas.find((schema) => !found.some(({ name }) => name === schema));
  if (missing !== undefined) throw notThere(`schema '${missing}'`);
  const rows = await session.query<Movable & { readonly type: string }>(
    `SELECT o.type, o.identity, CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END AS relation,
         c.relkind IS NOT NULL AND c.relkind IN ('r', 'p', 'm', 'f') AS "isTable",
         n.nspname::text AS schema, NULL AS owner
       FROM pg_namespace n
       JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.deptype = 'n'
       LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
       LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
       CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
      WHERE n.nspname = ANY($1::text[])
        AND NOT EXISTS (
          SELECT FROM pg_depend x
           WHERE x.classid = d.classid AND x.objid = d.objid
             AND NOT (x.refclassid = x.classid AND x.refobjid = x.objid)
             AND (x.deptype = 'e' OR (x.deptype = 'i' AND t.typtype IS DISTINCT FROM 'm')
                  OR (c.relkind = 'S' AND x.deptype = 'a')))
      ORDER BY o.type NOT IN ('function', 'procedure', 'aggregate', 'operator'), o.type, o.identity`,
    [schemas],
  );
  return rows.flatMap(({ type, ...row }) => {
    const kind = kinds[type];
    return kind === undefined ? [] : [{ ...row, kind }];
  });
}

const notThere = (what: string) =>
  new HoldfastError(
    'RestoreFailed',
    `${what} is not in the restored copy`,
    "see what the backup holds with 'holdfast backups show', and choose from that",
  );
