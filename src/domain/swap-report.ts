/**
 * What is known about the exchange of a live database with a restored copy: plain JSON, small enough for plans and
 * for a workflow's history. Databases are told apart by OID, because names are what a swap changes; an OID means
 * something in one cluster only, so the system identifier goes with it.
 */
import type { Obstacle } from './plan.ts';

/** One right of one role on a database, as `aclexplode` lists it. */
export interface DatabasePrivilege {
  readonly grantor: string;
  /** null: PUBLIC. */
  readonly grantee: string | null;
  /** CREATE, CONNECT or TEMPORARY. */
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface DatabaseSetting {
  /** null: for everybody (ALTER DATABASE … SET); else ALTER ROLE … IN DATABASE … SET. */
  readonly role: string | null;
  readonly name: string;
  /** As `pg_db_role_setting` holds it: the items of a list such as search_path are quoted inside it. */
  readonly value: string;
}

/**
 * Everything that hangs on a database's OID instead of its content, so that a plain rename loses it. Lists are
 * sorted: equal properties have equal JSON.
 */
export interface DatabaseProperties {
  readonly owner: string;
  readonly tablespace: string;
  /** -1: no limit. */
  readonly connectionLimit: number;
  readonly isTemplate: boolean;
  readonly comment: string | null;
  readonly settings: readonly DatabaseSetting[];
  /** In effect: what PostgreSQL assumes where nothing was ever granted is spelled out. */
  readonly privileges: readonly DatabasePrivilege[];
  readonly securityLabels: readonly { readonly provider: string; readonly label: string }[];
}

/**
 * - `effect`: somebody would notice
 * - `record`: the same rights and behaviour, recorded otherwise: the grantor of a right, the tablespace
 */
export interface PropertyDifference {
  readonly weight: 'effect' | 'record';
  /** Such as `owner`, `comment`, `setting search_path`, `setting work_mem of role app`, `privileges of PUBLIC`. */
  readonly property: string;
  readonly expected: string | null;
  readonly found: string | null;
}

/** Which databases change places, as planned. */
export interface SwapTarget {
  readonly liveName: string;
  readonly liveOid: number;
  readonly copyName: string;
  readonly copyOid: number;
  /** What the live one is called once it is put aside. */
  readonly oldName: string;
}

export interface SwapInput extends SwapTarget {
  /** Of the cluster that was planned with; another one is refused. */
  readonly systemIdentifier?: string;
  /**
   * What the copy gets in the very transaction that renames it. `live`: what the live database has at that moment;
   * `keep`: nothing, it has all it needs; or exactly these.
   */
  readonly properties: 'live' | 'keep' | DatabaseProperties;
  /** Logical slots and subscriptions stay with the old database; without `leave` they are a reason to refuse. */
  readonly slots?: 'refuse' | 'leave';
  readonly subscriptions?: 'refuse' | 'leave';
  /** Background workers of extensions that hold the live database: some never come back once they are ended. */
  readonly workers?: 'refuse' | 'end';
  /** The live database is given back unchanged if it can't be exchanged within this time; default 30 s. */
  readonly maxClosedMs?: number;
}

export interface SwapDatabaseFacts {
  readonly oid: number;
  readonly name: string;
  readonly owner: string;
  readonly allowsConnections: boolean;
  readonly isTemplate: boolean;
  /** A DROP DATABASE of it was cut short: nothing but dropping it is possible. */
  readonly invalid: boolean;
  /** We own it, are a member of its owner, or are a superuser. */
  readonly isOurs: boolean;
}

/** Lists hold the first twenty; the counts are whole. */
export interface SwapFacts {
  readonly asked: SwapTarget;
  readonly systemIdentifier: string;
  /** The database the facts were read from. */
  readonly maintenance: string;
  readonly inRecovery: boolean;
  readonly user: { readonly name: string; readonly superuser: boolean; readonly createDatabase: boolean };
  /** By OID; null: there is none. */
  readonly live: SwapDatabaseFacts | null;
  readonly copy: SwapDatabaseFacts | null;
  /** OID of a database that bears `oldName` and is neither of the two. */
  readonly oldNameOwner: number | null;
  /** Written on the copy when a swap of it closed the databases, taken off when it opened them. */
  readonly mark: SwapMark | null;
  /** In either database. */
  readonly preparedTransactions: readonly { readonly gid: string; readonly owner: string | null }[];
  readonly preparedTransactionCount: number;
  /** Of the live database; temporary ones end with their session and are left out. */
  readonly slots: readonly { readonly name: string; readonly plugin: string | null; readonly active: boolean }[];
  readonly slotCount: number;
  readonly subscriptions: readonly { readonly name: string; readonly enabled: boolean }[];
  readonly subscriptionCount: number;
  /** Clients of either database. */
  readonly sessions: number;
  /** What else holds the live database, by kind; autovacuum gives way by itself and is left out. */
  readonly workers: readonly { readonly kind: string; readonly pid: number }[];
  /** Streaming replicas: their sessions aren't ended from here. */
  readonly standbys: number;
}

export interface SwapMark {
  /** Server's clock when the databases were closed, milliseconds since 1970. */
  readonly closedAtMs: number;
  /** Whether the copy took connections before. */
  readonly copyWasOpen: boolean;
}

/**
 * - `before`: nothing was done
 * - `closed`: a swap of exactly these began and stopped; names are as before, connections are refused
 * - `swapped`: the names are exchanged, connections still refused
 * - `done`
 * - `foreign`: anything else; never touched
 */
export type SwapState = 'before' | 'closed' | 'swapped' | 'done' | 'foreign';

/** The steps in their order; each is over when the next begins. */
export type SwapStep = 'close' | 'end sessions' | 'rename' | 'open';

export interface SwapObstacle extends Obstacle {
  readonly kind:
    | 'another cluster'
    | 'in recovery'
    | 'not allowed'
    | 'system database'
    | 'name'
    | 'name taken'
    | 'invalid database'
    | 'prepared transactions'
    | 'slots'
    | 'subscriptions'
    | 'workers'
    | 'standbys';
}

export interface SwapResult {
  /** What was found at the beginning: `done` means that an earlier attempt had finished it. */
  readonly found: Exclude<SwapState, 'foreign'>;
  /** From closing to opening, by the server's clock; null where an earlier attempt had finished it. */
  readonly downtimeMs: number | null;
  /** Clients whose sessions this attempt ended. */
  readonly sessionsEnded: number;
  /** The database that bears the live name now, and the one put aside. */
  readonly live: { readonly name: string; readonly oid: number };
  readonly aside: { readonly name: string; readonly oid: number };
  /** What a person should know: standbys, slots that stayed behind, errors that were got over. */
  readonly notes: readonly string[];
}

/** What a release drops. `liveName` and `liveOid` are never dropped, whatever else is asked. */
export interface AsideTarget {
  readonly asideName: string;
  readonly asideOid: number;
  readonly liveName: string;
  readonly liveOid: number;
  readonly systemIdentifier?: string;
}

export interface DropResult {
  /** false: it was gone already. */
  readonly dropped: boolean;
  readonly notes: readonly string[];
}
