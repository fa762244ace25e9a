/** What the tests of base backups, the archive and recovery have in common: moments that can be told apart. */
import type { WorkflowHandle } from '@temporalio/client';
import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { PostgresMajor, PostgresServer } from '../../parts/postgres-server.ts';
import type { S3Server } from '../../parts/s3-server.ts';
import { serverUser } from '../../parts/server-user.ts';
import { startWorld, type World, type WorldWishes } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { clusterAt } from './ledger.ts';
import { queried, start, untilFollowUp } from './runs.ts';

const run = promisify(execFile);

export interface Archiving {
  readonly world: World;
  readonly server: PostgresServer;
}

export interface ArchivingWishes {
  readonly major: PostgresMajor;
  readonly world?: WorldWishes;
  readonly settings?: Readonly<Record<string, string>>;
  /** Where base backups and log go; an S3 repository of this name is made where it isn't `nas`. */
  readonly repository?: string;
  /** More of the cluster's section. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  /** More of the policy `base`. */
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly initdb?: readonly string[];
  readonly fsync?: boolean;
}

/** A server with a table for notes, a cluster `main` that archives and a policy `base`; no worker yet. */
export async function startArchiving(
  wishes: ArchivingWishes,
): Promise<Archiving & { readonly store: S3Server | undefined }> {
  const { major, settings = {}, repository = 'nas', cluster = {}, policy = {} } = wishes;
  const world = await startWorld(wishes.world);
  const server = await world.addPostgres('main', {
    major,
    settings: { wal_level: 'replica', ...settings },
    ...(wishes.initdb === undefined ? {} : { initdb: wishes.initdb }),
    ...(wishes.fsync === undefined ? {} : { fsync: wishes.fsync }),
  });
  const store = repository === 'nas' ? undefined : await world.addS3(repository);
  await world.configure({
    clusters: { main: { ...clusterAt(server, 'main'), wal: { repository, maxAge: '1h' }, ...cluster } },
    policies: { base: { cluster: 'main', method: 'base', repository, window: '7d', ...policy } },
  });
  await server.psql('postgres', 'CREATE TABLE notes (text text)');
  return { world, server, store };
}

export const startArchive = (world: World, cluster = 'main'): Promise<WorkflowHandle> =>
  start(world, 'archiveWal', { cluster }, `wal/${cluster}`);

/** A committed row, and when and where it was committed: nothing is committed between it and the next moment. */
export interface Moment {
  readonly at: string;
  readonly lsn: string;
  readonly xid: string;
}

