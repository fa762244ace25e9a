/** Archiving of real servers into real repositories, and the servers' own segments to compare with. */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { receiveWal, type ReceiveResult } from '../../../src/postgres/wal/receive.ts';
import type { ReceiveInput } from '../../../src/postgres/wal/receiving.ts';
import { findTool } from '../../../src/process/environment.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import { initialiseDirectory } from '../../../src/storage/initialise.ts';
import type { Repository } from '../../../src/storage/repository.ts';
import { WalArchiveStore } from '../../../src/storage/wal/archive.ts';
import { listArchive, listSystemIdentifiers } from '../../../src/storage/wal/list.ts';
import { findCompressors, type Compressors } from '../../../src/streams/compress.ts';
import { segmentName, parseLsn } from '../../../src/domain/wal.ts';
import { addressOf } from '../swap/pair.ts';

export const mebibyte = 1024 * 1024;
export const slot = 'holdfast_test';
export const cluster = 'infra';

export const compressors = (): Promise<Compressors> => findCompressors(findTool, new AbortController().signal);

export interface Place {
  readonly directory: string;
  readonly repository: Repository;
  close(): Promise<void>;
}

/** A directory repository of its own. */
export async function makePlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-wal-'));
  await initialiseDirectory({ directory, now: new Date('2026-11-21T02:00:00Z') });
  return {
    directory,
    repository: openDirectory({ directory }),
    close: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface Running {
  /** Ends it well. */
  stop(): Promise<ReceiveResult>;
  readonly result: Promise<ReceiveResult>;
}

export async function sinkFor(repository: Repository, compression: 'zstd' | 'gzip' = 'zstd') {
  const found = await compressors();
  return (log: { readonly systemIdentifier: string; readonly segmentBytes: number }) =>
    new WalArchiveStore({ repository, cluster, compressors: found, compression, run: 'test', ...log });
}

/** Starts archiving; by default with reports and statuses in quick succession. */
export async function archive(
  server: Pick<PostgresServer, 'host' | 'port' | 'user' | 'password'>,
  repository: Repository,
  more: Partial<ReceiveInput> = {},
): Promise<Running> {
  const stopping = new AbortController();
  const sink = more.sink ?? (await sinkFor(repository));
  const input: ReceiveInput = {
    server: addressOf(server as PostgresServer),
    slot,
    signal: stopping.signal,
    reportMs: 50,
    statusMs: 1_000,
    ...more,
    sink,
  };
  const result = receiveWal(input);
  result.catch(() => undefined);
  const stop = () => {
    stopping.abort();
    return result;
  };
  started.push(stop);
  return { result, stop };
}

const started: (() => Promise<unknown>)[] = [];

/** After every test, whatever came of it. */
export async function stopAll(): Promise<void> {
  await Promise.allSettled(started.splice(0).map((stop) => stop()));
}

/** Asks again and again; the test's own time limit is the only one. Ends with the archiver's error where that fails. */
export async function until(running: Running | undefined, found: () => boolean | Promise<boolean>): Promise<void> {
  const failures: unknown[] = [];
  running?.result.catch((error: unknown) => {
    failures.push(error);
  });
  while (!(await found())) {
    if (failures.length > 0) throw failures[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const currentLsn = async (server: PostgresServer) =>
  parseLsn(await server.psql('postgres', 'SELECT pg_current_wal_flush_lsn()'));

/** Ends the segment that is being written; returns where the next begins. */
export async function switchWal(server: PostgresServer): Promise<bigint> {
  const [end = ''] = (
    await server.psql('postgres', 'CREATE TABLE IF NOT EXISTS filler (); DROP TABLE filler; SELECT pg_switch_wal()')
  ).split('\n');
  const size = BigInt(await server.psql('postgres', `SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'`));
  return ((parseLsn(end) + size - 1n) / size) * size;
}

/** Archives until everything that the server has written is in whole segments and stored. */
export async function catchUp(server: PostgresServer, repository: Repository, more: Partial<ReceiveInput> = {}) {
  const end = await switchWal(server);
  let archived = 0n;
  const running = await archive(server, repository, {
    ...more,
    onReport: (report) => {
      archived = report.archivedLsn ?? 0n;
      more.onReport?.(report);
    },
  });
  await until(running, () => archived >= end);
  return running.stop();
}

export async function listed(repository: Repository) {
  const [identifier = ''] = await listSystemIdentifiers(repository, cluster);
  return listArchive(repository, cluster, identifier, new AbortController().signal);
}

/** Every archived segment is, byte for byte, what lies in the server's pg_wal; returns their names. */
export async function compareWithServer(
  server: Pick<PostgresServer, 'dataDir'>,
  repository: Repository,
): Promise<readonly string[]> {
  const names: string[] = [];
  const found = await listed(repository);
  const { systemIdentifier, segmentBytes } = found;
  const store = (await sinkFor(repository))({ systemIdentifier, segmentBytes });
  const own = new Set(readdirSync(join(server.dataDir, 'pg_wal')));
  for (const [timeline, runs] of found.segments)
    for (const { first, last } of runs)
      for (let number = first; number <= last; number += 1n) {
        const name = segmentName(timeline, number, segmentBytes);
        if (!own.has(name)) throw new Error(`${name} is archived and not in pg_wal any more`);
        const stored = await bytesOf(store, name);
        if (!stored.equals(readFileSync(join(server.dataDir, 'pg_wal', name)))) throw new Error(`${name} differs`);
        names.push(name);
      }
  return names;
}

export async function bytesOf(store: WalArchiveStore, name: string): Promise<Buffer> {
  const body = await store.segment(name, new AbortController().signal);
  if (body === undefined) throw new Error(`${name} is not archived`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** No gap between the first and the last segment of any timeline. */
export async function expectNoGap(repository: Repository): Promise<void> {
  const { segments } = await listed(repository);
  for (const [timeline, runs] of segments)
    if (runs.length > 1) throw new Error(`timeline ${String(timeline)} has ${String(runs.length - 1)} gaps`);
}

export function pgbench(server: PostgresServer, ...args: string[]): Promise<void> {
  const environment = {
    PATH: process.env['PATH'],
    PGHOST: server.socketDir,
    PGPORT: String(server.port),
    PGUSER: 'postgres',
    PGDATABASE: 'postgres',
  };
  return new Promise((resolve, reject) => {
    execFile(join(server.binDir, 'pgbench'), args, { env: environment }, (error) => {
      if (error === null) resolve();
      else reject(new Error('pgbench failed', { cause: error }));
    });
  });
}
