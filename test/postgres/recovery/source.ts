/** A real server that archives, its base backups in a repository, and its WAL as a recovery reads it. */
import { execFile } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import type { BaseArchive, BaseManifest } from '../../../src/domain/base-manifest.ts';
import { parseSegmentName, type SegmentId } from '../../../src/domain/wal.ts';
import { findTool } from '../../../src/process/environment.ts';
import type { WalSource } from '../../../src/postgres/recovery/wal-source.ts';
import { initialiseDirectory } from '../../../src/storage/initialise.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import type { Repository } from '../../../src/storage/repository.ts';
import { findCompressors, type Compressors } from '../../../src/streams/compress.ts';
import { lentServerPrograms, type LentPrograms } from '../instance/programs.ts';

const run = promisify(execFile);
const { signal } = new AbortController();

/** Small segments: tests fill many of them. */
export const segmentBytes = 1024 * 1024;

export interface Source {
  readonly server: PostgresServer;
  readonly lent: LentPrograms;
  readonly repository: Repository;
  readonly compressors: Compressors;
  readonly scratch: string;
  readonly archiveDirectory: string;
  readonly wal: WalSource;
  /** Takes a base backup with PostgreSQL's own tool, in tars compressed by the server. */
  readonly takeBase: (id: string, parent?: BaseManifest) => Promise<BaseManifest>;
  /** Ends the current segment and waits until it is archived; the last segment that is. */
  readonly archiveNow: () => Promise<SegmentId>;
  readonly end: () => Promise<void>;
}

