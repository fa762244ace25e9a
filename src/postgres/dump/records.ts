import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseRecord, Manifest } from '../../domain/manifest.ts';
import { withSession, type Server } from '../connection.ts';
import type { DatabaseEntry, ServerLook } from '../inspect.ts';
import { describeServer } from '../server.ts';
import type { Tools } from '../tools.ts';
import { endLeftovers } from './leftovers.ts';
import { reasonOf } from './reason.ts';
import { assertSameServer } from './snapshot.ts';

/** Why a database isn't dumped at all; null: it is. */
export function reasonToSkip(
  { name }: DatabaseEntry,
  exclude: readonly string[],
  { closed }: ServerLook,
): string | null {
  if (exclude.includes(name)) return 'the policy leaves it out';
  return closed.get(name) ?? null;
}

export function unknownExclusions({ databases }: ServerLook, exclude: readonly string[]): string[] {
  const unknown = exclude.filter((name) => databases.every((database) => database.name !== name));
  return unknown.map((name) => `the policy leaves out '${name}', and there is no such database`);
}

export function foreignTools(tools: Tools, { server }: ServerLook): string[] {
  const own = Math.floor(server.versionNum / 10_000);
  if (tools.major === own) return [];
  return [
    `the dump is written by pg_dump ${tools.version}: PostgreSQL ${String(own)} may not take all of it back; install the client tools of ${String(own)}`,
  ];
}

export interface FailedDump {
  readonly server: Server;
  readonly systemIdentifier: string;
  readonly applicationName: string;
  readonly signal: AbortSignal;
}

/** Asks the server once more: it fails itself where the server has gone, for then nothing more can be had from it. */
export function recordOfFailure(database: DatabaseEntry, error: unknown, dump: FailedDump): Promise<DatabaseRecord> {
  const { server, systemIdentifier, applicationName, signal } = dump;
  return withSession(server, { signal }, async (session) => {
    await assertSameServer(session, systemIdentifier);
    await endLeftovers(session, [applicationName], database.oid);
    const found = await session.query('SELECT FROM pg_database WHERE oid = $1', [database.oid]);
    if (found.length === 0) return notDumped(database, 'skipped', 'it was dropped while the backup ran');
    return notDumped(database, 'failed', reasonOf(error));
  });
}

export const notDumped = (database: DatabaseEntry, status: 'skipped' | 'failed', reason: string): DatabaseRecord => ({
  ...database,
  ...{ status, reason, properties: null, snapshotAt: null, extensions: [], tables: [], roles: [], tablespaces: [] },
});

/** DumpFailed where there were databases to dump, and none was. */
export function assertNotAllFailed(server: Server, records: readonly DatabaseRecord[]): void {
  const tried = records.filter(({ status }) => status !== 'skipped');
  const first = tried[0];
  if (first === undefined || tried.some(({ status }) => status === 'dumped')) return;
  throw new HoldfastError(
    'DumpFailed',
    `no database of ${describeServer(server)} could be dumped; '${first.name}': ${first.reason ?? 'no reason on record'}`,
    'correct what the reason names; the others may have failed for another one',
  );
}

export function identityChanges(before: Manifest['server'], after: Manifest['server']): string[] {
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
