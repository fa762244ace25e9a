/** Real PostgreSQL servers of several major versions for the demo, the tests and the bench. */
import { execFile, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { availableMajors as found, findPostgres } from '../scripts/setup/places.mjs';
import { freePort } from './free-port.ts';
import { end, hasEnded, raise } from './offspring.ts';
import { lendPrograms, type Lent } from './lent-programs.ts';
import { makeScratch } from './scratch.ts';
import { serverUser } from './server-user.ts';

const run = promisify(execFile);
const START_TIMEOUT_MS = 180_000;

export type PostgresMajor = 15 | 16 | 17 | 18;

/** How a server is shut down, in PostgreSQL's own words. */
export type ShutdownMode = 'smart' | 'fast' | 'immediate';
const SHUTDOWN_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

export interface PostgresWishes {
  readonly major: PostgresMajor;
  /** Lines of postgresql.conf, values as they are meant, without quotes. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the superuser `postgres`; random by default. */
  readonly password?: string;
  /** Lines of pg_hba.conf that come before the usual ones, and so win. */
  readonly hba?: readonly string[];
  /** More arguments for initdb. */
  readonly initdb?: readonly string[];
  /** On disk and synced, as in earnest; by default neither: quick, and gone with the machine. */
  readonly fsync?: boolean;
}

export interface PostgresServer {
  readonly major: PostgresMajor;
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: 'postgres';
  readonly password: string;
  readonly dataDir: string;
  /** Where the socket lies; over it, whoever may look into the directory is let in without a password. */
  readonly socketDir: string;
  /** The client tools of this major (`pg_dump`, `pg_dumpall`, `psql`, `pg_restore`, …), callable as they stand. */
  readonly binDir: string;
  /** All programs of this major where the server's own user may run them, until the server is stopped for good. */
  readonly serverBinDir: string;
  readonly logFile: string;
  /** With the password in it. */
  url(database: string): string;
  /** Runs SQL (several statements, if need be) as superuser; returns the rows, unaligned, without a header. */
  psql(database: string, sql: string): Promise<string>;
  /** Shuts it down and keeps its data, for `start`. */
  halt(mode?: ShutdownMode): Promise<void>;
  /** Starts it again after `halt` or `kill`, on the same port. */
  start(): Promise<void>;
  restart(mode?: ShutdownMode): Promise<void>;
  /** SIGKILL for every process of it, as the out-of-memory killer would; `start` recovers it. */
  kill(): Promise<void>;
  /** Ends it and removes all that was its. Harmless when called twice. */
  stop(mode?: ShutdownMode): Promise<void>;
}

/** The major versions that `startPostgres` can start on this machine. */
export function availableMajors(): PostgresMajor[] {
  return found().filter((major): major is PostgresMajor => [15, 16, 17, 18].includes(major));
}

/**
 * Makes a cluster of its own (UTF-8, C.UTF-8, scram over TCP on the loopback address) and starts it. Started by root,
 * it runs as user postgres. It dies with this process, by an immediate shutdown.
 */
export async function startPostgres(wishes: PostgresWishes): Promise<PostgresServer> {
  const { major } = wishes;
  const installed = findPostgres(major);
  if (installed === undefined) {
    throw new Error(`there is no postgresql ${major.toString()} here. Type: node scripts/setup.mjs test`);
  }
  const password = wishes.password ?? randomBytes(12).toString('base64url');
  const owner = serverUser();
  const scratch = await makeScratch(`pg${major.toString()}`, { inMemory: wishes.fsync !== true, owner });
  const programs = await lendPrograms(installed, major, owner !== undefined);
  const dataDir = join(scratch, 'data');
  const socketDir = join(scratch, 'socket');
  const logFile = join(scratch, 'server.log');
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    if (server !== undefined && !hasEnded(server)) return;
    const command = join(programs.binDir, 'postgres');
    server = raise({ command, args: ['-D', dataDir], logFile, user: owner?.name, atOurDeath: 'QUIT' });
    await untilItServes(server, dataDir, logFile);
  };
  const halt = async (mode: ShutdownMode = 'fast'): Promise<void> => {
    if (server !== undefined) await end(server, SHUTDOWN_SIGNALS[mode], 60_000);
  };
  const stop = async (mode: ShutdownMode = 'fast'): Promise<void> => {
    await halt(mode);
    await forgetSharedMemory(dataDir);
    await rm(scratch, { recursive: true, force: true });
    await programs.giveBack();
  };

  let port: number;
  try {
    await initialize({ wishes, programs, dataDir, scratch, password, owner });
    await mkdir(socketDir);
    if (owner !== undefined) await chown(socketDir, owner.uid, owner.gid);
    port = await freePort();
    await configure(wishes, dataDir, { port, socketDir });
    await start();
  } catch (error) {
    await stop('immediate');
    throw error;
  }

  return {
    major,
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    dataDir,
    socketDir,
    binDir: installed.binDir,
    serverBinDir: programs.binDir,
    logFile,
    url: (database) =>
      `postgresql://postgres:${encodeURIComponent(password)}@127.0.0.1:${port.toString()}/${encodeURIComponent(database)}`,
    psql: (database, sql) => psql(installed.binDir, { socketDir, port, database, sql }),
    halt,
    start,
    async restart(mode) {
      await halt(mode);
      await start();
    },
    async kill() {
      if (server === undefined || hasEnded(server)) return;
      const family = [server.pid ?? 0, ...childrenOf(server.pid ?? 0)];
      const ended = end(server, 'SIGKILL');
      for (const pid of family) killQuietly(pid);
      await ended;
    },
    stop,
  };
}

