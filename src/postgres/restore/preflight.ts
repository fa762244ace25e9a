import type { DatabaseRecord, Manifest } from '../../domain/manifest.ts';
import {
  listed,
  type ClusterPreflightFacts,
  type LiveFacts,
  type NeedsFacts,
  type PreflightFacts,
  type TargetServerFacts,
} from '../../domain/restore-report.ts';
import type { Server, Session } from '../connection.ts';
import { readIdentity } from '../inspect.ts';
import { freeBytesOf } from './free-space.ts';
import { keepsItself } from './globals-plan.ts';
import { localeObstacle } from './locale.ts';
import { lookAround, occupants } from './occupants.ts';
import { readTablespaceFacts } from './tablespaces.ts';

export interface PreflightQuestion {
  readonly manifest: Manifest;
  readonly record: DatabaseRecord;
  /** The database that a swap would put aside, if there is one of that name. */
  readonly database: string;
  /** Names that have to be free. */
  readonly freeNames: readonly string[];
}

/**
 * What a plan for one database has to know about the target. Read-only: nothing is locked, made or changed.
 * @param session in any database of the target
 */
export async function preflight(session: Session, question: PreflightQuestion): Promise<PreflightFacts> {
  const { manifest, record, database, freeNames } = question;
  const target = await readTarget(session);
  const there = await readThere(session);
  const taken = await session.query<{ readonly name: string }>(
    'SELECT datname::text AS name FROM pg_database WHERE datname = ANY($1::text[]) ORDER BY 1',
    [freeNames],
  );
  return {
    source: { versionNum: manifest.server.versionNum },
    target,
    needs: await readNeeds(session, record, there),
    needBytes: record.bytes,
    namesTaken: taken.map(({ name }) => name),
    live: await readLive(session, database, target.maintenanceDatabase),
  };
}

/**
 * What a plan for a whole backup has to know. Read-only; looks into every database of the target to see whether it is
 * empty.
 * @param options.run what this run itself made in an earlier attempt is neither in the way nor adopted
 */
export async function preflightCluster(
  server: Server,
  session: Session,
  { manifest, run }: { readonly manifest: Manifest; readonly run?: string },
): Promise<ClusterPreflightFacts> {
  const target = await readTarget(session);
  const { databases, roles } = manifest;
  const dumped = databases.filter(({ status }) => status === 'dumped');
  const there = await readThere(session);
  const arriving = {
    ...there,
    roles: [...there.roles, ...roles.map(({ name }) => name)],
    tablespaces: [...there.tablespaces, ...manifest.tablespaces.map(({ name }) => name)],
  };
  const needs: NeedsFacts[] = [];
  for (const record of dumped) needs.push(await readNeeds(session, record, arriving));
  const found = occupants(
    await lookAround(server, session, run),
    dumped.map(({ name }) => name),
  );
  const present = roles.map(({ name }) => name).filter((name) => there.roles.includes(name));
  return {
    source: { versionNum: manifest.server.versionNum },
    target,
    needs: needs.filter(lacksSomething),
    needBytes: dumped.reduce((sum, { bytes }) => sum + bytes, 0),
    occupied: listed(found.occupied),
    adoptedDatabases: listed(found.adopted),
    alteredRoles: listed(present.filter((name) => !keepsItself(name, target))),
    keptRoles: listed(present.filter((name) => keepsItself(name, target))),
    tablespaces: await readTablespaceFacts(session, manifest.tablespaces),
  };
}

const lacksSomething = ({ missingRoles, extensions, missingTablespaces, locale }: NeedsFacts) =>
  missingRoles.count + extensions.count + missingTablespaces.count > 0 || locale !== null;

