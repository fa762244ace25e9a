/** Backups by method pg_dump of real servers, kept as files. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import {
  writeDatabaseArchives,
  type ArchivesDump,
  type ArchiveSink,
  type ArchivesDumpRequest,
  type StoredArchive,
} from '../../../src/postgres/archive/write.ts';
import { requestOf } from '../dump/dumping.ts';
import { memorySink } from '../dump/memory-sink.ts';
import { createHash } from 'node:crypto';

export interface Kept {
  readonly directory: string;
  readonly scratch: string;
  /** Suffixes of sinks that were opened and neither finished nor aborted. */
  readonly open: Set<string>;
  readonly aborted: string[];
  remove(): void;
}

export function keep(): Kept {
  const base = mkdtempSync(join(tmpdir(), 'holdfast-archives-'));
  const directory = join(base, 'kept');
  mkdirSync(directory);
  return {
    ...{ directory, scratch: join(base, 'scratch'), open: new Set(), aborted: [] },
    remove: () => {
      rmSync(base, { recursive: true, force: true });
    },
  };
}

export const pathOf = ({ directory }: Kept, suffix: string) => join(directory, `test.${suffix}`);

/** @param onWrite called before each write; may throw as a full disk would */
export function fileSink(
  kept: Kept,
  suffix: string,
  onWrite: (offset: number) => void = () => undefined,
): ArchiveSink<StoredArchive> {
  const sink = memorySink(onWrite);
  kept.open.add(suffix);
  return {
    get offset() {
      return sink.offset;
    },
    write: (chunk) => sink.write(chunk),
    mark: () => {
      sink.mark();
    },
    rollback: () => sink.rollback(),
    finish: () => {
      const { bytes } = sink;
      writeFileSync(pathOf(kept, suffix), bytes);
      kept.open.delete(suffix);
      return Promise.resolve({ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
    },
    abort: () => {
      if (kept.open.delete(suffix)) kept.aborted.push(suffix);
      return Promise.resolve();
    },
  };
}

export type Wishes = Partial<Omit<ArchivesDumpRequest<StoredArchive>, 'scratch'>>;

export async function archivesOf(
  server: PostgresServer,
  kept: Kept,
  wishes: Wishes = {},
): Promise<ArchivesDump<StoredArchive>> {
  const request = await requestOf(server, {});
  return writeDatabaseArchives({
    ...request,
    ...{ format: 'custom', jobs: 2, compression: 'gzip' },
    open: (suffix) => Promise.resolve(fileSink(kept, suffix)),
    scratch: { root: kept.scratch, owner: { run: 'test', attempt: 2 } },
    ...wishes,
  });
}

/** Runs one of the server's own tools, as a person would; what it said on stderr. */
export function byHand(server: PostgresServer, line: string, ...args: string[]): Promise<string> {
  const env = {
    PATH: `${server.binDir}:${process.env['PATH'] ?? ''}`,
    LC_ALL: 'C.UTF-8',
    ...{ PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: 'postgres', PGDATABASE: 'postgres' },
  };
  return new Promise((resolve, reject) => {
    execFile(
      'bash',
      ['--norc', '-c', `set -o pipefail; ${line}`, 'bash', ...args],
      { env },
      (error, _stdout, stderr) => {
        if (error === null) resolve(stderr);
        else reject(new Error(`${line} failed: ${stderr}`, { cause: error }));
      },
    );
  });
}
