import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseRecord, Manifest, RoleRecord } from '../../domain/manifest.ts';
import type { Compressor } from '../../streams/compress.ts';
import { withSession } from '../connection.ts';
import { readIdentity, type ServerLook } from '../inspect.ts';
import type { Tools } from '../tools.ts';
import { asAttempt, type DumpAttempt } from './attempt.ts';
import { dumpDatabase, type DatabaseDumpOptions } from './database.ts';
import { clusterFooter, dumpGlobals } from './globals.ts';
import { Members, type DumpPart, type DumpSink } from './members.ts';
import {
  assertNotAllFailed,
  foreignTools,
  identityChanges,
  notDumped,
  reasonToSkip,
  recordOfFailure,
  unknownExclusions,
} from './records.ts';

export type { DumpPart, DumpSink } from './members.ts';

export interface ClusterDumpRequest extends DumpAttempt {
  readonly tools: Tools;
  readonly compressor: Compressor;
  /** Databases to leave out, by name. */
  readonly exclude: readonly string[];
  /** How long pg_dump waits for a table's lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** Count every table's rows in the dump's own snapshot. */
  readonly countRows: boolean;
  readonly sink: DumpSink;
  /** Longest silence of pg_dump or the sink, in milliseconds; default 30 minutes, or twice the lock time-out. */
  readonly stallMs?: number;
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

/** How long pg_dump may be silent: longer than it may wait for a lock. */
export const stallAfterMs = (lockTimeoutMs: number) => Math.max(defaultStallMs, 2 * lockTimeoutMs);

/**
 * Dumps a whole server into the sink: globals; for each database its properties and content; a footer; each a gzip
 * member or zstd frame of its own, together one script for psql. A database that fails is taken back, recorded with
 * its reason, and doesn't stop the others.
 *
 * Rejects with PostgresUnavailable, PostgresRefused, ToolMissing or ToolFailed (globals) where nothing more can be
 * dumped; with DumpFailed where every database failed; with the sink's own error; with the signal's reason. Nothing of
 * it runs any more then; what the sink holds is the caller's to throw away.
 */
export function writeClusterDump(request: ClusterDumpRequest): Promise<ClusterDump> {
  return asAttempt(request, (look, env) => dumpAll(look, env, request));
}

async function dumpAll(
  look: ServerLook,
  env: Readonly<Record<string, string>>,
  request: ClusterDumpRequest,
): Promise<ClusterDump> {
  const { sink, compressor, signal, tools, lockTimeoutMs } = request;
  const stallMs = request.stallMs ?? stallAfterMs(lockTimeoutMs);
  const members = new Members({ sink, compressor, signal, stallMs });
  const verdicts = look.databases.map((database) => ({
    database,
    skip: reasonToSkip(database, request.exclude, look),
  }));
  const total = verdicts.filter(({ skip }) => skip === null).length;
  const records: DatabaseRecord[] = [];
  const warnings = [...look.warnings, ...unknownExclusions(look, request.exclude), ...foreignTools(tools, look)];
  const { systemIdentifier } = look.server;
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
      systemIdentifier,
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
      const record = await recordOfFailure(database, error, { ...request, systemIdentifier });
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