async function readTarget(session: Session): Promise<TargetServerFacts> {
  const identity = await readIdentity(session);
  const [row] = await session.query<{
    readonly user: string;
    readonly superuser: boolean;
    readonly maintenance: string;
    readonly directory: string | null;
  }>(
    `SELECT current_user::text AS user, current_setting('is_superuser')::bool AS superuser,
        current_database()::text AS maintenance,
        (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS directory`,
  );
  const directory = row?.directory ?? null;
  return {
    ...identity,
    user: row?.user ?? '',
    superuser: row?.superuser === true,
    maintenanceDatabase: row?.maintenance ?? '',
    freeBytes: directory === null ? null : await freeBytesOf(directory, identity.systemIdentifier),
  };
}

interface There {
  readonly roles: readonly string[];
  readonly tablespaces: readonly string[];
  /** By name, the version that CREATE EXTENSION makes. */
  readonly extensions: ReadonlyMap<string, string | null>;
}

async function readThere(session: Session): Promise<There> {
  const [row] = await session.query<{
    readonly roles: readonly string[];
    readonly tablespaces: readonly string[];
    readonly extensions: readonly { readonly name: string; readonly usual: string | null }[];
  }>(
    `SELECT (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles) AS roles,
        (SELECT coalesce(json_agg(spcname), '[]') FROM pg_tablespace) AS tablespaces,
        (SELECT coalesce(json_agg(json_build_object('name', name, 'usual', default_version)), '[]')
           FROM pg_available_extensions) AS extensions`,
  );
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  return { ...row, extensions: new Map(row.extensions.map(({ name, usual }) => [name, usual])) };
}

/** A dump says CREATE EXTENSION without a version, so what the target has by default is what it gets. */
async function readNeeds(session: Session, record: DatabaseRecord, there: There): Promise<NeedsFacts> {
  const extensions = record.extensions.flatMap(({ name, version }) => {
    const usual = there.extensions.get(name) ?? null;
    return usual === version || (version === '' && usual !== null) ? [] : [{ name, version, available: usual }];
  });
  const roles = new Set([record.owner, ...record.roles]);
  const tablespaces = new Set([record.tablespace, ...record.tablespaces]);
  return {
    database: record.name,
    missingRoles: listed([...roles].filter((name) => name !== '' && !there.roles.includes(name))),
    extensions: listed(extensions),
    missingTablespaces: listed([...tablespaces].filter((name) => name !== '' && !there.tablespaces.includes(name))),
    locale: await localeObstacle(session, record),
  };
}

async function readLive(session: Session, database: string, maintenance: string): Promise<LiveFacts | null> {
  const [row] = await session.query<
    Omit<LiveFacts, 'isMaintenance' | 'bytes' | 'preparedTransactions' | 'logicalSlots' | 'subscriptions'> & {
      readonly bytes: string;
      readonly prepared: readonly string[];
      readonly slots: readonly string[];
      readonly subscriptions: readonly string[];
    }
  >(
    `SELECT d.oid, pg_get_userbyid(d.datdba)::text AS owner, pg_database_size(d.oid)::text AS bytes,
        (SELECT count(*)::int FROM pg_stat_activity
          WHERE datid = d.oid AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
            AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender')) AS sessions,
        d.datistemplate AS "isTemplate", d.datallowconn AS "allowsConnections", d.datconnlimit = -2 AS invalid,
        (SELECT coalesce(json_agg(gid ORDER BY gid), '[]') FROM pg_prepared_xact() WHERE dbid = d.oid) AS prepared,
        (SELECT coalesce(json_agg(slot_name ORDER BY slot_name), '[]') FROM pg_replication_slots
          WHERE datoid = d.oid AND NOT temporary) AS slots,
        (SELECT coalesce(json_agg(subname ORDER BY subname), '[]') FROM pg_subscription WHERE subdbid = d.oid) AS subscriptions
       FROM pg_database d WHERE d.datname = $1::text`,
    [database],
  );
  if (row === undefined) return null;
  const { prepared, slots, subscriptions, bytes, ...rest } = row;
  return {
    ...rest,
    bytes: Number(bytes),
    isMaintenance: database === maintenance,
    preparedTransactions: listed(prepared),
    logicalSlots: listed(slots),
    subscriptions: listed(subscriptions),
  };
}
