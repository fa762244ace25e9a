import { join } from 'node:path';
import type { BaseManifest } from '../../domain/base-manifest.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { DrillCheckResult } from '../../domain/evidence.ts';
import { formatCount, oneLine } from '../../domain/format.ts';
import { compareReached, type Asked } from '../../domain/recovery-reached.ts';
import type { RecoveryChoice } from '../../domain/recovery-pick.ts';
import { formatLsn, segmentNumber, segmentStart } from '../../domain/wal.ts';
import type { Compressors } from '../../streams/compress.ts';
import { withSession, type Server } from '../connection.ts';
import type { RunAs } from '../instance/run-as.ts';
import { runningInstance, serverOf } from '../instance/start.ts';
import { fetchBase, type BaseSource } from '../recovery/fetch.ts';
import { promote } from '../recovery/promote.ts';
import { beginRecovery, type Reached, type RecoveryInput, type RecoveryProgress } from '../recovery/recover.ts';
import { verifyFetched } from '../recovery/verify-fetched.ts';
import type { WalSource } from '../recovery/wal-source.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { failed, passed } from './checks.ts';
import type { DrillRecovery } from './choose.ts';
import { drillPort } from './local-server.ts';
import type { DrillServer } from './logical.ts';
import { judged, laterOf, type Restored } from './outcome.ts';
import type { DrillPlace } from './place.ts';

export interface PhysicalDrill {
  readonly place: DrillPlace;
  readonly programs: ServerPrograms;
  readonly runAs: RunAs | undefined;
  readonly source: BaseSource;
  readonly compressors: Compressors;
  readonly recovery: DrillRecovery;
  readonly wal: WalSource;
  /** A role of the source, any that may log in, and a database that it has. */
  readonly who: { readonly user: string; readonly database: string };
  readonly signal: AbortSignal;
  readonly onFetch: (bytes: number) => void;
  readonly onReplay: (progress: RecoveryProgress) => void;
}

export interface PhysicalCopy extends Restored, DrillServer {
  /** Ends recovery: it takes writes from then on. Fails with RestoreFailed where it can't. */
  readonly takeWrites: () => Promise<void>;
}

/**
 * Fetches a base backup with its increments, proves its files by pg_verifybackup, and recovers it. It stands paused then,
 * open for reading. Every tablespace lies below the drill's own place.
 *
 * Fails as fetchBase, verifyFetched and beginRecovery do; `blames` tells what of it is about the backup.
 */
export async function restorePhysical(drill: PhysicalDrill): Promise<PhysicalCopy> {
  const { place, programs, runAs, recovery, signal } = drill;
  const chain = recovery.choice.chain.map(({ manifest }) => manifest);
  const { manifest } = recovery.choice.base;
  const begun = performance.now();
  await fetchBase({
    source: drill.source,
    chain,
    dataDirectory: place.dataDirectory,
    workDirectory: place.workDirectory,
    tablespaces: mapping(manifest, place),
    ...{ programs, runAs, signal },
    compressors: drill.compressors,
    onProgress: drill.onFetch,
  });
  const fetched = performance.now();
  await verifyFetched({ programs, dataDirectory: place.dataDirectory, runAs, signal });
  const verified = performance.now();
  const { reached, input } = await recoverAsSuperuser(recoveryInput(drill, manifest));
  // Nobody in a hurry would wait for pg_verifybackup.
  const restoreSeconds = (performance.now() - verified + (fetched - begun)) / 1000;
  const asked = askedOf(recovery.choice);
  const { verdict, words } = compareReached(asked, reached);
  const server: Server = {
    host: reached.socketDirectory,
    port: reached.port,
    sslmode: 'disable',
    ...input.who,
  };
  const { lsn, timeline, lastTransactionTime, stoppedBy } = reached;
  return {
    server,
    checks: [
      passed('pg_verifybackup', `${formatCount(chain.length, 'backup')} fetched, every file as PostgreSQL recorded it`),
      verdict === 'not reached' ? failed('recovery', words.join('; ')) : passed('recovery', words.join('; ')),
      ...(recovery.broken === null ? [] : [failed('archive', oneLine(recovery.broken))]),
      await openEach(server, signal),
    ],
    restoreSeconds,
    dataOf: laterOf(lastTransactionTime, manifest.serverFinishedAt),
    reached: { lsn, timeline, lastTransactionTime, stoppedBy, verdict },
    takeWrites: async () => {
      await promote(input);
    },
  };
}

/**
 * Base backups are often taken by a role that may do nothing else. Everybody is let into the copy over its own socket,
 * so that role says who is superuser, and recovery goes on where it was.
 */
