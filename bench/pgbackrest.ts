/** pgBackRest beside us: in a directory of its own, as the server's user, and nothing outside. */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../parts/postgres-server.ts';
import { makeScratch } from '../parts/scratch.ts';
import { serverUser } from '../parts/server-user.ts';
import { findProgram } from '../scripts/setup/places.mjs';
import { seconds } from './stage.ts';

const run = promisify(execFile);

export interface PgBackRest {
  /** The server's user may write here. */
  readonly directory: string;
  /** Runs one of its commands; what it printed. */
  run(command: string, ...options: readonly string[]): Promise<string>;
  /** From now on the server's log is archived with it. */
  archive(): Promise<void>;
  /** From now on the server keeps its log, waiting to be archived. */
  hold(): Promise<void>;
  stop(): Promise<void>;
}

/** With zstd at level 1 and as many processes as there are cores. The server has to have archive_mode=on. */
export async function openPgBackRest(server: PostgresServer): Promise<PgBackRest> {
  const program = needed('pgbackrest');
  const directory = await makeScratch('pgbackrest', { owner: serverUser() });
  const config = join(directory, 'pgbackrest.conf');
  const lines = [
    '[global]',
    `repo1-path=${join(directory, 'repo')}`,
    'repo1-retention-full=1000',
    ...['compress-type=zst', 'compress-level=1', `process-max=${String(availableParallelism())}`, 'start-fast=y'],
    ...['archive-async=y', `spool-path=${join(directory, 'spool')}`, 'archive-push-queue-max=1TiB'],
    ...[`lock-path=${join(directory, 'lock')}`, 'log-level-file=off', 'log-level-console=warn'],
    '[bench]',
    `pg1-path=${server.dataDir}`,
    ...[`pg1-port=${String(server.port)}`, `pg1-socket-path=${server.socketDir}`, 'pg1-user=postgres'],
  ];
  await writeFile(config, `${lines.join('\n')}\n`, { mode: 0o644 });
  for (const name of ['repo', 'spool', 'lock', 'conf.d']) await asServerUser('mkdir', join(directory, name));
  const words = ['--stanza=bench', `--config=${config}`, `--config-include-path=${join(directory, 'conf.d')}`];
  const archiveCommand = async (command: string) => {
    await server.psql('postgres', `ALTER SYSTEM SET archive_command = '${command}'`);
    await server.psql('postgres', 'SELECT pg_reload_conf()');
  };
  const own: PgBackRest = {
    directory,
    run: (command, ...options) => asServerUser(program, ...words, ...options, command),
    archive: () => archiveCommand([program, ...words, 'archive-push', '%p'].join(' ')),
    hold: () => archiveCommand(''),
    async stop() {
      await own.run('stop', '--force');
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  await own.run('stanza-create');
  return own;
}

/** How long one of its commands takes, in seconds. */
export const timed = (theirs: PgBackRest, command: string, ...options: readonly string[]): Promise<number> =>
  seconds(() => theirs.run(command, ...options));

/** The full path of a program that set-up for the bench brings. */
export function needed(name: string): string {
  const program = findProgram(name);
  if (program === undefined) throw new Error(`there is no ${name} here. Type: node scripts/setup.mjs bench`);
  return program;
}

/** Runs a program as whoever runs the servers, with an environment that holds nothing of ours; what it printed. */
export async function asServerUser(program: string, ...args: readonly string[]): Promise<string> {
  return asServerUserWith({}, program, ...args);
}

export async function asServerUserWith(
  environment: Readonly<Record<string, string>>,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  const owner = serverUser();
  const identity = owner === undefined ? [] : [`--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups'];
  const { stdout } = await run('setpriv', [...identity, '--', program, ...args], {
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    maxBuffer: 64 * 1024 ** 2,
  });
  return stdout;
}

/** Below a directory of the server's user. */
export async function placeFor(parent: string, name: string): Promise<string> {
  const place = join(parent, name);
  await mkdir(place, { mode: 0o700 });
  const owner = serverUser();
  if (owner !== undefined) await run('chown', [owner.name, place]);
  return place;
}
