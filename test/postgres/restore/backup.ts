/** A whole backup in memory, and its restore, as the engine does them. */
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import type { Manifest, Part } from '../../../src/domain/manifest.ts';
import { restoreCluster, type ClusterRestoreInput } from '../../../src/postgres/restore/cluster.ts';
import { verified } from '../../../src/streams/verified.ts';
import { compressors, dumpOf, toolsOf } from '../dump/dumping.ts';
import { addressOf } from '../swap/pair.ts';
import { stored } from './contents.ts';

export interface Backup {
  readonly manifest: Manifest;
  readonly bytes: Buffer;
  /** What the manifest's digests vouch for. */
  readonly read: (part: Part) => AsyncIterable<Uint8Array>;
}

export async function backupOf(server: PostgresServer): Promise<Backup> {
  const { dump, sink } = await dumpOf(server);
  const object = 'test.sql.gz';
  const manifest: Manifest = {
    ...{ version: 1, id: 'test', installation: 'test', cluster: 'test', policy: 'test', method: 'pg_dumpall' },
    ...{ startedAt: '2026-11-21T02:00:00Z', finishedAt: '2026-11-21T02:00:01Z', signature: null },
    run: { workflowId: 'test', firstExecutionRunId: 'test' },
    objects: [{ key: object, bytes: sink.bytes.length, sha256: '' }],
    ...dump,
    parts: dump.parts.map((part) => ({ ...part, object })),
    databases: [...dump.databases],
    roles: [...dump.roles],
    tablespaces: [...dump.tablespaces],
    warnings: [...dump.warnings],
  };
  return backupWith(manifest, sink.bytes);
}

export const backupWith = (manifest: Manifest, bytes: Buffer): Backup => ({
  manifest,
  bytes,
  read: ({ name, offset, length, sha256 }) =>
    verified(stored(bytes.subarray(offset, offset + length)), { name, bytes: length, sha256 }),
});

export const run = '1a2b3c4d';

/** Restores it into the server, unless wished otherwise. */
export async function restoreInto(server: PostgresServer, backup: Backup, wishes: Partial<ClusterRestoreInput> = {}) {
  return restoreCluster({
    ...{ server: addressOf(server), tools: await toolsOf(server), compressors: await compressors() },
    ...{ manifest: backup.manifest, read: backup.read, run, sessions: 2 },
    signal: new AbortController().signal,
    ...wishes,
  });
}
