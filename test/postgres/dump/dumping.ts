/** Dumps of real servers, and the same servers' own tools to compare with. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { findTool } from '../../../src/process/environment.ts';
import type { Manifest } from '../../../src/domain/manifest.ts';
import { writeClusterDump, type ClusterDump, type ClusterDumpRequest } from '../../../src/postgres/dump/write.ts';
import { findTools } from '../../../src/postgres/tools.ts';
import { findCompressors, type Compressors } from '../../../src/streams/compress.ts';
import { addressOf } from '../swap/pair.ts';
import { memorySink, type MemorySink } from './memory-sink.ts';

export const compressors = (): Promise<Compressors> => findCompressors(findTool, new AbortController().signal);

export const toolsOf = ({ major, binDir }: PostgresServer) =>
  findTools(major * 10_000, { configured: { [String(major)]: binDir }, path: '' });

export interface Dumped {
  readonly dump: ClusterDump;
  readonly sink: MemorySink;
}

export async function dumpOf(server: PostgresServer, wishes: Partial<ClusterDumpRequest> = {}): Promise<Dumped> {
  const sink = memorySink();
  const dump = await writeClusterDump(await requestOf(server, { sink, ...wishes }));
  return { dump, sink };
}

export async function requestOf(
  server: PostgresServer,
  wishes: Partial<ClusterDumpRequest>,
): Promise<ClusterDumpRequest> {
  return {
    server: addressOf(server),
    tools: await toolsOf(server),
    compressor: (await compressors()).gzip,
    exclude: [],
    lockTimeoutMs: 60_000,
    countRows: true,
    sink: memorySink(),
    applicationName: 'holdfast backup test',
    signal: new AbortController().signal,
    ...wishes,
  };
}

/** One part's text, unpacked alone. */
export function textOf({ dump, sink }: Dumped, name: Manifest['parts'][number]['name'], database?: string): string {
  const part = dump.parts.find((each) => each.name === name && each.database === database);
  if (part === undefined) throw new Error(`no ${name} of ${database ?? 'the cluster'}`);
  return gunzipSync(sink.slice(part)).toString();
}

export const recordOf = ({ dump }: Dumped, database: string) => {
  const found = dump.databases.find(({ name }) => name === database);
  if (found === undefined) throw new Error(`no record of ${database}`);
  return found;
};

/** Pipes a script into plain psql, as a person would, and returns what it complained about. */
export function restore(server: PostgresServer, script: Buffer | string, database = 'postgres'): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      join(server.binDir, 'psql'),
      ['-X', '-q', '-o', '/dev/null'],
      { env: toolEnv(server, database), maxBuffer: 64 * 1024 ** 2 },
      (error, _stdout, stderr) => {
        // Its exit code tells nothing about errors in the script.
        if (error !== null && typeof error.code !== 'number') reject(new Error('psql was not run', { cause: error }));
        else resolve(stderr.split('\n').filter((line) => line !== ''));
      },
    );
    child.stdin?.on('error', () => undefined).end(script);
  });
}

const toolEnv = (server: PostgresServer, database: string) => ({
  PATH: process.env['PATH'],
  LC_ALL: 'C.UTF-8',
  PGHOST: server.socketDir,
  PGPORT: String(server.port),
  PGUSER: 'postgres',
  PGDATABASE: database,
});

/** What PostgreSQL's own tool prints, without the random keys of its fences. */
export function printed(server: PostgresServer, tool: 'pg_dump' | 'pg_dumpall', database: string, ...args: string[]) {
  return new Promise<string>((resolve, reject) => {
    execFile(
      join(server.binDir, tool),
      args,
      { env: toolEnv(server, database), maxBuffer: 64 * 1024 ** 2 },
      (error, stdout) => {
        if (error === null) resolve(withoutKeys(stdout));
        else reject(new Error(`${tool} failed`, { cause: error }));
      },
    );
  });
}

export const withoutKeys = (script: string) => script.replace(/^\\(un)?restrict \w+$/gm, '\\$1restrict');
