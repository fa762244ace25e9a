import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, fchownSync, openSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, rename } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Hex } from '../../domain/canonical.ts';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { childEnvironment } from '../../process/environment.ts';
import type { ServerPrograms } from '../server-programs.ts';
import type { Server } from '../server.ts';
import { logSize, readLog, reasonIn } from './log.ts';
import { readIfThere, readMark, writeLasting, writeMark } from './mark.ts';
import { whomToBecome, type RunAs } from './run-as.ts';
import { forcedSettings, renderSettings, type Settings } from './settings.ts';
import { instanceState, isPostmasterOf, type InstanceStatus } from './state.ts';

export interface InstanceInput {
  readonly programs: ServerPrograms;
  readonly dataDirectory: string;
  /** The instance's own: made here, 0700, for the socket and the configuration. Short: a socket's path has a limit. */
  readonly socketDirectory: string;
  readonly port: number;
  /** Whom to run as where the worker is root. */
  readonly runAs?: RunAs | undefined;
  /** From allowedSettings, and the caller's own. What forcedSettings holds wins. */
  readonly settings: Settings;
  /** Lines of its pg_hba.conf; default: everybody over the socket, which only the instance's user can reach. */
  readonly hba?: readonly string[];
  /** socket: no TCP at all, the default. loopback: 127.0.0.1 too. */
  readonly listen?: 'socket' | 'loopback';
  readonly logFile: string;
}

export interface StartOptions {
  readonly signal: AbortSignal;
  /** Called about every second with what the postmaster says, until it is ready. */
  readonly onWait?: (status: InstanceStatus) => void;
}

export interface Instance {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly logFile: string;
  /** Where in the log its latest start began. */
  readonly logFrom: number;
}

const usualHba = ['local all all trust'];
const configName = 'postgresql.conf';
/** sun_path of Linux, less its final NUL. */
const maxSocketPath = 107;

/**
 * Starts PostgreSQL on a data directory and waits until it lets people in (in recovery: until it is consistent, which
 * may take as long as the log is). It goes on when the worker ends, and any later worker finds it by its directory;
 * one that runs there already by our hand is waited for as it is.
 *
 * Configuration: a config_file, hba_file and ident_file of ours in the socket directory, so that none of the data
 * directory is read; what must not be is on the command line besides; the data directory's postgresql.auto.conf, which
 * PostgreSQL always reads, is moved to postgresql.auto.conf.of-source before the first start and an empty one put there.
 *
 * Fails with RestoreFailed, in the server's own words, where it dies; Busy where somebody else's server runs there;
 * InvalidArgument. An aborted signal leaves it running: stopInstance ends it.
 */
export async function startInstance(input: InstanceInput, options: StartOptions): Promise<Instance> {
  checkInput(input);
  const before = await instanceState(input.dataDirectory);
  if (before.pid !== undefined && before.mark === undefined) throw othersRun(input.dataDirectory, before.pid);
  if (before.pid !== undefined) {
    await untilReady(input.dataDirectory, before.pid, undefined, options);
    return runningInstance(input.dataDirectory);
  }
  options.signal.throwIfAborted();
  await prepare(input);
  const child = raise(input);
  await untilReady(input.dataDirectory, child.pid, child, options);
  return runningInstance(input.dataDirectory);
}

/** The instance that runs on a data directory by a worker's hand. Fails with RestoreFailed where none does. */
export async function runningInstance(dataDirectory: string): Promise<Instance> {
  const { pid, mark } = await instanceState(dataDirectory);
  if (pid !== undefined && mark !== undefined) {
    const { socketDirectory, port, logFile, logFrom } = mark;
    return { pid, dataDirectory, socketDirectory, port, logFile, logFrom };
  }
  const log = mark === undefined ? '' : await readLog(mark.logFile, mark.logFrom);
  throw new HoldfastError(
    'RestoreFailed',
    `no instance runs on ${dataDirectory}${log === '' ? '' : `: ${reasonIn(log)}`}`,
    mark === undefined ? 'start it' : `see its log, ${mark.logFile}`,
  );
}

/** How to reach it over its socket, as a role of the copy. */
export const serverOf = (
  { socketDirectory, port }: Pick<Instance, 'socketDirectory' | 'port'>,
  who: { readonly user: string; readonly database: string },
): Server => ({ host: socketDirectory, port, user: who.user, database: who.database, sslmode: 'disable' });

function checkInput({ socketDirectory, dataDirectory, logFile, port }: InstanceInput): void {
  for (const path of [socketDirectory, dataDirectory, logFile])
    if (!isAbsolute(path) || /[\0\n\r]/.test(path))
      throw new HoldfastError('InvalidArgument', `${JSON.stringify(path)} is no absolute path`, 'give a whole path');
  const socket = Buffer.byteLength(join(socketDirectory, `.s.PGSQL.${String(port)}`));
  if (socket > maxSocketPath || socketDirectory.includes(','))
    throw new HoldfastError(
      'InvalidArgument',
      `${socketDirectory} can't hold a socket: its path ${socket > maxSocketPath ? `would be ${String(socket)} bytes long, ${String(maxSocketPath)} is the limit` : 'has a comma'}`,
      'choose a shorter directory for instances',
    );
}

function configOf({ programs, settings, port, listen, socketDirectory }: InstanceInput): string {
  return renderSettings({
    ...settings,
    ...forcedSettings(programs.major),
    port: String(port),
    listen_addresses: listen === 'loopback' ? '127.0.0.1' : '',
    unix_socket_directories: socketDirectory,
    unix_socket_permissions: '0700',
    hba_file: join(socketDirectory, 'pg_hba.conf'),
    ident_file: join(socketDirectory, 'pg_ident.conf'),
  });
}

