/** A real Temporal server for the demo, the tests and the bench. */
import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { findTemporal } from '../scripts/setup/places.mjs';
import { freePort } from './free-port.ts';
import { end, hasEnded, raise } from './offspring.ts';
import { makeScratch } from './scratch.ts';

const START_TIMEOUT_MS = 180_000;
const NAMESPACE = 'default';

export interface TemporalWishes {
  /** With the Web UI; without it by default. */
  readonly ui?: boolean;
  /** Where the server keeps its state; in memory by default. */
  readonly dbFile?: string;
  /** A free one by default. */
  readonly port?: number;
  /** What the server says, appended; by default it goes away with the server. */
  readonly logFile?: string;
  /** Registered before anybody connects. */
  readonly searchAttributes?: Readonly<
    Record<string, 'Keyword' | 'Text' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList'>
  >;
}

export interface TemporalServer {
  readonly address: string;
  readonly uiUrl: string | undefined;
  readonly namespace: string;
  /** Where the server came from: TEMPORAL_ADDRESS, a `temporal` on PATH, or the one in set-up's cache. */
  readonly source: 'given' | 'path' | 'cache';
  /** Kills it without warning and starts it again on the same port and file. Refused without a `dbFile`. */
  restart(): Promise<void>;
  /** Ends it; a server that was given is left alone. */
  stop(): Promise<void>;
}

/**
 * Starts a dev server on the loopback address and answers when it serves its namespace and search attributes. It dies
 * with this process. Where TEMPORAL_ADDRESS names a server, that one is used: nothing is started, and its search
 * attributes are its administrator's business.
 */
export async function startTemporalServer(wishes: TemporalWishes = {}): Promise<TemporalServer> {
  const found = findTemporal();
  if (found === undefined) throw new Error('there is no temporal server here. Type: node scripts/setup.mjs test');
  if (found.source === 'given') return given(found.address);

  const scratch = await makeScratch('temporal');
  const logFile = wishes.logFile ?? join(scratch, 'server.log');
  const port = wishes.port ?? (await freePort());
  const uiPort = wishes.ui === true ? await freePort() : undefined;
  const address = `127.0.0.1:${port.toString()}`;
  const args = [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', port.toString(), '--log-level', 'warn'],
    ...['--http-port', (await freePort()).toString(), '--metrics-port', (await freePort()).toString()],
    ...(uiPort === undefined ? ['--headless'] : ['--ui-ip', '127.0.0.1', '--ui-port', uiPort.toString()]),
    ...(wishes.dbFile === undefined ? [] : ['--db-filename', wishes.dbFile]),
    ...Object.entries(wishes.searchAttributes ?? {}).flatMap(([name, type]) => [
      '--search-attribute',
      `${name}=${type}`,
    ]),
  ];

  let server: ChildProcess;
  const start = async (): Promise<void> => {
    server = raise({ command: found.binary, args, logFile, atOurDeath: 'KILL' });
    try {
      await untilItServes(server, port, Object.keys(wishes.searchAttributes ?? {}));
    } catch (error) {
      await end(server, 'SIGKILL');
      throw new Error(`temporal server at ${address} did not start: ${complaints(logFile)}`, { cause: error });
    }
  };
  const clean = (): Promise<void> => rm(scratch, { recursive: true, force: true });

  try {
    await start();
  } catch (error) {
    await clean();
    throw error;
  }
  return {
    address,
    uiUrl: uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort.toString()}`,
    namespace: NAMESPACE,
    source: found.source,
    async restart() {
      if (wishes.dbFile === undefined)
        throw new Error('a temporal server in memory forgets all at a restart. Start it with dbFile');
      await end(server, 'SIGKILL');
      await start();
    },
    async stop() {
      await end(server, wishes.dbFile === undefined ? 'SIGKILL' : 'SIGTERM');
      await clean();
    },
  };
}

export interface Spoken {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the `temporal` command as a user would. Its exit code is part of the answer, never an exception. */
export function temporalCli(args: readonly string[], { address }: Pick<TemporalServer, 'address'>): Promise<Spoken> {
  const binary = findTemporal()?.binary;
  if (binary === undefined) throw new Error('there is no temporal command here. Put one on PATH');
  const env = { ...process.env, TEMPORAL_ADDRESS: address };
  return new Promise((resolve) => {
    execFile(binary, args, { env, maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

function given(address: string): TemporalServer {
  return {
    address,
    uiUrl: undefined,
    namespace: process.env['TEMPORAL_NAMESPACE'] ?? NAMESPACE,
    source: 'given',
    restart: () =>
      Promise.reject(new Error(`${address} was given by TEMPORAL_ADDRESS and is not ours to restart. Unset it`)),
    stop: () => Promise.resolve(),
  };
}

/** Serves means: its namespace is there, and so are the search attributes, which come a little later. */
async function untilItServes(server: ChildProcess, port: number, searchAttributes: readonly string[]): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await knock(port);
      const connection = await Connection.connect({ address: `127.0.0.1:${port.toString()}`, connectTimeout: 5_000 });
      try {
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: NAMESPACE });
        if (searchAttributes.every((name) => name in customAttributes)) return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (hasEnded(server)) throw new Error('it ended at once', { cause: error });
      if (Date.now() > deadline) throw new Error('it did not answer in time', { cause: error });
    }
    await sleep(25);
  }
}

/** gRPC waits a whole second after a refused connection; a bare socket doesn't. */
async function knock(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}

/** What it said of errors; a panic ends with a long trace. */
function complaints(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  const ofErrors = lines.filter((line) => /level=ERROR|^panic:|^fatal error:|^Error:/.test(line));
  return (ofErrors.length > 0 ? ofErrors.slice(0, 5) : lines.slice(-5)).join('\n');
}
