/** Servers with data, and what activities stand on, without Temporal: for measuring the work alone. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { S3Server } from '../parts/s3-server.ts';
import { makeScratch } from '../parts/scratch.ts';
import { serverUser } from '../parts/server-user.ts';
import {
  startPostgres,
  type PostgresMajor,
  type PostgresServer,
  type PostgresWishes,
} from '../parts/postgres-server.ts';
import type { Dependencies } from '../src/activities/dependencies.ts';
import type { Working } from '../src/activities/working.ts';
import { parseConfig, type Config, type SecretReference } from '../src/domain/config.ts';
import { openKubernetes } from '../src/kubernetes/connection.ts';
import { findTool } from '../src/process/environment.ts';
import { initialiseRepository, openRepository } from '../src/storage/open.ts';
import type { Repository } from '../src/storage/repository.ts';
import { repositorySpec } from '../src/domain/specs.ts';
import { initialiseDirectory } from '../src/storage/initialise.ts';
import { findCompressors } from '../src/streams/compress.ts';

const run = promisify(execFile);

export const settings = {
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
  max_connections: '50',
};

/** One database with mostly text, numbers and times, as applications have them; about `megabytes` as plain dump. */
export async function fill(server: PostgresServer, database: string, megabytes: number): Promise<void> {
  await server.psql('postgres', `CREATE DATABASE ${database}`);
  await fillTable(server, database, 'events', megabytes);
}

/** The same in four tables of 40, 30, 20 and 10 %, the smaller three with references to the largest. */
export async function fillTables(server: PostgresServer, database: string, megabytes: number): Promise<void> {
  await server.psql('postgres', `CREATE DATABASE ${database}`);
  const shares = { events: 0.4, visits: 0.3, orders: 0.2, notes: 0.1 };
  for (const [table, share] of Object.entries(shares)) await fillTable(server, database, table, megabytes * share);
  for (const table of ['visits', 'orders', 'notes'])
    await server.psql(database, `ALTER TABLE ${table} ADD FOREIGN KEY (id) REFERENCES events`);
}

async function fillTable(server: PostgresServer, database: string, table: string, megabytes: number): Promise<void> {
  const rows = Math.round((megabytes * 1_000_000) / 150);
  await server.psql(
    database,
    `CREATE TABLE ${table} AS SELECT i AS id, md5(i::text) AS token, 'user ' || i % 5000 || ' opened page /articles/' || i % 977 AS message,
       timestamptz '2026-01-01Z' + i * interval '1 second' AS at, (i % 1000)::numeric / 7 AS amount FROM generate_series(1, ${String(rows)}) i;
     ALTER TABLE ${table} ADD PRIMARY KEY (id);
     CREATE INDEX ON ${table} (at);
     VACUUM ANALYZE ${table}`,
  );
}

/** About `gigabytes` of plain dump in little space: what counts is how much flows. */
export async function fillWithAir(server: PostgresServer, database: string, gigabytes: number): Promise<void> {
  await server.psql('postgres', `CREATE DATABASE ${database}`);
  await server.psql(
    database,
    `CREATE TABLE air AS SELECT i AS id, repeat(md5(i::text), 32768) AS body FROM generate_series(1, ${String(gigabytes * 1000)}) i`,
  );
}

/** About `gigabytes` in the data directory, made quickly: for what a base backup copies. */
export async function fillWithGround(server: PostgresServer, database: string, gigabytes: number): Promise<void> {
  await server.psql('postgres', `CREATE DATABASE ${database}`);
  await server.psql(
    database,
    `CREATE TABLE ground (id int, body text);
     ALTER TABLE ground ALTER body SET STORAGE EXTERNAL;
     INSERT INTO ground SELECT i, repeat(md5(i::text), 32768) FROM generate_series(1, ${String(Math.round(gigabytes * 950))}) i`,
  );
}

export interface Stage {
  readonly server: PostgresServer;
  readonly directory: string;
  readonly config: Config;
  readonly deps: Dependencies;
  readonly work: Working;
}

/** A server as in earnest: on a disk, every commit synced, every page with a checksum. */
export const inEarnest = { fsync: true, initdb: ['--data-checksums'] } satisfies Partial<PostgresWishes>;

