import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { Manifest, Part } from '../../../src/domain/manifest.ts';
import type { ArchivesDump, StoredArchive } from '../../../src/postgres/archive/write.ts';
import { finishCluster, restoreCluster, type ClusterRestoreInput } from '../../../src/postgres/restore/cluster.ts';
import { unpackTar } from '../../../src/streams/tar.ts';
import { compressors, printed, toolsOf } from '../dump/dumping.ts';
import { makeSample } from '../dump/sample.ts';
import { sessionsLeft, stored } from '../restore/contents.ts';
import { addressOf } from '../swap/pair.ts';
import { archivesOf, keep, pathOf, type Kept } from './archiving.ts';

const run = '1a2b3c4d';

const manifestOf = (dump: ArchivesDump<StoredArchive>): Manifest => ({
  ...{ version: 1, id: 'test', installation: 'test', cluster: 'test', policy: 'test', method: 'pg_dump' },
  ...{ startedAt: '2026-11-21T02:00:00Z', finishedAt: '2026-11-21T02:00:01Z', signature: null },
  run: { workflowId: 'test', firstExecutionRunId: 'test' },
  ...dump,
  objects: dump.objects.map(({ suffix, stored: { bytes, sha256 } }) => ({ key: `test.${suffix}`, bytes, sha256 })),
  parts: dump.parts.map((part) => ({ ...part, object: `test.${part.object}` })),
  databases: [...dump.databases],
  roles: [...dump.roles],
  tablespaces: [...dump.tablespaces],
  warnings: [...dump.warnings],
});

describe.each(['custom', 'directory'] as const)('a whole server in archives of format %s', (format) => {
  let source: PostgresServer;
  let kept: Kept;
  let manifest: Manifest;

  beforeAll(async () => {
    source = await startPostgres({ major: 17, password: 'one of both' });
    await makeSample(source);
    kept = keep();
    manifest = manifestOf(await archivesOf(source, kept, { format }));
  });

  afterAll(async () => {
    await source.stop();
    kept.remove();
  });

  async function archive(part: Part) {
    const path = pathOf(kept, part.object.slice('test.'.length));
    if (format === 'custom') return { path, release: () => Promise.resolve() };
    mkdirSync(kept.scratch, { recursive: true });
    const directory = mkdtempSync(join(kept.scratch, 'unpacked-'));
    const limits = { bytes: 1e9, entries: 1e6 };
    await unpackTar(stored(readFileSync(path)), directory, { signal: new AbortController().signal, limits });
    const release = () => {
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    };
    return { path: directory, release };
  }

  const restoreInto = async (server: PostgresServer, wishes: Partial<ClusterRestoreInput> = {}) =>
    restoreCluster({
      ...{ server: addressOf(server), tools: await toolsOf(server), compressors: await compressors(), manifest, run },
      read: ({ object, offset, length }) =>
        stored(readFileSync(pathOf(kept, object.slice('test.'.length))).subarray(offset, offset + length)),
      ...{ archive, jobs: 3, sessions: 2, signal: new AbortController().signal },
      ...wishes,
    });

  it('comes back into an empty cluster, databases side by side, also after it was interrupted', async () => {
    const target = await startPostgres({ major: 17, password: 'one of both' });
    try {
      let loaded = 0;
      const interrupted = restoreInto(target, {
        failpoint: (name) => {
          if (name === 'loaded') loaded += 1;
          return loaded === 6 ? Promise.reject(new Error('the worker died')) : Promise.resolve();
        },
      });
      await expect(interrupted).rejects.toThrow('the worker died');
      const seen: { bytes: number; totalBytes: number; done: number }[] = [];
      const report = await restoreInto(target, {
        onProgress: ({ bytes, totalBytes, databasesDone: done }) => seen.push({ bytes, totalBytes, done }),
      });
      expect(report.databases.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(report.ok).toBe(true);
      expect(report.databases.map(({ name }) => name)).toEqual(
        manifest.databases.map(({ name }) => name).filter((name) => name !== 'template0'),
      );
      const { bytes = 0, totalBytes = 0 } = seen.at(-1) ?? {};
      // A directory is a little smaller than its tar.
      expect(bytes).toBeLessThanOrEqual(totalBytes);
      expect(bytes).toBeGreaterThan(0.9 * totalBytes);
      await finishCluster(addressOf(target), { run });
      for (const { name, status } of manifest.databases) {
        if (status !== 'dumped') continue;
        const [before, after] = await Promise.all([printed(source, 'pg_dump', name), printed(target, 'pg_dump', name)]);
        expect(after).toBe(before);
      }
      expect(await sessionsLeft(target)).toBe('');
      expect(
        format === 'custom' ? [] : readdirSync(kept.scratch).filter((name) => name.startsWith('unpacked')),
      ).toEqual([]);
    } finally {
      await target.stop();
    }
  });

  it('stops with the reason when it is cancelled, and leaves no session and no scratch', async () => {
    const target = await startPostgres({ major: 17, password: 'one of both' });
    try {
      const controller = new AbortController();
      const reason = new Error('cancelled by a person');
      const restoring = restoreInto(target, {
        signal: controller.signal,
        failpoint: (name, database) => {
          if (name === 'created' && database === 'app') controller.abort(reason);
          return Promise.resolve();
        },
      });
      await expect(restoring).rejects.toBe(reason);
      expect(await sessionsLeft(target)).toBe('');
    } finally {
      await target.stop();
    }
  });
});