async function recoverAsSuperuser(
  input: RecoveryInput,
): Promise<{ readonly reached: Reached; readonly input: RecoveryInput }> {
  let reached: Reached | undefined;
  let refusal: unknown;
  try {
    reached = await beginRecovery(input);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'PostgresRefused') throw error;
    refusal = error;
  }
  const user = await superuserOf(input);
  if (reached === undefined && (user === undefined || user === input.who.user)) throw refusal;
  const asSuperuser = { ...input, who: { ...input.who, user: user ?? input.who.user } };
  return { reached: reached ?? (await beginRecovery(asSuperuser)), input: asSuperuser };
}

/** The role itself, if it is one; undefined: none may log in. */
async function superuserOf({ dataDirectory, who, signal }: RecoveryInput): Promise<string | undefined> {
  const server = serverOf(await runningInstance(dataDirectory), who);
  const [row] = await withSession(server, { applicationName: 'holdfast drill', signal }, (session) =>
    session.query<{ readonly name: string }>(
      `SELECT rolname::text AS name FROM pg_roles WHERE rolsuper AND rolcanlogin
        ORDER BY rolname = current_user DESC, oid LIMIT 1`,
    ),
  );
  return row?.name;
}

const mapping = ({ tablespaces }: BaseManifest, place: DrillPlace) =>
  Object.fromEntries(tablespaces.map(({ oid }) => [String(oid), join(place.tablespaces, String(oid))]));

function recoveryInput(drill: PhysicalDrill, { server, settings }: BaseManifest): RecoveryInput {
  const { place, programs, runAs, recovery, wal, who, signal } = drill;
  const last = recovery.choice.runs.at(-1);
  return {
    ...{ programs, runAs, wal, who, signal },
    dataDirectory: place.dataDirectory,
    workDirectory: place.workDirectory,
    socketDirectory: place.socketDirectory,
    port: drillPort,
    sourceSettings: settings,
    systemIdentifier: server.systemIdentifier,
    segmentBytes: server.segmentBytes,
    last: last === undefined ? undefined : { timeline: last.timeline, number: last.last },
    target: recovery.choice.target,
    onProgress: drill.onReplay,
  };
}

/** What a choice asks for, in the numbers that are compared with what is reached. Pure. */
export function askedOf({ target, track, base, runs, end }: RecoveryChoice): Asked {
  const { segmentBytes } = track.archive;
  return {
    target,
    path: track.path,
    consistentLsn: base.manifest.stopLsn,
    lastSegmentLsn:
      runs.length === 0 ? null : formatLsn(segmentStart(segmentNumber(end.lsn - 1n, segmentBytes), segmentBytes)),
  };
}

/** Whether every database lets people in, and its catalog can be read. ToolMissing for a locale that isn't here. */
async function openEach(server: Server, signal: AbortSignal): Promise<DrillCheckResult> {
  const name = 'databases';
  const databases = await withSession(server, { applicationName: 'holdfast drill', signal }, (session) =>
    session.query<{ readonly name: string; readonly collation: boolean }>(
      `SELECT d.datname::text AS name,
         coalesce(d.datcollversion <> pg_database_collation_actual_version(d.oid), false) AS collation
       FROM pg_database d WHERE d.datallowconn AND d.datconnlimit <> -2 ORDER BY 1`,
    ),
  );
  const wrong: string[] = [];
  for (const { name: database } of databases) {
    try {
      await withSession(server, { database, applicationName: 'holdfast drill', signal }, (session) =>
        session.query('SELECT count(*), max(oid) FROM pg_class'),
      );
    } catch (error) {
      signal.throwIfAborted();
      const said = error instanceof Error ? error.message : String(error);
      if (said.includes('incompatible with operating system')) throw localeMissing(database, error);
      wrong.push(`'${database}': ${said}`);
    }
  }
  const sorted = databases.filter(({ collation }) => collation).map((database) => `'${database.name}'`);
  const note =
    sorted.length === 0
      ? ''
      : `; this machine sorts text otherwise than the source in ${sorted.slice(0, 5).join(', ')}: indexes on text need a REINDEX here`;
  return judged(name, wrong, `${formatCount(databases.length, 'database')} can be read${note}`);
}

const localeMissing = (database: string, cause: unknown) =>
  new HoldfastError(
    'ToolMissing',
    `the locale of database '${database}' is not installed on the worker's machine`,
    'install it there (Debian: locale-gen), or run the drill on a worker that has it: nothing was learned of the backup',
    { cause },
  );
