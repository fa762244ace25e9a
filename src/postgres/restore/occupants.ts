import { withSession, type Server, type Session } from '../connection.ts';
import { isOurs, readRestoreMark, type RestoreMark } from './mark.ts';

/** Made by initdb, and there in every cluster. */
export const systemDatabases: readonly string[] = ['template0', 'template1', 'postgres'];

/** A database of the target, as found. */
export interface Occupant {
  readonly name: string;
  readonly oid: number;
  /** What of somebody's it holds, in words; null: it is empty. */
  readonly holds: string | null;
  /** This run's own mark, if it bears one. */
  readonly mark: RestoreMark | undefined;
}

/** What stands in the way of a whole backup, and what it would take the place of. */
export interface Occupation {
  readonly occupied: readonly { readonly name: string; readonly holds: string }[];
  /** Empty databases of the backup's names. */
  readonly adopted: readonly string[];
}

/**
 * A cluster is empty when no database that a user made holds anything of his: extensions and what came with them
 * don't count, nor do template1 and postgres, in which images and operators keep things. Pure.
 */
export function occupants(found: readonly Occupant[], wanted: readonly string[]): Occupation {
  const users = found.filter(({ name, mark }) => mark === undefined && !systemDatabases.includes(name));
  return {
    occupied: users.flatMap(({ name, holds }) => (holds === null ? [] : [{ name, holds }])),
    adopted: users.filter(({ name, holds }) => holds === null && wanted.includes(name)).map(({ name }) => name),
  };
}

/** Looks into every database but template0 and template1. What bears this run's mark isn't looked into. */
export async function lookAround(server: Server, session: Session, run?: string): Promise<Occupant[]> {
  const databases = await session.query<{
    readonly name: string;
    readonly oid: number;
    readonly comment: string | null;
    readonly connectionLimit: number;
    readonly open: boolean;
  }>(
    `SELECT datname::text AS name, oid, datconnlimit AS "connectionLimit", shobj_description(oid, 'pg_database') AS comment,
        datallowconn AND datconnlimit <> -2 AS open
       FROM pg_database WHERE datname <> 'template0' ORDER BY datname`,
  );
  const found: Occupant[] = [];
  for (const { name, oid, comment, connectionLimit, open } of databases) {
    const own = run === undefined ? undefined : ownMark({ comment, connectionLimit }, run);
    const holds = own !== undefined || name === 'template1' ? null : await whatItHolds(server, name, open);
    found.push({ name, oid, holds, mark: own });
  }
  return found;
}

/** Also of one that was created and not yet commented on. */
function ownMark(
  found: { readonly comment: string | null; readonly connectionLimit: number },
  run: string,
): RestoreMark | undefined {
  const mark = readRestoreMark(found.comment);
  if (mark !== undefined) return mark.run === run ? mark : undefined;
  return isOurs(found, run) ? { run, state: 'making', verified: null, comment: null } : undefined;
}

/** In words what a user keeps in a database; null: nothing. */
export async function whatItHolds(server: Server, database: string, open: boolean): Promise<string | null> {
  if (!open) return "something unknown (it doesn't take connections)";
  const [row] = await withSession(server, { database, applicationName: 'holdfast look' }, (session) =>
    session.query<{ readonly kind: string; readonly name: string; readonly count: string }>(contentsQuery),
  );
  if (row === undefined) return null;
  const more = Number(row.count) - 1;
  return `${row.kind} ${row.name}${more === 0 ? '' : ` and ${String(more)} more objects`}`;
}

const notOfAnExtension = (catalog: string) => `NOT EXISTS (SELECT FROM pg_depend x
    WHERE x.classid = '${catalog}'::regclass AND x.objid = o.oid AND x.deptype = 'e')`;

const notPostgresOwn = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

const contentsQuery = `
  WITH found AS (
    SELECT 1 AS rank, 'table or view' AS kind, format('%I.%I', n.nspname, o.relname) AS name
      FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
     WHERE o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${notPostgresOwn} AND ${notOfAnExtension('pg_class')}
    UNION ALL
    SELECT 2, 'function', format('%I.%I', n.nspname, o.proname)
      FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace
     WHERE ${notPostgresOwn} AND ${notOfAnExtension('pg_proc')}
    UNION ALL
    SELECT 3, 'type', format('%I.%I', n.nspname, o.typname)
      FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
     WHERE o.typtype IN ('d', 'e', 'r') AND ${notPostgresOwn} AND ${notOfAnExtension('pg_type')}
    UNION ALL
    SELECT 4, 'schema', format('%I', n.nspname)
      FROM pg_namespace o JOIN pg_namespace n ON n.oid = o.oid
     WHERE n.nspname <> 'public' AND ${notPostgresOwn} AND ${notOfAnExtension('pg_namespace')}
    UNION ALL
    SELECT 5, 'large object', oid::text FROM pg_largeobject_metadata
    UNION ALL
    SELECT 6, 'publication', format('%I', pubname) FROM pg_publication
  )
  SELECT kind, name, count(*) OVER ()::text AS count FROM found ORDER BY rank, name LIMIT 1`;