export async function startSource(
  major: 15 | 17,
  settings: Readonly<Record<string, string>> = {},
  fsync = false,
): Promise<Source> {
  const runAs = serverUser();
  const scratch = await makeScratch(`rec${major.toString()}`, { inMemory: !fsync, owner: runAs });
  const archiveDirectory = join(scratch, 'archive');
  await mkdir(archiveDirectory, { mode: 0o700 });
  if (runAs !== undefined) await chown(archiveDirectory, runAs.uid, runAs.gid);
  const lent = await lentServerPrograms(major);
  const target = `${archiveDirectory}/%f`;
  const server = await startPostgres({
    major,
    initdb: [`--wal-segsize=${String(segmentBytes >> 20)}`],
    fsync,
    settings: {
      archive_mode: 'on',
      archive_command: `test ! -f ${target} && cp %p ${target}.new && mv ${target}.new ${target}`,
      max_connections: '30',
      ...(major >= 17 ? { summarize_wal: 'on' } : {}),
      ...settings,
    },
  });
  const repositoryDirectory = join(scratch, 'repository');
  await mkdir(repositoryDirectory);
  const repository = openDirectory({ directory: repositoryDirectory });
  await initialiseDirectory({ directory: repositoryDirectory, now: new Date() });
  const compressors = await findCompressors(findTool, signal);
  return {
    server,
    lent,
    repository,
    compressors,
    scratch,
    archiveDirectory,
    wal: walIn(archiveDirectory),
    takeBase: (id, parent) => takeBase({ server, repository, scratch, binDir: server.binDir }, id, parent),
    archiveNow: () => archiveNow(server, archiveDirectory),
    end: async () => {
      await server.stop('immediate');
      await lent.giveBack();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** What an archive_command left. */
export function walIn(directory: string): WalSource {
  return {
    segment: (name) => {
      const path = join(directory, name);
      return Promise.resolve(existsSync(path) ? createReadStream(path) : undefined);
    },
    history: async (timeline) => {
      const path = join(directory, `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`);
      return existsSync(path) ? readFile(path, 'utf8') : undefined;
    },
  };
}

async function lastArchived(directory: string): Promise<SegmentId | undefined> {
  const ids = (await readdir(directory)).flatMap((name) => parseSegmentName(name, segmentBytes) ?? []);
  return ids.sort((one, other) => one.timeline - other.timeline || Number(one.number - other.number)).at(-1);
}

async function archiveNow(server: PostgresServer, directory: string): Promise<SegmentId> {
  const name = await server.psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
  await server.psql('postgres', "SELECT pg_logical_emit_message(false, 'holdfast', 'x'); SELECT pg_switch_wal()");
  while (!existsSync(join(directory, name))) await new Promise((done) => setTimeout(done, 20));
  const last = await lastArchived(directory);
  if (last === undefined) throw new Error('nothing is archived');
  return last;
}

interface Taking {
  readonly server: PostgresServer;
  readonly repository: Repository;
  readonly scratch: string;
  readonly binDir: string;
}

async function takeBase(
  { server, repository, scratch, binDir }: Taking,
  id: string,
  parent: BaseManifest | undefined,
): Promise<BaseManifest> {
  const directory = join(scratch, `taken-${id}`);
  const manifestFile = parent === undefined ? [] : [`--incremental=${join(scratch, `manifest-${parent.id}`)}`];
  await run(
    join(binDir, 'pg_basebackup'),
    ['-D', directory, '-Ft', '-X', 'none', '-c', 'fast', '--compress=server-zstd:1', '--no-sync', ...manifestFile],
    { env: { ...process.env, PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: 'postgres' } },
  );
  const systemIdentifier = await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
  const owner = { run: id, attempt: 0 };
  const archives: BaseArchive[] = [];
  let backupManifest: BaseManifest['backupManifest'] | undefined;
  let ranges: { Timeline: number; 'Start-LSN': string; 'End-LSN': string }[] = [];
  for (const file of await readdir(directory)) {
    const bytes = await readFile(join(directory, file));
    const key = `infra/physical/${systemIdentifier}/${id}/${file}`;
    const stored = await repository.put(key, owner, bytes, signal);
    if (file === 'backup_manifest') {
      backupManifest = { ...stored, compression: 'none' };
      ranges = (JSON.parse(bytes.toString()) as { 'WAL-Ranges': typeof ranges })['WAL-Ranges'];
      await run('cp', [join(directory, file), join(scratch, `manifest-${id}`)]);
    } else {
      const tablespace = file.startsWith('base.') ? null : Number.parseInt(file, 10);
      archives.push({ ...stored, tablespace, compression: 'zstd', plainBytes: null });
    }
  }
  await rm(directory, { recursive: true });
  if (backupManifest === undefined) throw new Error('there is no backup_manifest');
  const tablespaces = JSON.parse(
    await server.psql(
      'postgres',
      `SELECT coalesce(json_agg(json_build_object('name', spcname, 'oid', oid::int, 'location', pg_tablespace_location(oid))), '[]')
       FROM pg_tablespace WHERE spcname !~ '^pg_'`,
    ),
  ) as BaseManifest['tablespaces'];
  const settings = JSON.parse(
    await server.psql('postgres', 'SELECT json_object_agg(name, setting) FROM pg_settings'),
  ) as Record<string, string>;
  const now = new Date().toISOString();
  const [range] = ranges;
  return {
    version: 1,
    id,
    installation: 'test',
    cluster: 'infra',
    policy: 'physical',
    method: 'base',
    status: 'complete',
    startedAt: now,
    finishedAt: now,
    run: { workflowId: 'w', firstExecutionRunId: 'r' },
    server: {
      version: String(server.major),
      versionNum: server.major * 10_000,
      systemIdentifier,
      inRecovery: false,
      segmentBytes,
      dataChecksums: false,
    },
    type: parent === undefined ? 'full' : 'incremental',
    parent: parent?.id ?? null,
    startLsn: range?.['Start-LSN'] ?? '0/0',
    startTimeline: range?.Timeline ?? 1,
    stopLsn: range?.['End-LSN'] ?? '0/0',
    stopTimeline: range?.Timeline ?? 1,
    serverStartedAt: now,
    serverFinishedAt: now,
    includesWal: false,
    archives,
    backupManifest,
    configuration: null,
    settings,
    objects: [...archives, backupManifest].map(({ key, bytes, sha256 }) => ({ key, bytes, sha256 })),
    databases: [],
    extensions: [],
    tablespaces,
    tools: {},
    warnings: [],
    signature: null,
  };
}
