import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseRecord, Manifest, RoleRecord } from '../../domain/manifest.ts';
import type { Compressor } from '../../streams/compress.ts';
import { withSession, withToolEnvironment, type Server } from '../connection.ts';
import { inspectServer, readIdentity, type DatabaseEntry, type ServerLook } from '../inspect.ts';
import { describeServer } from '../server.ts';
import type { Tools } from '../tools.ts';
import { dumpDatabase, type DatabaseDumpOptions } from './database.ts';
import { clusterFooter, dumpGlobals } from './globals.ts';
import { endLeftovers } from './leftovers.ts';
import { Members, type DumpPart, type DumpSink } from './members.ts';
import { reasonOf } from './reason.ts';
import { assertSameServer } from './snapshot.ts';

export type { DumpPart, DumpSink } from './members.ts';

export interface ClusterDumpRequest {
  readonly server: Server;
  readonly tools: Tools;
  readonly compressor: Compressor;
  /** Databases to leave out, by name. */
  readonly exclude: readonly string[];
  /** How long pg_dump waits for a table's lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** Count every table's rows in the dump's own snapshot. */
  readonly countRows: boolean;
  readonly sink: DumpSink;
  /**
   * Names this attempt in pg_stat_activity: ASCII, at most 63 characters, begins with 'holdfast '. Backends of that
   * name are ended before and after.
   */
  readonly applicationName: string;
  /** Names of earlier attempts: their backends are ended before. Never a later one's, which would be its end. */
  readonly earlierNames?: readonly string[];
  /** Longest silence of pg_dump or the sink, in milliseconds; default 30 minutes, or twice the lock time-out. */
  readonly stallMs?: number;
  readonly signal: AbortSignal;
  /** Called often: after every chunk. */
  readonly onProgress?: (progress: DumpProgress) => void;
}

export interface DumpProgress {
  readonly phase: 'globals' | 'properties' | 'content' | 'footer';
  /** null for globals and footer. */
  readonly database: string | null;
  /** Stored bytes of the whole file so far; less after a database that failed. */
  readonly bytes: number;
  readonly databasesDone: number;
  readonly databasesTotal: number;
}

/** What a manifest says about a dump; ids and keys are the caller's. */
export interface ClusterDump {
  readonly status: Manifest['status'];
  readonly server: Manifest['server'];
  readonly tools: Manifest['tools'];
  /** In the file's order; the offsets are the sink's. */
  readonly parts: readonly DumpPart[];
  /** In the file's order, the skipped and failed ones among them. */
  readonly databases: readonly DatabaseRecord[];
  readonly roles: readonly RoleRecord[];
  readonly tablespaces: ServerLook['tablespaces'];
  /** What a person should know though the dump went well, a sentence each. */
  readonly warnings: readonly string[];
}

const defaultStallMs = 30 * 60_000;

/**
 * Dumps a whole server into the sink: globals; for each database its properties and content; a footer; each a gzip
 * member or zstd frame of its own, together one script for psql. A database that fails is taken back, recorded with
 * its reason, and doesn't stop the others.
 *
 * Rejects with PostgresUnavailable, PostgresRefused, ToolMissing or ToolFailed (globals) where nothing more can be
 * dumped; with DumpFailed where every database failed; with the sink's own error; with the signal's reason. Nothing of
 * it runs any more then; what the sink holds is the caller's to throw away.
 */
export async function writeClusterDump(request: ClusterDumpRequest): Promise<ClusterDump> {
  const { server, applicationName, signal } = request;
  const look = await withSession(server, { signal }, async (session) => {
    await endLeftovers(session, [...(request.earlierNames ?? []), applicationName]);
    return inspectServer(session);
  });
  if (!look.canReadPasswords) throw notSuperuser(server);
  try {
    return await withToolEnvironment(server, { database: server.database, applicationName }, (env) =>
      dumpAll(look, env, request),
    );
  } catch (error) {
    // The server may be what failed: then nothing of ours goes on there for long, or the next attempt ends it.
    await withSession(server, {}, (session) => endLeftovers(session, [applicationName])).catch(() => undefined);
    throw signal.aborted ? signal.reason : error;
  }
}

const notSuperuser = (server: Server) =>
  new HoldfastError(
    'PostgresRefused',
    `'${server.user}' at ${describeServer(server)} may not read the passwords of roles, which belong to a backup of the whole server`,
    'connect as a superuser',
  );

