import type { Session } from '../connection.ts';

const shownAtMost = 20;

/** One sentence with the first of many names; nothing where there is none. */
export function several(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > shownAtMost ? ` and ${String(names.length - shownAtMost)} more` : '';
  return [`${what}: ${names.slice(0, shownAtMost).join(', ')}${more}`];
}

/** What the objects of a schema need from elsewhere: in another database it means what bears the name there. */
export async function readReferences(session: Session, schema: string): Promise<string[]> {
  const rows = await session.query<{ readonly what: string }>(
    `WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = $1::text),
     relations AS (SELECT c.oid FROM pg_class c, ours WHERE c.relnamespace = ours.oid),
     dependents (classid, objid) AS (
       SELECT 'pg_class'::regclass::oid, oid FROM relations
       UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN relations r ON r.oid = a.adrelid
       UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k, ours WHERE k.connamespace = ours.oid
       UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN relations r ON r.oid = p.polrelid
       UNION ALL SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class
       UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t, ours WHERE t.typnamespace = ours.oid
       UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p, ours WHERE p.pronamespace = ours.oid)
     SELECT DISTINCT CASE WHEN e.extname IS NULL THEN o.type || ' ' || o.identity
                          ELSE format('extension %I', e.extname) END AS what
       FROM dependents x JOIN pg_depend d USING (classid, objid)
       CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, 0) o
       LEFT JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e'
       LEFT JOIN pg_extension e ON e.oid = m.refobjid
      WHERE d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass,
              'pg_opclass'::regclass, 'pg_collation'::regclass, 'pg_ts_config'::regclass, 'pg_foreign_server'::regclass)
        AND o.schema IS DISTINCT FROM quote_ident($1::text)
        AND coalesce(o.schema, '') NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
      ORDER BY 1`,
    [schema],
  );
  return several(
    "the live database's own are meant where the tables refer to",
    rows.map(({ what }) => what),
  );
}

/** Views of other schemas that read the schema's tables, and tables that inherit from them: they stay behind. */
export async function readReaders(session: Session, schema: string): Promise<string[]> {
  const views = await session.query<{ readonly name: string }>(
    `SELECT DISTINCT format('%I.%I', n.nspname, v.relname) AS name
       FROM pg_class t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
       JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
       JOIN pg_class v ON v.oid = w.ev_class JOIN pg_namespace n ON n.oid = v.relnamespace
      WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text) AND n.nspname <> $1::text
      ORDER BY 1`,
    [schema],
  );
  const children = await session.query<{ readonly name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname <> $1::text
        AND p.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text)
      ORDER BY 1`,
    [schema],
  );
  return [
    ...several(
      'views that read the tables are left out',
      views.map(({ name }) => name),
    ),
    ...several(
      'tables that inherit from the chosen ones are left out',
      children.map(({ name }) => name),
    ),
  ];
}

/** Large objects belong to no table and no schema: a column only holds their numbers. */
export async function readLargeObjects(session: Session, schema: string): Promise<string[]> {
  const rows = await session.query<{ readonly name: string }>(
    `SELECT format('%I.%I', c.relname, a.attname) AS name
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_type t ON t.oid = a.atttypid
      WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
        AND (t.oid = 'oid'::regtype OR t.typbasetype = 'oid'::regtype)
        AND EXISTS (SELECT FROM pg_largeobject_metadata) ORDER BY 1`,
    [schema],
  );
  return several(
    'large objects are left out; columns that may refer to some',
    rows.map(({ name }) => name),
  );
}
