import { formatCount } from './format.ts';
import type { CopyReport } from './plan.ts';

/**
 * What a restore found, as plain JSON that is small enough for plans and for a workflow's history: lists are cut, their
 * counts are whole.
 */

/** How many entries of a list are kept. */
export const listedAtMost = 50;

/** A list of which only the beginning is kept. */
export interface Listed<T> {
  readonly count: number;
  readonly first: readonly T[];
}

export const listed = <T>(all: readonly T[]): Listed<T> => ({ count: all.length, first: all.slice(0, listedAtMost) });

/** What a message of PostgreSQL or psql is about, so that a person knows where to look. */
export type FindingKind =
  | 'already exists'
  | 'connection'
  | 'data'
  | 'harmless'
  | 'missing extension'
  | 'missing locale'
  | 'missing object'
  | 'missing role'
  | 'missing tablespace'
  | 'permission'
  | 'resources'
  | 'syntax'
  | 'tool too old'
  | 'unknown setting'
  | 'unsupported'
  | 'other';

export interface Finding {
  readonly kind: FindingKind;
  /** note: to know. error: something of the backup isn't there now. */
  readonly weight: 'note' | 'error';
  /** Of the member's plain text, counted from 1; null where it is about no line. */
  readonly line: number | null;
  /** SQLSTATE; null where the message isn't the server's. */
  readonly sqlState: string | null;
  /** One line, at most 300 characters. */
  readonly message: string;
}

export interface Difference {
  /** Such as `table "public"."orders"`, `extension citext`. */
  readonly object: string;
  readonly expected: string;
  readonly found: string;
}

/** A restored database, compared with the manifest's record of it. */
export interface VerificationReport {
  /** Nothing differs and nothing failed. */
  readonly ok: boolean;
  readonly tablesCompared: number;
  /** Rows that were counted in the restored database. */
  readonly rowsCompared: number;
  readonly differences: readonly Difference[];
  readonly differenceCount: number;
  readonly errors: readonly Finding[];
  readonly notes: readonly string[];
}

/** What became of roles and tablespaces. */
export interface GlobalsReport {
  readonly created: Listed<string>;
  readonly altered: Listed<string>;
  /** Were there already and stay as they are. */
  readonly kept: Listed<string>;
  readonly tablespacesCreated: Listed<string>;
  readonly errors: Listed<Finding>;
  readonly notes: Listed<string>;
}

export interface RestoredDatabase {
  readonly name: string;
  /**
   * - `restored`: it is there, whole, under its name
   * - `failed`: it is not there, or (template1, postgres) as it was before
   * - `skipped`: the backup doesn't hold it
   */
  readonly status: 'restored' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly reason: string | null;
  readonly seconds: number;
  readonly report: VerificationReport | null;
}

export interface ClusterReport {
  /** Every database of the backup is restored and equal, and no role or property is missing. */
  readonly ok: boolean;
  readonly globals: GlobalsReport;
  readonly databases: readonly RestoredDatabase[];
}

/** The database that a swap would put aside. */
export interface LiveFacts {
  readonly oid: number;
  readonly owner: string;
  readonly bytes: number;
  readonly sessions: number;
  readonly isTemplate: boolean;
  readonly isMaintenance: boolean;
  readonly allowsConnections: boolean;
  /** A DROP DATABASE of it was cut short. */
  readonly invalid: boolean;
  readonly preparedTransactions: Listed<string>;
  readonly logicalSlots: Listed<string>;
  readonly subscriptions: Listed<string>;
}

/** The server that a backup is to be restored into. */
export interface TargetServerFacts {
  readonly version: string;
  readonly versionNum: number;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly inRecovery: boolean;
  readonly bootstrapRole: string;
  readonly user: string;
  readonly superuser: boolean;
  readonly maintenanceDatabase: string;
  /** Free space where the data directory lies; null: can't be known from here. */
  readonly freeBytes: number | null;
}

/** What a database of the backup needs and the target lacks. */
export interface NeedsFacts {
  readonly database: string;
  readonly missingRoles: Listed<string>;
  /** `available`: another version that could be had; null: none. */
  readonly extensions: Listed<{ readonly name: string; readonly version: string; readonly available: string | null }>;
  readonly missingTablespaces: Listed<string>;
  /** Why the target can't make a database with its encoding and locale; null: it can. */
  readonly locale: string | null;
}

/** For the restore of one database. */
export interface PreflightFacts {
  readonly source: { readonly versionNum: number };
  readonly target: TargetServerFacts;
  readonly needs: NeedsFacts;
  readonly needBytes: number;
  /** Names that were asked for as free and are not. */
  readonly namesTaken: readonly string[];
  /** null: there is no such database, or none was asked about. */
  readonly live: LiveFacts | null;
}

