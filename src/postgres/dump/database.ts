import type { DatabaseRecord } from '../../domain/manifest.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import { startChain, type Command } from '../../process/chain.ts';
import type { Compressor } from '../../streams/compress.ts';
import { connect, type Server, type Session } from '../connection.ts';
import { inspectDatabase, type DatabaseContents } from '../inspect-database.ts';
import type { DatabaseEntry } from '../inspect.ts';
import { readPropertiesByOid } from '../swap/properties.ts';
import type { Tools } from '../tools.ts';
import { countRows, type RowCounts } from './count.ts';
import type { Members } from './members.ts';
import { renderProperties } from './properties.ts';
import { beginSnapshot, type Snapshot } from './snapshot.ts';

export interface DatabaseDumpOptions {
  readonly server: Server;
  readonly systemIdentifier: string;
  readonly tools: Tools;
  /** From withToolEnvironment. */
  readonly env: Readonly<Record<string, string>>;
  readonly applicationName: string;
  readonly compressor: Compressor;
  readonly lockTimeoutMs: number;
  readonly countRows: boolean;
  readonly members: Members;
  readonly signal: AbortSignal;
  /** Called when the contents begin, and after every chunk of them. */
  readonly onContent: () => void;
}

export interface DumpedDatabase {
  readonly record: Pick<
    DatabaseRecord,
    'properties' | 'snapshotAt' | 'extensions' | 'tables' | 'roles' | 'tablespaces'
  >;
  readonly warnings: readonly string[];
}

/**
 * Writes a database's two members. One session holds the snapshot that pg_dump reads, and counts in it what pg_dump
 * has locked. When this rejects, no process of it is left; the members that it wrote are the caller's to take back.
 */
export async function dumpDatabase(
  database: DatabaseEntry,
  afterForeignEncoding: boolean,
  options: DatabaseDumpOptions,
): Promise<DumpedDatabase> {
  const { server, applicationName, signal } = options;
  const session = await connect(server, { database: database.name, applicationName, signal });
  try {
    const snapshot = await beginSnapshot(session, options.systemIdentifier);
    return await dumpWithin(session, snapshot, database, afterForeignEncoding, options);
  } finally {
    await session.close();
  }
}

async function dumpWithin(
  session: Session,
  snapshot: Snapshot,
  database: DatabaseEntry,
  afterForeignEncoding: boolean,
  options: DatabaseDumpOptions,
): Promise<DumpedDatabase> {
  const { members, compressor, signal } = options;
  const warnings: string[] = [];
  const dump = dumpCommand(database, snapshot, options, (line) => {
    const warning = /^pg_dump: warning: (.*)$/.exec(line)?.[1];
    if (warning !== undefined && warnings.length < maxWarnings)
      warnings.push(`database '${database.name}': ${warning}`);
  });
  // It reads the catalogs while the session does; nothing takes its output before the properties are written.
  const chain = startChain([dump, compressor.compress], { stdin: 'ignore', stdout: 'pipe', signal });
  try {
    const contents = await inspectDatabase(session);
    const properties = await readPropertiesByOid(session, database.oid);
    const text = renderProperties(database, properties, { versionNum: session.versionNum, afterForeignEncoding });
    if (text.includes('\ufffd'))
      warnings.push(`database '${database.name}': its properties hold text that is not valid UTF-8`);
    await members.write('properties', database.name, text);
    options.onContent();
    let counting: Promise<RowCounts> | undefined;
    const count = () => (counting ??= options.countRows ? countRows(session, contents.tables) : undefined);
    await members.pour('content', database.name, chain.stdout, 'pg_dump', () => {
      // The first bytes: pg_dump has all its locks now, so nobody waits for ours.
      void count();
      options.onContent();
    });
    await chain.finished;
    const counts = await count();
    const warning = counts?.warning ?? null;
    if (warning !== null) warnings.push(`database '${database.name}': ${warning}`);
    return { record: recordOf(snapshot, properties, contents, counts), warnings };
  } catch (error) {
    await chain.kill();
    throw error;
  }
}

const maxWarnings = 20;

function dumpCommand(
  { name, encoding }: DatabaseEntry,
  snapshot: Snapshot,
  options: DatabaseDumpOptions,
  onStderrLine: (line: string) => void,
): Command {
  const { tools, env, lockTimeoutMs, server } = options;
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