/** Tells, by the mark, whether a running instance was started with these settings. */
export const settingsDigest = (input: InstanceInput) => sha256Hex(configOf(input));

/** Writes the configuration of an instance that runs; it reads it when told to, or at its next start. */
export async function rewriteSettings(input: InstanceInput): Promise<void> {
  const owner = whomToBecome(input.runAs);
  await writeLasting(join(input.socketDirectory, configName), configOf(input), owner);
  const mark = await readMark(input.dataDirectory);
  if (mark !== undefined) await writeMark(input.dataDirectory, { ...mark, settings: settingsDigest(input) }, owner);
}

async function prepare(input: InstanceInput): Promise<void> {
  const { dataDirectory, socketDirectory, logFile, port, programs } = input;
  const owner = whomToBecome(input.runAs);
  await ownDirectory(socketDirectory, owner);
  await quietAutoConf(dataDirectory, owner);
  const config = configOf(input);
  await writeLasting(join(socketDirectory, 'pg_hba.conf'), `${(input.hba ?? usualHba).join('\n')}\n`, owner);
  await writeLasting(join(socketDirectory, 'pg_ident.conf'), '', owner);
  await writeLasting(join(socketDirectory, configName), config, owner);
  const mark = {
    version: 1 as const,
    ...{ socketDirectory, port, logFile },
    postgres: programs.postgres,
    major: programs.major,
    logFrom: await logSize(logFile),
    settings: settingsDigest(input),
    startedAt: new Date().toISOString(),
  };
  await writeMark(dataDirectory, mark, owner);
}

/** The directory, 0700 and the instance's own; refused where somebody else's lies there, or a link. */
async function ownDirectory(path: string, owner: RunAs | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== (owner?.uid ?? process.geteuid?.()))
    throw new HoldfastError(
      'InvalidArgument',
      `${path} is no directory of the user that the instance runs as`,
      'remove it, or choose another directory for the socket',
    );
  await chmod(path, 0o700);
}

/** Once: what somebody sets by ALTER SYSTEM in the copy stays. */
async function quietAutoConf(dataDirectory: string, owner: RunAs | undefined): Promise<void> {
  const path = join(dataDirectory, 'postgresql.auto.conf');
  if ((await readMark(dataDirectory)) !== undefined) return;
  const aside = `${path}.of-source`;
  if ((await readIfThere(aside)) === undefined && (await readIfThere(path)) !== undefined) await rename(path, aside);
  await writeLasting(path, '', owner);
}

/** In a session of its own, with nothing of ours but the log: it needs nobody to live. */
function raise(input: InstanceInput): ChildProcess {
  const { programs, dataDirectory, socketDirectory, logFile } = input;
  const owner = whomToBecome(input.runAs);
  const forced = Object.entries(forcedSettings(programs.major)).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const args = ['-D', dataDirectory, '-c', `config_file=${join(socketDirectory, configName)}`, ...forced];
  const log = openSync(
    logFile,
    constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    if (owner !== undefined) fchownSync(log, owner.uid, owner.gid);
    const child = spawn(programs.postgres, args, {
      stdio: ['ignore', log, log],
      detached: true,
      cwd: '/',
      env: childEnvironment(),
      ...(owner ?? {}),
    });
    child.on('error', () => undefined);
    child.unref();
    return child;
  } catch (error) {
    throw new HoldfastError(
      'ToolFailed',
      `${programs.postgres} could not be started: ${messageOf(error)}`,
      "look at the worker's limits on processes, open files and memory",
      { cause: error },
    );
  } finally {
    closeSync(log);
  }
}

const pollMs = 25;
const slowPollMs = 250;

async function untilReady(
  dataDirectory: string,
  pid: number | undefined,
  child: ChildProcess | undefined,
  { signal, onWait }: StartOptions,
): Promise<void> {
  const began = Date.now();
  let told = began;
  for (;;) {
    const isGone = child === undefined ? !(await isPostmasterOf(pid ?? 0, dataDirectory)) : hasEnded(child);
    const { status, pid: found } = await instanceState(dataDirectory);
    if (status === 'ready' && found === pid) return;
    if (isGone) throw await died(dataDirectory, pid);
    if (Date.now() - told >= 1_000) {
      told = Date.now();
      onWait?.(status);
    }
    await sleep(Date.now() - began < 5_000 ? pollMs : slowPollMs, undefined, { signal }).catch(() => {
      signal.throwIfAborted();
    });
  }
}

const hasEnded = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

async function died(dataDirectory: string, pid: number | undefined): Promise<HoldfastError> {
  const mark = await readMark(dataDirectory);
  const log = mark === undefined ? '' : await readLog(mark.logFile, mark.logFrom);
  const why = pid === undefined ? `${mark?.postgres ?? 'postgres'} can't be run by its user` : reasonIn(log);
  return new HoldfastError(
    'RestoreFailed',
    `the instance on ${dataDirectory} died: ${why}`,
    `see its log, ${mark?.logFile ?? ''}`,
  );
}

const othersRun = (dataDirectory: string, pid: number) =>
  new HoldfastError(
    'Busy',
    `a server that Holdfast didn't start runs on ${dataDirectory} (process ${String(pid)})`,
    'stop it first, or choose another directory',
  );
