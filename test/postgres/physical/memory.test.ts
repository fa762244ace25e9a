import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { takeBaseBackup, type BackupSink, type StoredBytes } from '../../../src/postgres/physical/base-backup.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { fileSinks, requestOf } from './taking.ts';

const megabyte = 1024 * 1024;

let server: PostgresServer;
let scratch: string;

beforeAll(async () => {
  scratch = await makeScratch('memory');
  server = await startPostgres({ major: 17 });
  await server.psql(
    'postgres',
    `CREATE TABLE t AS SELECT n, repeat(md5(n::text), 30) AS t FROM generate_series(1, 300000) n`,
  );
});

afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

it('a base backup of 300 MB, into a sink that is slower than the server, needs no more than 64 MB of memory', async () => {
  const slow = (): BackupSink<StoredBytes> => {
    let bytes = 0;
    return {
      write: async (chunk) => {
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        bytes += chunk.length;
      },
      finish: () => Promise.resolve({ bytes, sha256: '' }),
      abort: () => Promise.resolve(),
    };
  };
  const take = async () => {
    const before = process.memoryUsage().rss;
    let peak = before;
    const taken = await takeBaseBackup({
      ...requestOf(server, fileSinks(scratch)),
      compression: { by: 'none' },
      open: () => Promise.resolve(slow()),
      onProgress: () => {
        peak = Math.max(peak, process.memoryUsage().rss);
      },
    });
    return { grown: peak - before, bytes: taken.archives.reduce((sum, { stored }) => sum + stored.bytes, 0) };
  };
  // The first one also loads code.
  await take();
  const { grown, bytes } = await take();
  expect(bytes).toBeGreaterThan(300 * megabyte);
  expect(grown).toBeLessThan(64 * megabyte);
});