interface Foundation {
  readonly wishes: PostgresWishes;
  readonly programs: Lent;
  readonly dataDir: string;
  readonly scratch: string;
  readonly password: string;
  readonly owner: ReturnType<typeof serverUser>;
}

async function initialize({ wishes, programs, dataDir, scratch, password, owner }: Foundation): Promise<void> {
  const passwordFile = join(scratch, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (owner !== undefined) await chown(passwordFile, owner.uid, owner.gid);
  const initdb = [
    ...[join(programs.binDir, 'initdb'), '--pgdata', dataDir, '--username', 'postgres', '--pwfile', passwordFile],
    ...['--encoding=UTF8', '--locale=C.UTF-8', '--auth-local=trust', '--auth-host=scram-sha-256'],
    ...(wishes.fsync === true ? [] : ['--no-sync']),
    ...(wishes.initdb ?? []),
  ];
  const identity = owner === undefined ? [] : [`--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups'];
  await run('setpriv', [...identity, '--', ...initdb], { cwd: '/' });
  await rm(passwordFile);
}

async function configure(
  { settings, hba, fsync }: PostgresWishes,
  dataDir: string,
  { port, socketDir }: { readonly port: number; readonly socketDir: string },
): Promise<void> {
  const all: Readonly<Record<string, string>> = {
    port: port.toString(),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDir,
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(fsync === true ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  await appendFile(join(dataDir, 'postgresql.conf'), lines.join(''));
  if (hba !== undefined) {
    const file = join(dataDir, 'pg_hba.conf');
    await writeFile(file, `${hba.join('\n')}\n${await readFile(file, 'utf8')}`);
  }
}

/** The postmaster writes its state into the last line of its file. */
async function untilItServes(server: ChildProcess, dataDir: string, logFile: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  const stateFile = join(dataDir, 'postmaster.pid');
  for (;;) {
    const lines = linesOf(stateFile);
    if (lines[0] === server.pid?.toString() && lines[7]?.trim() === 'ready') return;
    if (hasEnded(server) || Date.now() > deadline) {
      const said = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
      throw new Error(`postgresql in ${dataDir} did not start: ${said}`);
    }
    await sleep(10);
  }
}

/** None where there is no such file: a server that starts removes the one that a killed one left. */
function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

interface Question {
  readonly socketDir: string;
  readonly port: number;
  readonly database: string;
  readonly sql: string;
}

function psql(binDir: string, { socketDir, port, database, sql }: Question): Promise<string> {
  const env = {
    ...process.env,
    PGHOST: socketDir,
    PGPORT: port.toString(),
    PGUSER: 'postgres',
    PGDATABASE: database,
    PGOPTIONS: '--client-min-messages=warning',
  };
  const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-f', '-'];
  return new Promise((resolve, reject) => {
    const child = execFile(join(binDir, 'psql'), args, { env, maxBuffer: 256 * 1024 ** 2 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.replace(/\n$/, ''));
      else reject(new Error(`psql on ${database} failed: ${stderr.trim() || error.message}`, { cause: error }));
    });
    child.stdin?.on('error', () => undefined).end(sql);
  });
}

function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid.toString()}/task/${pid.toString()}/children`, 'utf8');
    return list.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone already
  }
}

/** A killed postmaster leaves its small System V segment behind; its file says which (line 7: key and id). */
async function forgetSharedMemory(dataDir: string): Promise<void> {
  const id = linesOf(join(dataDir, 'postmaster.pid'))[6]?.trim().split(/\s+/)[1];
  if (id !== undefined) await run('ipcrm', ['-m', id]).catch(() => undefined);
}