export async function note(server: Pick<PostgresServer, 'psql'>, text: string): Promise<Moment> {
  const answer = await server.psql(
    'postgres',
    `INSERT INTO notes VALUES ('${text}') RETURNING pg_current_xact_id()::text`,
  );
  const [xid = ''] = answer.split('\n');
  const place = await server.psql(
    'postgres',
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' ' || pg_current_wal_insert_lsn()`,
  );
  const [at = '', lsn = ''] = place.trim().split(' ');
  return { at, lsn, xid: xid.trim() };
}

export const systemOf = async (server: Pick<PostgresServer, 'psql'>): Promise<string> =>
  (await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()')).trim();

/** Where segments and histories of a cluster lie in a world's own repository. */
export const walDirectoryOf = async (world: World, server: Pick<PostgresServer, 'psql'>, cluster = 'main') =>
  join(world.repository, cluster, 'wal', await systemOf(server));

/** Ends the segment that is written right now; answers its name. */
export const endSegment = async (server: Pick<PostgresServer, 'psql'>): Promise<string> =>
  (await server.psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())')).trim();

/** Everything up to now is in the repository. Answers the name of the last segment. */
export async function untilArchived(
  world: World,
  server: Pick<PostgresServer, 'psql'>,
  cluster = 'main',
): Promise<string> {
  const segment = await endSegment(server);
  const file = join(await walDirectoryOf(world, server, cluster), segment.slice(0, 8), `${segment}.zst`);
  await until(async () => (await stat(file).catch(() => undefined)) !== undefined);
  return segment;
}

/** However long it takes: a test has its own limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(100);
}

/** Segments that lie in the repository, in order. */
export async function segmentsIn(world: World, server: Pick<PostgresServer, 'psql'>): Promise<string[]> {
  const files = await readdir(await walDirectoryOf(world, server), { recursive: true }).catch(() => []);
  return files.flatMap((file) => /([0-9A-F]{24})\.(zst|gz)$/.exec(file)?.[1] ?? []).sort();
}

/** A copy at its target, open for reading. */
export interface Copy {
  readonly handle: WorkflowHandle;
  /** Asks it, with the line that the run shows. */
  ask(sql: string): Promise<string>;
  /** What was noted up to the target. */
  notes(): Promise<string>;
  throwAway(): Promise<RecoverResult>;
}

export const recover = (world: World, target: unknown, more: object = {}): Promise<WorkflowHandle> =>
  start(world, 'recover', { cluster: 'main', target, ...more });

/** Begins a recovery and waits until it stands at its target. */
export async function recoverTo(world: World, target: unknown, more: object = {}): Promise<Copy> {
  return copyOf(world, await recover(world, target, more));
}

/** Waits until a recovery stands at its target. */
export async function copyOf(world: World, handle: WorkflowHandle): Promise<Copy> {
  await untilFollowUp<RecoveryPlan>(handle);
  const body = await detailsOf(world, handle.workflowId);
  const askCopy = (sql: string) => ask(body, sql);
  return {
    handle,
    ask: askCopy,
    notes: () => askCopy('SELECT coalesce(string_agg(text, $$,$$), $$$$) FROM notes'),
    async throwAway() {
      await handle.signal('throw-away', { by: 'alice', reason: 'seen enough' });
      return (await handle.result()) as RecoverResult;
    },
  };
}

/** What the Temporal UI shows of a run right now. */
export async function detailsOf(world: World, workflowId: string): Promise<string> {
  const handle = world.client.workflow.getHandle(workflowId);
  const metadata = await queried<{ readonly currentDetails?: string }>(handle, '__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}

async function ask(body: string, sql: string): Promise<string> {
  const [, line = ''] = /```\n(psql .*)\n```/.exec(body) ?? [];
  const [file = '', ...args] = line.split(' ');
  const { stdout } = await run(file, ['-X', '-A', '-t', '-q', '-c', sql, ...args], {
    ...identity(),
    env: { PATH: process.env['PATH'] ?? '' },
  });
  return stdout.trim();
}

const identity = () => {
  const user = serverUser();
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
};

/** Ends an instance that a test was left with, as its owner would. */
export async function stopInstance(server: Pick<PostgresServer, 'serverBinDir'>, dataDirectory: string): Promise<void> {
  await run(join(server.serverBinDir, 'pg_ctl'), ['stop', '-D', dataDirectory, '-m', 'immediate'], {
    ...identity(),
    cwd: '/',
  });
}

/** Command lines of processes that name a directory: what still works there. */
async function processesIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    // The worker itself is told where instances go.
    if (command.includes(directory) && !command.includes('dist/cli/main.js'))
      found.push(command.replaceAll('\0', ' ').trim());
  }
  return found;
}

export const instancesOf = (world: World) => join(world.directory, 'instances');

/** Ends a world together with the copies that were left in it: they outlive their workers on purpose. */
export async function stopArchiving({ world }: Pick<Archiving, 'world'>): Promise<void> {
  for (const pid of await postmastersIn(instancesOf(world))) process.kill(pid, 'SIGQUIT');
  await world.stop();
}

async function postmastersIn(directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    const [program = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
    if (program.endsWith('/postgres') && args[0] === '-D' && args[1]?.startsWith(directory) === true)
      found.push(Number(pid));
  }
  return found;
}

/** What recoveries have left on the machine: directories and processes. */
export async function leftOfRecoveries(world: World): Promise<string[]> {
  const directory = instancesOf(world);
  const entries = await readdir(directory).catch(() => []);
  return [...entries, ...(await processesIn(directory))];
}