export interface TablespaceFacts {
  readonly name: string;
  readonly location: string;
  /** unknown: the user may not look. */
  readonly state: 'exists' | 'directory is there' | 'directory is missing' | 'directory is in use' | 'unknown';
}

/** For the restore of a whole backup. */
export interface ClusterPreflightFacts {
  readonly source: { readonly versionNum: number };
  readonly target: TargetServerFacts;
  /** Of each database that needs something that isn't there; roles and tablespaces come with the backup. */
  readonly needs: readonly NeedsFacts[];
  readonly needBytes: number;
  /** Databases that somebody uses already, with what was found in them. */
  readonly occupied: Listed<{ readonly name: string; readonly holds: string }>;
  /** Empty databases of the backup's names: the restored ones take their place. */
  readonly adoptedDatabases: Listed<string>;
  /** Roles of the backup that are there already, and will be altered. */
  readonly alteredRoles: Listed<string>;
  /** Roles of the backup that are there already, and stay as they are. */
  readonly keptRoles: Listed<string>;
  readonly tablespaces: readonly TablespaceFacts[];
}

/** What a plan for tables or schemas has to know about the live database that gets them. */
export interface ExtractFacts {
  /** No schema of the name is there, or this run made it. */
  readonly schemaFree: boolean;
  /** What was chosen and the backup doesn't have, with what may have been meant. */
  readonly notInBackup: Listed<{ readonly what: string; readonly similar: readonly string[] }>;
  /** Of the chosen ones, as the backup lists them; partitions count by themselves. */
  readonly tables: number;
  /** Null: the backup has no counts. */
  readonly rows: number | null;
  /** Of the chosen tables among all rows, a part of the database's size: an estimate; null: can't be told. */
  readonly needBytes: number | null;
  /** Extensions of the backup that the live database lacks: only a problem where the chosen tables use them. */
  readonly missingExtensions: Listed<string>;
  /** Roles of the backup that the server lacks: only a problem where they own the chosen tables or may use them. */
  readonly missingRoles: Listed<string>;
  /** Publications FOR ALL TABLES: their subscribers get the new tables' rows, and stop where they lack the tables. */
  readonly publishesAllTables: Listed<string>;
  /** Enabled event triggers: they hear of the new tables (a superuser of PostgreSQL 17 and newer spares them). */
  readonly eventTriggers: Listed<string>;
}

/** One line for a person: where, what. */
export function describeFinding({ line, message, sqlState }: Finding): string {
  const where = line === null ? '' : `line ${String(line)}: `;
  return `${where}${message}${sqlState === null ? '' : ` (SQLSTATE ${sqlState})`}`;
}

const describeDifference = ({ object, expected, found }: Difference) =>
  `${object}: expected ${expected}, found ${found}`;

/** At most fifty lines; the last tells how many more there are. */
function bounded(lines: readonly string[], count: number): string[] {
  if (count <= listedAtMost) return [...lines];
  const shown = lines.slice(0, listedAtMost - 1);
  return [...shown, `and ${formatCount(count - shown.length, 'more', 'more')}`];
}

/** A verification as plans and run records show it. */
export function copyReport({ ok, tablesCompared, rowsCompared, ...report }: VerificationReport): CopyReport {
  const lines = [...report.errors.map(describeFinding), ...report.differences.map(describeDifference)];
  return {
    ok,
    tables: tablesCompared,
    rows: rowsCompared,
    differences: bounded(lines, report.errors.length + report.differenceCount),
    notes: report.notes,
  };
}

/** A whole cluster's verification as run records show it. */
export function clusterCopyReport({ ok, globals, databases }: ClusterReport): CopyReport {
  const reports = databases.flatMap(({ name, report }) => (report === null ? [] : [{ name, ...copyReport(report) }]));
  const prefixed = (name: string, lines: readonly string[]) => lines.map((line) => `${name}: ${line}`);
  const differences = [
    ...databases.flatMap(({ name, status, reason }) =>
      status === 'failed' ? [`database ${name} failed: ${reason ?? 'unknown'}`] : [],
    ),
    ...globals.errors.first.map(describeFinding),
    ...reports.flatMap(({ name, differences: lines }) => prefixed(name, lines)),
  ];
  const notes = [
    ...databases.flatMap(({ name, status, reason }) =>
      status === 'skipped' ? [`database ${name} is not in the backup: ${reason ?? 'unknown'}`] : [],
    ),
    ...globals.notes.first,
    ...reports.flatMap(({ name, notes: lines }) => prefixed(name, lines)),
  ];
  const unlisted = globals.errors.count - globals.errors.first.length;
  return {
    ok,
    tables: reports.reduce((sum, { tables }) => sum + tables, 0),
    rows: reports.reduce((sum, { rows }) => sum + rows, 0),
    differences: bounded(differences, differences.length + unlisted),
    notes: bounded(notes, notes.length),
  };
}
