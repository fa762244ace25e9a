/**
 * Holdfast as its users have it: a Temporal server, PostgreSQL servers, a directory of backups, a configuration file,
 * workers and the command line, each a process of its own running what `npm run build` made.
 */
import { execFile, type ChildProcess } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { stringify } from 'yaml';
import { freePort } from './free-port.ts';
import { end, hasEnded, raise } from './offspring.ts';
import { startPostgres, type PostgresServer, type PostgresWishes } from './postgres-server.ts';
import { startS3, type S3Server, type S3Wishes } from './s3-server.ts';
import { makeScratch } from './scratch.ts';
import {
  startTemporalServer,
  temporalCli,
  type Spoken,
  type TemporalServer,
  type TemporalWishes,
} from './temporal-server.ts';

const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const startTimeoutMs = 180_000;

export interface WorkerWishes {
  /** Such as `take:staged=kill`. */
  readonly failpoints?: string;
  readonly slots?: number;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly healthUrl: string;
  readonly logFile: string;
  hasEnded(): boolean;
  /** Resolves once it has ended, by whatever cause. */
  ended(): Promise<void>;
  /** SIGTERM by default, and waits for its end. */
  end(signal?: NodeJS.Signals): Promise<void>;
  log(): Promise<string>;
}

export interface World {
  readonly temporal: TemporalServer;
  readonly client: Client;
  /** A directory of this world's own, for whatever a test wants to put aside. */
  readonly directory: string;
  /** The repository, already initialised. */
  readonly repository: string;
  readonly configFile: string;
  /** Passwords of the servers and whatever else the worker's environment holds. */
  readonly environment: Readonly<Record<string, string>>;
  addPostgres(name: string, wishes: PostgresWishes): Promise<PostgresServer>;
  /** Writes the configuration: this world's repository `nas` and its servers, and what is given here. */
  configure(more: Readonly<Record<string, unknown>>): Promise<void>;
  /** A real S3 server with an empty bucket; `configure` makes it a repository of this name. Workers get its keys. */
  addS3(name: string, wishes?: S3Wishes): Promise<S3Server>;
  /** Workers and commands that start from now on get these keys. */
  useKeys(name: string, keys: Pick<S3Server, 'accessKeyId' | 'secretAccessKey'>): void;
  startWorker(wishes?: WorkerWishes): Promise<WorkerProcess>;
  /** Runs `holdfast …` as a user would. */
  holdfast(...args: readonly string[]): Promise<Spoken>;
  /** Runs `temporal …` as a user would. */
  temporalCommand(...args: readonly string[]): Promise<Spoken>;
  stop(): Promise<void>;
}

export interface WorldWishes {
  readonly temporal?: TemporalWishes;
  /** Keep the directory and what is in it when the world ends. */
  readonly keep?: boolean;
  /** Where the backups go; a directory of the world's own by default. */
  readonly repository?: string;
}

