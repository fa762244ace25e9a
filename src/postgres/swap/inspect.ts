import { HoldfastError } from '../../domain/errors.ts';
import type { SwapDatabaseFacts, SwapFacts, SwapTarget } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { readMark } from './mark.ts';

interface DatabaseRow extends SwapDatabaseFacts {
  readonly comment: string | null;
}

interface FactsRow extends Pick<
  SwapFacts,
  'maintenance' | 'user' | 'preparedTransactions' | 'slots' | 'subscriptions' | 'workers' | 'sessions' | 'standbys'
> {
  readonly systemIdentifier: string;
  readonly inRecovery: boolean;
  readonly databases: readonly DatabaseRow[];
}

/**
 * One statement, so that all of it is of one moment. Without pg_read_all_stats the kind of others' processes reads
 * null; a session of a client always has a user, an autovacuum worker never.
 */
const factsQuery = `WITH holder AS (
  SELECT pid, datid, coalesce(backend_type, CASE WHEN usesysid IS NULL THEN 'autovacuum worker' ELSE 'client backend' END) AS kind
    FROM pg_stat_activity WHERE datid IN ($1::oid, $2::oid) AND pid <> pg_backend_pid()
)
SELECT json_build_object(
  'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
  'maintenance', current_database(),
  'inRecovery', pg_is_in_recovery(),
  'user', (SELECT json_build_object('name', rolname, 'superuser', rolsuper, 'createDatabase', rolcreatedb)
             FROM pg_roles WHERE rolname = current_user),
  'databases', (SELECT coalesce(json_agg(json_build_object(
        'oid', oid::int8, 'name', datname, 'owner', pg_get_userbyid(datdba), 'allowsConnections', datallowconn,
        'isTemplate', datistemplate, 'invalid', datconnlimit = -2, 'isOurs', pg_has_role(datdba, 'USAGE'),
        'comment', shobj_description(oid, 'pg_database'))), '[]')
      FROM pg_database WHERE oid IN ($1::oid, $2::oid) OR datname = $3::text),
  'preparedTransactions', (SELECT coalesce(json_agg(json_build_object('gid', p.gid, 'owner', r.rolname) ORDER BY p.gid), '[]')
      FROM pg_prepared_xact() p LEFT JOIN pg_roles r ON r.oid = p.ownerid WHERE p.dbid IN ($1::oid, $2::oid)),
  'slots', (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'plugin', plugin, 'active', active) ORDER BY slot_name), '[]')
      FROM pg_replication_slots WHERE datoid = $1::oid AND NOT temporary),
  'subscriptions', (SELECT coalesce(json_agg(json_build_object('name', subname, 'enabled', subenabled) ORDER BY subname), '[]')
      FROM pg_subscription WHERE subdbid = $1::oid),
  'sessions', (SELECT count(*) FROM holder WHERE kind IN ('client backend', 'walsender')),
  'workers', (SELECT coalesce(json_agg(json_build_object('kind', kind, 'pid', pid) ORDER BY kind, pid), '[]')
      FROM holder WHERE datid = $1::oid
       AND kind NOT IN ('client backend', 'parallel worker', 'autovacuum worker', 'walsender')
       AND kind NOT LIKE 'logical replication %'),
  'standbys', (SELECT count(*) FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
      WHERE a.datid IS NULL AND r.state = 'streaming' AND r.application_name NOT IN ('pg_receivewal', 'pg_basebackup'))
) AS facts`;

const listed = 20;

/**
 * What a swap has to know, read by OID and read-only; the session may be in any other database of the cluster.
 * Small enough for a workflow's history however many slots or transactions there are.
 */
export async function inspectSwap(session: Session, asked: SwapTarget): Promise<SwapFacts> {
  const { liveName, liveOid, copyName, copyOid, oldName } = asked;
  const [row] = await session.query<{ readonly facts: FactsRow }>(factsQuery, [liveOid, copyOid, oldName]);
  if (row === undefined) {
    throw new HoldfastError('PostgresUnavailable', 'the server answered with nothing', 'see its log');
  }
  const { databases, preparedTransactions, slots, subscriptions, workers, ...rest } = row.facts;
  const byOid = (oid: number) => databases.find((database) => database.oid === oid);
  const copy = byOid(copyOid);
  const bearer = databases.find(({ oid, name }) => name === oldName && oid !== liveOid && oid !== copyOid);
  return {
    ...rest,
    asked: { liveName, liveOid, copyName, copyOid, oldName },
    live: withoutComment(byOid(liveOid)),
    copy: withoutComment(copy),
    oldNameOwner: bearer?.oid ?? null,
    mark: readMark(copy?.comment ?? null).mark,
    preparedTransactions: preparedTransactions.slice(0, listed),
    preparedTransactionCount: preparedTransactions.length,
    slots: slots.slice(0, listed),
    slotCount: slots.length,
    subscriptions: subscriptions.slice(0, listed),
    subscriptionCount: subscriptions.length,
    workers: workers.slice(0, listed),
  };
}

function withoutComment(database: DatabaseRow | undefined): SwapDatabaseFacts | null {
  if (database === undefined) return null;
  const { oid, name, owner, allowsConnections, isTemplate, invalid, isOurs } = database;
  return { oid, name, owner, allowsConnections, isTemplate, invalid, isOurs };
}
