/** Base backups of real servers, unpacked and started with stock tools as a person would. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, chown, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../../parts/free-port.ts';
import { lendPrograms } from '../../../parts/lent-programs.ts';
import { type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import {
  takeBaseBackup,
  type BackupSink,
  type BaseBackupRequest,
  type BaseBackupTaken,
  type StoredBytes,
} from '../../../src/postgres/physical/base-backup.ts';
import { addressOf } from '../swap/pair.ts';

const run = promisify(execFile);

export interface FileSinks {
  readonly directory: string;
  readonly opened: readonly string[];
  readonly aborted: readonly string[];
  readonly open: (name: string) => Promise<BackupSink<StoredBytes>>;
}

/** Objects as files of a directory. @param onWrite before each write; may throw as a full disk would */
export function fileSinks(
  directory: string,
  onWrite: (name: string) => Promise<void> | void = () => undefined,
): FileSinks {
  const opened: string[] = [];
  const aborted: string[] = [];
  return {
    directory,
    opened,
    aborted,
    open: async (name) => {
      opened.push(name);
      const path = join(directory, name);
      const file = await open(path, 'wx');
      const hash = createHash('sha256');
      let bytes = 0;
      return {
        write: async (chunk) => {
          await onWrite(name);
          hash.update(chunk);
          bytes += chunk.length;
          await file.writeFile(chunk);
        },
        finish: async () => {
          await file.close();
          return { bytes, sha256: hash.digest('hex') };
        },
        abort: async () => {
          aborted.push(name);
          await file.close().catch(() => undefined);
          await rm(path, { force: true });
        },
      };
    },
  };
}

export interface Taken {
  readonly taken: BaseBackupTaken<StoredBytes>;
  readonly directory: string;
}

export async function take(
  server: Pick<PostgresServer, 'host' | 'port' | 'user' | 'password'>,
  directory: string,
  wishes: Partial<BaseBackupRequest<StoredBytes>> = {},
): Promise<Taken> {
  await mkdir(directory, { recursive: true });
  const taken = await takeBaseBackup({ ...requestOf(server, fileSinks(directory)), ...wishes });
  return { taken, directory };
}

export const requestOf = (
  server: Pick<PostgresServer, 'host' | 'port' | 'user' | 'password'>,
  sinks: FileSinks,
): BaseBackupRequest<StoredBytes> => ({
  server: addressOf(server as PostgresServer),
  applicationName: 'holdfast base backup test',
  signal: new AbortController().signal,
  label: "holdfast's test",
  checkpoint: 'fast',
  compression: { by: 'server', workers: 2 },
  open: sinks.open,
});

const tools = { zstd: 'zstd', lz4: 'lz4', gzip: 'gzip', none: 'cat' } as const;

/** Unpacks every archive: the data directory into `to`, tablespaces beside it; the manifest where PostgreSQL looks for it. */
export async function unpack({ taken, directory }: Taken, to: string, tablespaceTo?: (oid: number) => string) {
  const owner = serverUser();
  for (const { name, tablespace, compression } of taken.archives) {
    const target = tablespace === null ? to : (tablespaceTo ?? ((oid) => `${to}-${String(oid)}`))(tablespace);
    await mkdir(target, { recursive: true, mode: 0o700 });
    const decompress = compression === 'none' ? 'cat' : `${tools[compression]} -d -c`;
    await run('bash', ['-o', 'pipefail', '-c', `${decompress} < "$0" | tar -x -C "$1"`, join(directory, name), target]);
    if (owner !== undefined) await run('chown', ['-R', `${String(owner.uid)}:${String(owner.gid)}`, target]);
  }
  await writeFile(join(to, 'backup_manifest'), await readFile(join(directory, taken.backupManifest.name)));
  return to;
}

export const verifyBackup = ({ binDir }: { readonly binDir: string }, directory: string, ...args: string[]) =>
  run(join(binDir, 'pg_verifybackup'), [...args, directory]);

export interface Copy {
  readonly host: '127.0.0.1';
  readonly port: number;
  psql(sql: string, database?: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a server of its own on an unpacked backup and waits until it answers; it replays what lies in its pg_wal. */
export async function startCopy(major: number, dataDir: string): Promise<Copy> {
  const installed = findPostgres(major);
  if (installed === undefined) throw new Error(`no postgresql ${String(major)}`);
  const owner = serverUser();
  const programs = await lendPrograms(installed, major, owner !== undefined);
  const socketDir = await makeScratch('copy', { owner });
  const port = await freePort();
  await appendFile(
    join(dataDir, 'postgresql.auto.conf'),
    `\nport = ${String(port)}\nunix_socket_directories = '${socketDir}'\narchive_mode = off\nfsync = off\n`,
  );
  if (owner !== undefined) await chown(join(dataDir, 'postgresql.auto.conf'), owner.uid, owner.gid);
  const identity = owner === undefined ? [] : [`--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups'];
  const ctl = (...args: string[]) =>
    run('setpriv', [...identity, '--', join(programs.binDir, 'pg_ctl'), '-D', dataDir, ...args], { cwd: '/' });
  const stop = async () => {
    await ctl('stop', '-m', 'immediate', '-w').catch(() => undefined);
    await rm(socketDir, { recursive: true, force: true });
    await programs.giveBack();
  };
  const log = join(socketDir, 'log');
  try {
    await ctl('start', '-w', '-t', '60', '-l', log);
  } catch (error) {
    const said = await readFile(log, 'utf8').catch(() => '');
    await stop();
    throw new Error(`the copy did not start: ${said.slice(-2000)}`, { cause: error });
  }
  return {
    host: '127.0.0.1',
    port,
    psql: async (sql, database = 'postgres') => {
      const args = [
        '-XAtq',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        socketDir,
        '-p',
        String(port),
        '-U',
        'postgres',
        '-d',
        database,
      ];
      const { stdout } = await run(join(installed.binDir, 'psql'), [...args, '-c', sql]);
      return stdout.trimEnd();
    },
    stop,
  };
}

export const failureOf = (running: Promise<unknown>) =>
  running.then(
    () => {
      throw new Error('it went well');
    },
    (error: unknown) => error,
  );

export const walsendersOf = (server: PostgresServer) =>
  server.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'`);