async function dumpAll(
  look: ServerLook,
  env: Readonly<Record<string, string>>,
  request: ClusterDumpRequest,
): Promise<ClusterDump> {
  const { sink, compressor, signal, tools, lockTimeoutMs } = request;
  const stallMs = request.stallMs ?? Math.max(defaultStallMs, 2 * lockTimeoutMs);
  const members = new Members({ sink, compressor, signal, stallMs });
  const verdicts = look.databases.map((database) => ({
    database,
    skip: reasonToSkip(database, request.exclude, look),
  }));
  const total = verdicts.filter(({ skip }) => skip === null).length;
  const records: DatabaseRecord[] = [];
  const warnings = [...look.warnings, ...unknownExclusions(look, request.exclude), ...foreignTools(tools, look)];
  let done = 0;
  const report = (phase: DumpProgress['phase'], database: string | null) => {
    request.onProgress?.({ phase, database, bytes: sink.offset, databasesDone: done, databasesTotal: total });
  };

  report('globals', null);
  await members.write('globals', undefined, await dumpGlobals(request.server, tools, env, signal));
  let foreignEncoding = false;
  for (const { database, skip } of verdicts) {
    if (skip !== null) {
      records.push(notDumped(database, 'skipped', skip));
      continue;
    }
    report('properties', database.name);
    members.mark();
    const options: DatabaseDumpOptions = {
      ...{ server: request.server, tools, env, compressor, lockTimeoutMs, members, signal },
      systemIdentifier: look.server.systemIdentifier,
      applicationName: request.applicationName,
      countRows: request.countRows,
      onContent: () => {
        report('content', database.name);
      },
    };
    try {
      const dumped = await dumpDatabase(database, foreignEncoding, options);
      records.push({ ...database, ...dumped.record, status: 'dumped', reason: null });
      warnings.push(...dumped.warnings);
      foreignEncoding = database.encoding !== 'UTF8';
    } catch (error) {
      signal.throwIfAborted();
      if (members.broken !== undefined) throw members.broken.error;
      if (error instanceof HoldfastError && error.type === 'ToolMissing') throw error;
      const record = await recordOfFailure(database, error, look, request);
      await members.rollback();
      records.push(record);
    }
    done += 1;
  }
  assertNotAllFailed(request.server, records);
  report('footer', null);
  await members.write('footer', undefined, clusterFooter);
  warnings.push(...identityChanges(look.server, await withSession(request.server, { signal }, readIdentity)));
  return {
    status: records.some(({ status }) => status === 'failed') ? 'partial' : 'complete',
    server: look.server,
    tools: { pg_dump: tools.version, [compressor.name]: compressor.version },
    parts: members.parts,
    databases: records,
    roles: look.roles,
    tablespaces: look.tablespaces,
    warnings,
  };
}

function reasonToSkip({ name }: DatabaseEntry, exclude: readonly string[], { closed }: ServerLook): string | null {
  if (exclude.includes(name)) return 'the policy leaves it out';
  return closed.get(name) ?? null;
}

function unknownExclusions({ databases }: ServerLook, exclude: readonly string[]): string[] {
  const unknown = exclude.filter((name) => databases.every((database) => database.name !== name));
  return unknown.map((name) => `the policy leaves out '${name}', and there is no such database`);
}

function foreignTools(tools: Tools, { server }: ServerLook): string[] {
  const own = Math.floor(server.versionNum / 10_000);
  if (tools.major === own) return [];
  return [
    `the dump is written by pg_dump ${tools.version}: PostgreSQL ${String(own)} may not take all of it back; install the client tools of ${String(own)}`,
  ];
}

/** Asks the server once more: it fails itself where the server has gone, for then nothing more can be had from it. */
function recordOfFailure(
  database: DatabaseEntry,
  error: unknown,
  look: ServerLook,
  request: ClusterDumpRequest,
): Promise<DatabaseRecord> {
  const { server, applicationName, signal } = request;
  return withSession(server, { signal }, async (session) => {
    await assertSameServer(session, look.server.systemIdentifier);
    await endLeftovers(session, [applicationName]);
    const found = await session.query('SELECT FROM pg_database WHERE oid = $1', [database.oid]);
    if (found.length === 0) return notDumped(database, 'skipped', 'it was dropped while the backup ran');
    return notDumped(database, 'failed', reasonOf(error));
  });
}

const notDumped = (database: DatabaseEntry, status: 'skipped' | 'failed', reason: string): DatabaseRecord => ({
  ...database,
  ...{ status, reason, properties: null, snapshotAt: null, extensions: [], tables: [], roles: [], tablespaces: [] },
});

function assertNotAllFailed(server: Server, records: readonly DatabaseRecord[]): void {
  const tried = records.filter(({ status }) => status !== 'skipped');
  const first = tried[0];
  if (first === undefined || tried.some(({ status }) => status === 'dumped')) return;
  throw new HoldfastError(
    'DumpFailed',
    `no database of ${describeServer(server)} could be dumped; '${first.name}': ${first.reason ?? 'no reason on record'}`,
    'correct what the reason names; the others may have failed for another one',
  );
}

function identityChanges(before: Manifest['server'], after: Manifest['server']): string[] {
  return [
    ...(before.timeline === after.timeline
      ? []
      : [
          `the timeline went from ${String(before.timeline)} to ${String(after.timeline)} during the dump: a standby was promoted`,
        ]),
    ...(before.version === after.version
      ? []
      : [`the server's version went from ${before.version} to ${after.version} during the dump`]),
  ];
}