/** Nothing of it is left after `stop()`, and everything dies with this process. */
export async function startWorld(wishes: WorldWishes = {}): Promise<World> {
  const directory = await makeScratch('world');
  // Whoever runs the instances of a worker that is root has to get to them.
  await chmod(directory, 0o711);
  const repository = wishes.repository ?? join(directory, 'backup');
  await mkdir(repository, { recursive: true });
  const configFile = join(directory, 'holdfast.yaml');
  const temporal = await startTemporalServer(wishes.temporal ?? {});
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const servers = new Map<string, PostgresServer>();
  const workers: ChildProcess[] = [];
  const buckets = new Map<string, S3Server>();
  const passwords: Record<string, string> = {};
  const environment = (): Record<string, string> => ({
    PATH: process.env['PATH'] ?? '',
    HOME: directory,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    HOLDFAST_CONFIG: configFile,
    ...passwords,
  });

  const world: World = {
    temporal,
    client,
    directory,
    repository,
    configFile,
    get environment() {
      return environment();
    },
    async addPostgres(name, postgresWishes) {
      const server = await startPostgres(postgresWishes);
      servers.set(name, server);
      passwords[passwordVariable(name)] = server.password;
      return server;
    },
    async addS3(name, s3Wishes) {
      const server = await startS3(s3Wishes);
      buckets.set(name, server);
      world.useKeys(name, server);
      return server;
    },
    useKeys(name, { accessKeyId, secretAccessKey }) {
      passwords[keyVariable(name, 'ID')] = accessKeyId;
      passwords[keyVariable(name, 'SECRET')] = secretAccessKey;
    },
    async configure(more) {
      const clusters = Object.fromEntries(
        [...servers].map(([name, { host, port, user }]) => [
          name,
          { server: { host, port, user, password: { env: passwordVariable(name) }, sslmode: 'disable' } },
        ]),
      );
      const postgres = Object.fromEntries(
        [...servers.values()].map(({ major, serverBinDir }) => [String(major), serverBinDir]),
      );
      const repositories = {
        nas: { directory: repository },
        ...Object.fromEntries([...buckets].map(([name, server]) => [name, { s3: s3Section(name, server) }])),
      };
      const config = {
        installation: 'world',
        repositories,
        clusters,
        tools: { postgres },
        ...more,
      };
      await writeFile(configFile, stringify(config));
      for (const name of Object.keys(repositories)) {
        const { code, stderr } = await world.holdfast('repositories', 'init', name);
        if (code !== 0) throw new Error(`repository ${name} was not initialised: ${stderr}`);
      }
    },
    async startWorker({ failpoints, slots = 2, args = [], environment: more = {} } = {}) {
      const port = await freePort();
      const healthUrl = `http://127.0.0.1:${String(port)}`;
      const logFile = join(directory, `worker-${String(workers.length + 1)}.log`);
      const child = raise({
        command,
        args: [
          ...['worker', '--health', `127.0.0.1:${String(port)}`, '--slots', String(slots)],
          ...['--instances', join(directory, 'instances'), ...args],
        ],
        environment: {
          ...environment(),
          ...(failpoints === undefined ? {} : { HOLDFAST_FAILPOINTS: failpoints }),
          ...more,
        },
        logFile,
        atOurDeath: 'KILL',
      });
      workers.push(child);
      await untilReady(child, `${healthUrl}/readyz`, logFile);
      return {
        pid: child.pid ?? 0,
        healthUrl,
        logFile,
        hasEnded: () => hasEnded(child),
        async ended() {
          while (!hasEnded(child)) await sleep(50);
        },
        end: (signal = 'SIGTERM') => end(child, signal, 60_000),
        log: () => readFile(logFile, 'utf8'),
      };
    },
    holdfast: (...args) => run(command, args, environment()),
    temporalCommand: (...args) => temporalCli(args, temporal),
    async stop() {
      for (const worker of workers) if (!hasEnded(worker)) await end(worker, 'SIGKILL');
      for (const server of servers.values()) await server.stop('immediate');
      for (const server of buckets.values()) await server.stop();
      await connection.close();
      await temporal.stop();
      if (wishes.keep !== true) await rm(directory, { recursive: true, force: true });
    },
  };
  return world;
}

const keyVariable = (name: string, part: 'ID' | 'SECRET') => `${name.toUpperCase().replaceAll('-', '_')}_${part}`;

/** As a holdfast.yaml has it: the keys by reference. */
const s3Section = (name: string, { bucket, endpoint, region }: S3Server) => ({
  bucket,
  endpoint,
  region,
  credentials: { accessKeyId: { env: keyVariable(name, 'ID') }, secretAccessKey: { env: keyVariable(name, 'SECRET') } },
});

const passwordVariable = (name: string) => `${name.toUpperCase().replaceAll('-', '_')}_PASSWORD`;

async function untilReady(child: ChildProcess, url: string, logFile: string): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // not listening yet
    }
    if (hasEnded(child) || Date.now() > deadline) {
      const log = await readFile(logFile, 'utf8');
      throw new Error(`the worker did not get ready: ${log.trimEnd().split('\n').slice(-5).join('\n')}`);
    }
    await sleep(50);
  }
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Spoken> {
  return new Promise((resolve) => {
    execFile(file, args, { env, maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
    });
  });
}
