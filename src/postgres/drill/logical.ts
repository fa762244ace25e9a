import { HoldfastError } from '../../domain/errors.ts';
import type { Manifest } from '../../domain/manifest.ts';
import type { ClusterReport } from '../../domain/restore-report.ts';
import { withSession, type Server, type Session } from '../connection.ts';
import { restoreCluster, type ClusterRestoreInput } from '../restore/cluster.ts';
import { compressorOf } from '../restore/cluster-input.ts';
import { memberText } from '../restore/member.ts';
import { preflightCluster } from '../restore/preflight.ts';
import { splitStatements } from '../restore/statements.ts';
import { clusterChecks, dataOfLogical, isNoRoom, type Restored } from './outcome.ts';
import { assertInside, type ScratchServer } from './scratch-server.ts';
import { makeTablespaces, tablespacesOf } from './tablespaces.ts';

export interface LogicalDrill extends Omit<ClusterRestoreInput, 'server' | 'failpoint'> {
  readonly scratch: ScratchServer;
  /** Names, from readTablespaces. */
  readonly tablespaces: readonly string[];
  /** By performance.now(), when the drill began to make the server. */
  readonly begunAt: number;
}

/** A server that answers, and who may look at everything in it. */
export interface DrillServer {
  readonly server: Server;
}

/** The tablespaces that a backup makes. Fails with DumpRefused and ObjectDamaged, which are the backup's own fault. */
export async function readTablespaces(
  drill: Pick<LogicalDrill, 'manifest' | 'read' | 'compressors' | 'signal'>,
): Promise<readonly string[]> {
  const part = drill.manifest.parts.find(({ name }) => name === 'globals');
  if (part === undefined)
    throw new HoldfastError('ObjectDamaged', "the backup's manifest lists no globals", 'take another backup');
  const globals = splitStatements(await memberText(drill.read(part), compressorOf(drill, part), drill.signal));
  return tablespacesOf(globals, drill.manifest);
}

/**
 * Restores the whole backup into an empty server, compared with the manifest. What isn't as it should be is in the
 * checks.
 *
 * Fails with ToolMissing (a locale, an extension), StoreFull and whatever else keeps it from being made; with what
 * `blames` tells from these where the backup is no use.
 */
export async function restoreLogical(drill: LogicalDrill): Promise<Restored & DrillServer> {
  const { manifest, scratch, signal } = drill;
  const { server } = scratch;
  await withSession(server, { applicationName: 'holdfast drill', signal }, async (session) => {
    await makeTablespaces(session, drill.tablespaces, scratch);
    await assertFitting(scratch, session, manifest);
  });
  const report = await restoreCluster({ ...drill, server });
  const restoreSeconds = (performance.now() - drill.begunAt) / 1000;
  refuseNoRoom(report, scratch);
  const roles = await withSession(server, { applicationName: 'holdfast drill', signal }, async (session) => {
    await assertInside(session, scratch);
    return session.query<{ readonly name: string }>('SELECT rolname::text AS name FROM pg_roles');
  });
  const checks = clusterChecks(report, manifest, new Set(roles.map(({ name }) => name)));
  return { server, checks, restoreSeconds, dataOf: dataOfLogical(manifest), reached: null };
}

/** ToolMissing, which names everything that the databases need and the server's machine lacks. */
async function assertFitting(
  { server, where, cure }: ScratchServer,
  session: Session,
  manifest: Manifest,
): Promise<void> {
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
    `${where} lacks what the backup needs: ${lacking.slice(0, 5).join('; ')}`,
    cure,
  );
}

/** A full disk of ours is no fault of the backup. */
function refuseNoRoom({ globals, databases }: ClusterReport, { disk }: ScratchServer): void {
  const reasons = [
    ...globals.errors.first.map(({ message }) => message),
    ...databases.map(({ reason }) => reason ?? ''),
  ];
  if (!reasons.some(isNoRoom)) return;
  throw new HoldfastError('StoreFull', `the disk of ${disk.name} was full before the backup was restored`, disk.cure);
}
