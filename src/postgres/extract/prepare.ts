import type { Selection } from '../../domain/dump-survey.ts';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { besideName } from '../../domain/ids.ts';
import { quoteIdent, quoteLiteral, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { restoreMark } from '../restore/mark.ts';
import { inTransaction } from '../swap/transaction.ts';
import { readChosen, type Movable } from './chosen.ts';
import { cutTies } from './cut-ties.ts';
import { assertInside, findSchema, type Place } from './place.ts';
import { readLargeObjects, readReaders, readReferences } from './references.ts';

export interface Prepared {
  /** Of the chosen schema, where the selection is one schema and nothing else. */
  readonly comment: string | null;
  /** What was left out, and what refers to the live database's own. */
  readonly notes: readonly string[];
}

/**
 * In the copy: makes the new schema and moves what was chosen into it, in one transaction. What ties it to the rest of
 * the database is cut: loaded into the live database, it must not become a partition or a child of a live table, nor
 * fire triggers there. Done twice is done once: the schema's comment holds what the first time found.
 * @param session in the copy, which nobody else needs
 */
export async function prepareSchema(
  session: Session,
  order: { readonly copy: Place; readonly schema: string; readonly selection: Selection; readonly run: string },
): Promise<Prepared> {
  const { copy, schema, selection, run } = order;
  await assertInside(session, copy);
  const there = await findSchema(session, schema);
  if (there?.mark?.run === run && there.mark.comment !== null) return JSON.parse(there.mark.comment) as Prepared;
  try {
    return await inTransaction(session, async () => {
      const chosen = await readChosen(session, selection);
      const relations = chosen.flatMap(({ relation }) => (relation === null ? [] : [relation]));
      const cut = await cutTies(session, relations);
      const comment = await makeSchema(session, order, chosen);
      // By now something of a schema of that name may have been moved aside: what is altered goes by today's names.
      for (const { kind, identity } of there === undefined ? chosen : await readAgain(session, order)) {
        await session.query(`ALTER ${kind} ${identity} SET SCHEMA ${quoteIdent(schema)}`);
      }
      await moveStatistics(session, schema);
      const notes = [
        ...cut,
        ...(await readReferences(session, schema)),
        ...(await readReaders(session, schema)),
        ...(await readLargeObjects(session, schema)),
        ...(await bodyNotes(session, schema, selection)),
      ];
      const prepared = { comment, notes };
      const mark = restoreMark({ run, state: 'loaded', comment: JSON.stringify(prepared) });
      await session.query(`COMMENT ON SCHEMA ${quoteIdent(schema)} IS ${quoteLiteral(mark)}`);
      return prepared;
    });
  } catch (error) {
    if (!['42P07', '42710', '42723'].includes(sqlState(error) ?? '')) throw error;
    throw new HoldfastError(
      'InvalidArgument',
      `two of what was chosen have the same name and can't both be put into schema '${schema}': ${messageOf(error)}`,
      'restore them one after the other into two schemas, or into a new database',
      { cause: error },
    );
  }
}

/** The schema of the same name that the backup itself has makes room; with it, what of it was chosen. */
const asideOf = (schema: string, run: string) => besideName(schema, 'old', run);

async function readAgain(
  session: Session,
  { schema, selection, run }: { readonly schema: string; readonly selection: Selection; readonly run: string },
): Promise<readonly Movable[]> {
  const today = (name: string) => (name === schema ? asideOf(schema, run) : name);
  return readChosen(session, {
    schemas: selection.schemas.map(today),
    tables: selection.tables.map(([inSchema, table]) => [today(inSchema), table] as const),
  });
}

/** Returns the chosen schema's own comment, where the selection is one schema. */
async function makeSchema(
  session: Session,
  { schema, selection, run }: { readonly schema: string; readonly selection: Selection; readonly run: string },
  chosen: readonly Movable[],
): Promise<string | null> {
  const [only] = selection.tables.length === 0 && selection.schemas.length === 1 ? selection.schemas : [];
  const model = only === undefined ? undefined : await readModel(session, only);
  if ((await findSchema(session, schema)) !== undefined) {
    await session.query(`ALTER SCHEMA ${quoteIdent(schema)} RENAME TO ${quoteIdent(asideOf(schema, run))}`);
  }
  const name = quoteIdent(schema);
  await session.query(`CREATE SCHEMA ${name}`);
  const owners = new Set(chosen.map(({ owner }) => owner));
  const owner = model?.owner ?? (owners.size === 1 ? [...owners][0] : null) ?? null;
  if (owner !== null) await session.query(`ALTER SCHEMA ${name} OWNER TO ${quoteIdent(owner)}`);
  for (const { privilege, grantee, grantable } of model?.privileges ?? []) {
    const to = grantee === null ? 'PUBLIC' : quoteIdent(grantee);
    await session.query(`GRANT ${privilege} ON SCHEMA ${name} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
  }
  return model?.comment ?? null;
}

interface SchemaModel {
  readonly owner: string;
  readonly comment: string | null;
  /** grantee null: PUBLIC */
  readonly privileges: readonly {
    readonly privilege: string;
    readonly grantee: string | null;
    readonly grantable: boolean;
  }[];
}

async function readModel(session: Session, schema: string): Promise<SchemaModel | undefined> {
  const [row] = await session.query<SchemaModel>(
    `SELECT pg_get_userbyid(n.nspowner)::text AS owner, obj_description(n.oid, 'pg_namespace') AS comment,
        (SELECT coalesce(json_agg(json_build_object('privilege', a.privilege_type,
             'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END, 'grantable', a.is_grantable)), '[]')
           FROM aclexplode(n.nspacl) a WHERE a.grantee <> n.nspowner) AS privileges
       FROM pg_namespace n WHERE n.nspname = $1::text`,
    [schema],
  );
  return row;
}

/** Extended statistics belong to a table but lie in a schema of their own choice. */
async function moveStatistics(session: Session, schema: string): Promise<void> {
  const found = await session.query<{ readonly identity: string }>(
    `SELECT format('%I.%I', n.nspname, s.stxname) AS identity
       FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid
      WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text) AND n.nspname <> $1::text
      ORDER BY 1`,
    [schema],
  );
  for (const { identity } of found) {
    await session.query(`ALTER STATISTICS ${identity} SET SCHEMA ${quoteIdent(schema)}`);
  }
}

/** The text of a function means what it says: no move of a table changes it. */
async function bodyNotes(session: Session, schema: string, { schemas }: Selection): Promise<string[]> {
  const [row] = await session.query<{ readonly count: number }>(
    `SELECT count(*)::int AS count FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = $1::text AND p.prokind <> 'a' AND p.prosrc <> ''
        AND NOT EXISTS (SELECT FROM pg_depend x
          WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid AND x.deptype = 'i')`,
    [schema],
  );
  const names = schemas.map((name) => `'${name}'`).join(', ');
  return (row?.count ?? 0) === 0
    ? []
    : [`functions keep their text: where it names schema ${names}, it means the live database's`];
}