/** A server, a repository and dependencies as a worker has them. */
export async function openStage(
  major: PostgresMajor,
  s3?: S3Server,
  wishes: Omit<PostgresWishes, 'major'> = {},
): Promise<Stage> {
  const server = await startPostgres({ major, ...wishes, settings: { ...settings, ...wishes.settings } });
  const scratch = await makeScratch('bench');
  // Instances run as another user where this is root's.
  await chmod(scratch, 0o711);
  const directory = join(scratch, 'backup');
  await mkdir(directory);
  await initialiseDirectory({ directory, now: new Date() });
  const { host, port } = server;
  const config = parseConfig({
    installation: 'bench',
    repositories: { nas: { directory }, ...(s3 === undefined ? {} : { s3: { s3: s3Section(s3) } }) },
    clusters: { bench: { server: { host, port, password: { env: 'PASSWORD' }, sslmode: 'disable' } } },
    policies: {
      all: { cluster: 'bench', method: 'pg_dumpall', repository: 'nas' },
      archives: { cluster: 'bench', method: 'pg_dump', repository: 'nas', prefix: 'archives' },
      foreign: {
        cluster: 'bench',
        method: 'pg_dumpall',
        repository: 'nas',
        prefix: 'foreign',
        path: 'left',
        adopt: { pattern: '*' },
      },
      base: { cluster: 'bench', method: 'base', repository: 'nas', prefix: 'base' },
      increments: { cluster: 'bench', method: 'base', repository: 'nas', prefix: 'increments', fullEvery: 100 },
      ...(s3 === undefined
        ? {}
        : {
            offsite: { cluster: 'bench', method: 'pg_dumpall', repository: 's3', prefix: 'offsite' },
            'base-offsite': { cluster: 'bench', method: 'base', repository: 's3', prefix: 'base-offsite' },
          }),
    },
    tools: { postgres: { [String(major)]: server.binDir } },
  });
  const path = process.env['PATH'] ?? '';
  const deps: Dependencies = {
    version: 'bench',
    config: () => Promise.resolve(config),
    leases: {
      acquire: () => Promise.resolve({ granted: true, inUse: [] }),
      giveBack: () => Promise.resolve(),
      closed: () => Promise.resolve([]),
    },
    self: { temporal: { address: '', namespace: '' }, pod: null, startedAt: new Date() },
    isServed: () => Promise.resolve(true),
    kubernetes: () => openKubernetes({}),
    openRepository: opener(s3),
    compressors: await findCompressors((name) => findTool(name, path), new AbortController().signal),
    scratch: join(directory, '..', 'scratch'),
    instances: { directory: join(directory, '..', 'instances'), runAs: serverUser() },
    host: hostname(),
    toolPlaces: ({ tools }) => ({ configured: tools.postgres, path }),
    secret: () => Promise.resolve(server.password),
    failpoint: () => Promise.resolve(),
  };
  if (s3 !== undefined)
    await initialiseRepository(
      repositorySpec(config, 's3'),
      ({ env }) => Promise.resolve(env === 'ID' ? s3.accessKeyId : s3.secretAccessKey),
      { now: new Date() },
    );
  return { server, directory, config, deps, work: { signal: new AbortController().signal, report: () => undefined } };
}

const s3Section = ({ bucket, endpoint, region }: S3Server) => ({
  bucket,
  endpoint,
  region,
  credentials: { accessKeyId: { env: 'ID' }, secretAccessKey: { env: 'SECRET' } },
});

/** The same repository for the same place, as a worker has it. */
function opener(s3: S3Server | undefined): Dependencies['openRepository'] {
  const opened = new Map<string, Repository>();
  const readSecret = ({ env }: SecretReference) =>
    Promise.resolve((env === 'ID' ? s3?.accessKeyId : s3?.secretAccessKey) ?? '');
  return (spec) => {
    const repository = opened.get(spec.name) ?? openRepository(spec, readSecret);
    opened.set(spec.name, repository);
    return repository;
  };
}

export async function close({ server, directory }: Pick<Stage, 'server' | 'directory'>): Promise<void> {
  await server.stop('immediate');
  await rm(dirname(directory), { recursive: true, force: true });
}

/** What one side left to be written isn't the other's to wait for. */
export async function settle(): Promise<void> {
  await run('sync');
}

/** Runs a line of shell with the server's own tools first on PATH; seconds. Every process of a pipe has to succeed. */
export async function shell({ server }: Pick<Stage, 'server'>, line: string): Promise<number> {
  const env = {
    PATH: `${server.binDir}:${process.env['PATH'] ?? ''}`,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: 'postgres',
    PGPASSWORD: server.password,
  };
  return seconds(async () => {
    await run('bash', ['-c', `set -euo pipefail; ${line}`], { env });
  });
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}
