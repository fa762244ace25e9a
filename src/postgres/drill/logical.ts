import { statfs } from 'node:fs/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { formatBytes } from '../../domain/format.ts';
import type { Manifest } from '../../domain/manifest.ts';
import type { ClusterReport } from '../../domain/restore-report.ts';
import { ToolFailure } from '../../process/chain.ts';
import { withSession, type Server, type Session } from '../connection.ts';
import { createInstance } from '../instance/create.ts';
import type { RunAs } from '../instance/run-as.ts';
import { allowedSettings } from '../instance/settings.ts';
import { serverOf, startInstance } from '../instance/start.ts';
import { restoreCluster, type ClusterRestoreInput } from '../restore/cluster.ts';
import { compressorOf } from '../restore/cluster-input.ts';
import { memberText } from '../restore/member.ts';
import { preflightCluster } from '../restore/preflight.ts';
import { splitStatements } from '../restore/statements.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { clusterChecks, dataOfLogical, isNoRoom, type Restored } from './outcome.ts';
import type { DrillPlace } from './place.ts';
import { assertInside, makeTablespaces, tablespacesOf } from './tablespaces.ts';

export interface LogicalDrill extends Omit<ClusterRestoreInput, 'server' | 'failpoint'> {
  readonly place: DrillPlace;
  readonly programs: ServerPrograms;
  readonly runAs: RunAs | undefined;
}

/** A server that answers, and who may look at everything in it. */
export interface DrillServer {
  readonly server: Server;
}

/** Nobody listens there: it only names the socket, which lies in a directory of the drill's own. */
export const drillPort = 5432;

/**
 * Makes an empty server of the backup's own major version and restores the whole backup into it, compared with the
 * manifest. What isn't as it should be is in the checks.
 *
 * Fails with ToolMissing (a locale, an extension), StoreFull and whatever else keeps it from being made; with what
 * `blames` tells from these where the backup is no use.
 */
export async function restoreLogical(drill: LogicalDrill): Promise<Restored & DrillServer> {
  const { manifest, place, runAs, signal } = drill;
  await assertRoom(manifest, place.directory);
  const begun = performance.now();
  const server = await emptyServer(drill);
  const globals = await readGlobals(drill);
  await withSession(server, { applicationName: 'holdfast drill', signal }, async (session) => {
    await makeTablespaces(session, tablespacesOf(globals, manifest), place, runAs);
    await assertFitting(server, session, manifest);
  });
  const report = await restoreCluster({ ...drill, server });
  const restoreSeconds = (performance.now() - begun) / 1000;
  refuseNoRoom(report, place);
  const roles = await withSession(server, { applicationName: 'holdfast drill', signal }, async (session) => {
    await assertInside(session, place);
    return session.query<{ readonly name: string }>('SELECT rolname::text AS name FROM pg_roles');
  });
  const checks = clusterChecks(report, manifest, new Set(roles.map(({ name }) => name)));
  return { server, checks, restoreSeconds, dataOf: dataOfLogical(manifest), reached: null };
}

/** StoreFull at once, and not after an hour. A restored cluster takes about what its source took. */
async function assertRoom({ databases }: Manifest, directory: string): Promise<void> {
  const needed = databases.reduce((sum, { bytes, status }) => sum + (status === 'dumped' ? bytes : 0), 0);
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= needed) return;
  throw new HoldfastError(
    'StoreFull',
    `${directory} has ${formatBytes(bavail * bsize)} free, the backup's databases took ${formatBytes(needed)}`,
    'give the worker a larger directory for instances',
  );
}

/** The role that initdb made in the source makes it here: what hangs on its name then fits. */
async function emptyServer({ manifest, place, programs, runAs, signal }: LogicalDrill): Promise<Server> {
  const { dataDirectory, socketDirectory, logFile } = place;
  const user = manifest.server.bootstrapRole === '' ? 'postgres' : manifest.server.bootstrapRole;
  // Databases are made from template0 with locales of their own: this is template1's.
  const { encoding = '', collate = '' } = manifest.databases.find(({ name }) => name === 'template1') ?? {};
  try {
    await createInstance({
      ...{ programs, dataDirectory, runAs, superuser: user, signal },
      ...(encoding === '' ? {} : { encoding }),
      ...(collate === '' ? {} : { locale: collate }),
    });
  } catch (error) {
    throw localeMissing(error, collate);
  }
  const { settings } = allowedSettings({ programs, source: {}, control: {} });
  try {
    const instance = await startInstance(
      { ...{ programs, dataDirectory, socketDirectory, logFile, runAs, settings }, port: drillPort },
      { signal },
    );
    return serverOf(instance, { user, database: 'postgres' });
  } catch (error) {
    // Nothing of the backup is in it yet.
    if (!(error instanceof HoldfastError) || error.type !== 'RestoreFailed') throw error;
    throw new HoldfastError('ToolFailed', error.message, error.hint, { cause: error });
  }
}

function localeMissing(error: unknown, locale: string): unknown {
  const said = error instanceof ToolFailure ? error.exit.stderr : '';
  if (!/invalid locale (name|settings)|locale .* not (found|supported)/.test(said)) return error;
  return new HoldfastError(
    'ToolMissing',
    `locale '${locale}', which template1 of the backup has, is not installed on the worker's machine`,
    'install it there (Debian: locale-gen), or run the drill on a worker that has it',
    { cause: error },
  );
}

async function readGlobals(drill: LogicalDrill): Promise<ReturnType<typeof splitStatements>> {
  const part = drill.manifest.parts.find(({ name }) => name === 'globals');
  if (part === undefined)
    throw new HoldfastError('ObjectDamaged', "the backup's manifest lists no globals", 'take another backup');
  return splitStatements(await memberText(drill.read(part), compressorOf(drill, part), drill.signal));
}

/** ToolMissing, which names everything that the databases need and this machine lacks. */
async function assertFitting(server: Server, session: Session, manifest: Manifest): Promise<void> {
  const { needs } = await preflightCluster(server, session, { manifest });
  const lacking = needs.flatMap(({ database, extensions, locale }) => [
    ...(locale === null ? [] : [`database '${database}': ${locale}`]),
    ...extensions.first
      .filter(({ available }) => available === null)
      .map(({ name }) => `database '${database}': extension '${name}' is not installed`),
  ]);
  if (lacking.length === 0) return;
  throw new HoldfastError(
    'ToolMissing',
    `the worker's machine lacks what the backup needs: ${lacking.slice(0, 5).join('; ')}`,
    'install it there, or run the drill on a worker that has it: nothing was learned of the backup',
  );
}

/** A full disk of ours is no fault of the backup. */
function refuseNoRoom({ globals, databases }: ClusterReport, { directory }: DrillPlace): void {
  const reasons = [
    ...globals.errors.first.map(({ message }) => message),
    ...databases.map(({ reason }) => reason ?? ''),
  ];
  if (!reasons.some(isNoRoom)) return;
  throw new HoldfastError(
    'StoreFull',
    `the disk of ${directory} was full before the backup was restored`,
    'give the worker a larger directory for instances',
  );
}
