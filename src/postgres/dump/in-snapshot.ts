import type { DatabaseRecord } from '../../domain/manifest.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import type { Command } from '../../process/chain.ts';
import { connect, type Server, type Session } from '../connection.ts';
import { inspectDatabase, type DatabaseContents } from '../inspect-database.ts';
import type { DatabaseEntry } from '../inspect.ts';
import { readPropertiesByOid } from '../swap/properties.ts';
import type { Tools } from '../tools.ts';
import { countRows, type RowCounts } from './count.ts';
import { beginSnapshot, type Snapshot } from './snapshot.ts';

export interface SnapshotDumpOptions {
  readonly server: Server;
  readonly systemIdentifier: string;
  readonly tools: Tools;
  /** From withToolEnvironment. */
  readonly env: Readonly<Record<string, string>>;
  readonly applicationName: string;
  readonly lockTimeoutMs: number;
  readonly countRows: boolean;
  readonly signal: AbortSignal;
}

export interface DumpedDatabase {
  readonly record: Pick<
    DatabaseRecord,
    'properties' | 'snapshotAt' | 'extensions' | 'tables' | 'roles' | 'tablespaces'
  >;
  readonly warnings: readonly string[];
}

/** pg_dump at work: it reads the catalogs while the session that holds the snapshot does so too. */
export interface Moving {
  /** Moves what it writes to where it belongs; resolves once it has ended well. */
  move(found: Found): Promise<void>;
  /** Ends it; resolves when no process is left. */
  kill(): Promise<void>;
}

export interface Found {
  readonly properties: DatabaseProperties;
  readonly versionNum: number;
  readonly warn: (what: string) => void;
  /** To be called once pg_dump has all its locks: then nobody waits for ours. */
  readonly locked: () => void;
}

/**
 * Dumps a database in a snapshot of its own. One session holds it and counts in it what pg_dump has locked. When this
 * rejects, no process of it is left; what was written is the caller's to take back.
 * @param start starts pg_dump with the command it is given and what it adds to its arguments
 */
export async function dumpInSnapshot(
  database: DatabaseEntry,
  options: SnapshotDumpOptions,
  start: (dump: Command) => Moving,
): Promise<DumpedDatabase> {
  const { server, applicationName, signal } = options;
  const session = await connect(server, { database: database.name, applicationName, signal });
  try {
    const snapshot = await beginSnapshot(session, options.systemIdentifier);
    return await dumpWithin(session, snapshot, { database, options, start });
  } finally {
    await session.close();
  }
}

interface Order {
  readonly database: DatabaseEntry;
  readonly options: SnapshotDumpOptions;
  readonly start: (dump: Command) => Moving;
}

async function dumpWithin(session: Session, snapshot: Snapshot, order: Order): Promise<DumpedDatabase> {
  const { database, options, start } = order;
  const warnings: string[] = [];
  const warn = (what: string) => {
    if (warnings.length < maxWarnings) warnings.push(`database '${database.name}': ${what}`);
  };
  const moving = start(
    dumpCommand(database, snapshot, options, (line) => {
      const warning = /^pg_dump: warning: (.*)$/.exec(line)?.[1];
      if (warning !== undefined) warn(warning);
    }),
  );
  try {
    const contents = await inspectDatabase(session);
    const properties = await readPropertiesByOid(session, database.oid);
    let counting: Promise<RowCounts> | undefined;
    const count = () => (counting ??= options.countRows ? countRows(session, contents.tables) : undefined);
    await moving.move({ properties, versionNum: session.versionNum, warn, locked: () => void count() });
    const counts = await count();
    const warning = counts?.warning ?? null;
    if (warning !== null) warnings.push(`database '${database.name}': ${warning}`);
    return { record: recordOf(snapshot, properties, contents, counts), warnings };
  } catch (error) {
    await moving.kill();
    throw error;
  }
}

const maxWarnings = 20;

function dumpCommand(
  { name, encoding }: DatabaseEntry,
  snapshot: Snapshot,
  { tools, env, lockTimeoutMs, server }: SnapshotDumpOptions,
  onStderrLine: (line: string) => void,
): Command {
  return {
    file: tools.pgDump,
    args: [
      `--snapshot=${snapshot.id}`,
      `--lock-wait-timeout=${String(lockTimeoutMs)}`,
      // Its default, unless somebody has set client_encoding for the role.
      `--encoding=${encoding}`,
      '--no-password',
    ],
    // A name given as an argument would be read as connection parameters where it holds an equals sign.
    env: { ...env, PGDATABASE: name },
    onStderrLine,
    ...(server.password === undefined ? {} : { secrets: [server.password] }),
  };
}

function recordOf(
  snapshot: Snapshot,
  properties: DatabaseProperties,
  contents: DatabaseContents,
  counts: RowCounts | undefined,
): DumpedDatabase['record'] {
  return {
    properties: {
      ...properties,
      settings: [...properties.settings],
      privileges: [...properties.privileges],
      securityLabels: [...properties.securityLabels],
    },
    snapshotAt: snapshot.at,
    extensions: contents.extensions,
    tables: contents.tables.map(({ oid, schema, name }) => [schema, name, counts?.rows.get(oid) ?? null]),
    roles: contents.roles,
    tablespaces: contents.tablespaces,
  };
}
