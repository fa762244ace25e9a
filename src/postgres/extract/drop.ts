import { HoldfastError } from '../../domain/errors.ts';
import { quoteIdent, withSession, type Server, type Session } from '../connection.ts';
import { inTransaction } from '../swap/transaction.ts';
import { assertInside, findSchema, schemaTaken, type Place } from './place.ts';
import { several } from './references.ts';

export interface DropSchemaOrder {
  readonly server: Server;
  readonly live: Place;
  readonly schema: string;
  readonly run: string;
  readonly signal: AbortSignal;
}

/**
 * Drops the schema that this run made, with all that is in it. Returns false where there is none. Never touches
 * anything outside: TargetNotEmpty where something of another schema has come to depend on it. NameTaken where somebody
 * else made it, PlanChanged where the database is another one.
 */
export async function dropSchema({ server, live, schema, run, signal }: DropSchemaOrder): Promise<boolean> {
  const options = { database: live.name, applicationName: `holdfast extract ${run}`, signal };
  return withSession(server, options, (session) =>
    inTransaction(session, async () => {
      await assertInside(session, live);
      const found = await findSchema(session, schema);
      if (found === undefined) return false;
      if (found.mark?.run !== run) throw schemaTaken(schema, live.name);
      const dependents = await readDependents(session, found.oid);
      if (dependents.length > 0) {
        throw new HoldfastError(
          'TargetNotEmpty',
          several(`schema '${schema}' is used from outside and is kept`, dependents).join(),
          'drop what uses it first, or keep it',
        );
      }
      await session.query(`SET LOCAL client_min_messages = warning; DROP SCHEMA ${quoteIdent(schema)} CASCADE`);
      return true;
    }),
  );
}

/** What lies outside of the schema and would go with it, or lose a column, a key or a policy. */
async function readDependents(session: Session, oid: number): Promise<string[]> {
  const rows = await session.query<{ readonly name: string }>(
    `WITH inside (classid, objid) AS (
       SELECT 'pg_class'::regclass::oid, oid FROM pg_class WHERE relnamespace = $1::oid
       UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace = $1::oid
       UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = $1::oid
       UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprnamespace = $1::oid
       UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass WHERE opcnamespace = $1::oid
       UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation WHERE collnamespace = $1::oid
       UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config WHERE cfgnamespace = $1::oid
       UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE connamespace = $1::oid),
     outside AS (
       SELECT DISTINCT d.classid, d.objid,
           coalesce(c.relnamespace, t.typnamespace, p.pronamespace, k.connamespace,
             (SELECT relnamespace FROM pg_class WHERE oid = coalesce(w.ev_class, a.adrelid, y.polrelid, g.tgrelid)),
             s.stxnamespace) AS namespace
         FROM inside i JOIN pg_depend d ON d.refclassid = i.classid AND d.refobjid = i.objid
         LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
         LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
         LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
         LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
         LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
         LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
         LEFT JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
         LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
         LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid)
     SELECT DISTINCT o.type || ' ' || o.identity AS name
       FROM outside x CROSS JOIN LATERAL pg_identify_object(x.classid, x.objid, 0) o
      WHERE x.namespace <> $1::oid AND x.namespace <> 'pg_toast'::regnamespace
         OR x.classid = ANY (ARRAY['pg_publication_rel', 'pg_subscription_rel', 'pg_event_trigger']::regclass[])
      ORDER BY 1`,
    [oid],
  );
  return rows.map(({ name }) => name);
}
