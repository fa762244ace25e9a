import { existsSync, readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { HoldfastError } from '../../../src/domain/errors.ts';
import { connect } from '../../../src/postgres/connection.ts';
import type { ArchivesDump, StoredArchive } from '../../../src/postgres/archive/write.ts';
import { processesWith, until } from '../../process/processes.ts';
import { mountTmpfs } from '../../storage/scratch.ts';
import { sessionsLeft } from '../restore/contents.ts';
import { addressOf } from '../swap/pair.ts';
import { archivesOf, fileSink, keep, type Kept, type Wishes } from './archiving.ts';

/** In the arguments of every pg_dump of this file, and of no other. */
const lockTimeoutMs = 2_000_000 + process.pid;
const canary = `--lock-wait-timeout=${String(lockTimeoutMs)}`;

let server: PostgresServer;
let kept: Kept;

beforeAll(async () => {
  server = await startPostgres({ major: 17 });
  await server.psql(
    'postgres',
    'CREATE DATABASE aside; CREATE DATABASE victim; CREATE DATABASE well; CREATE DATABASE dense',
  );
  await server.psql('aside', 'CREATE TABLE t AS SELECT 1 AS i');
  await server.psql('well', 'CREATE TABLE t AS SELECT 1 AS i');
  // Far more than all pipes and buffers on the way hold: a dump whose sink rests doesn't end.
  await server.psql('victim', 'CREATE TABLE t AS SELECT md5(random()::text) AS x FROM generate_series(1, 500000)');
});

beforeEach(() => {
  kept = keep();
});

afterEach(async () => {
  await server.start();
  expect(processesWith(canary)).toEqual([]);
  await until('no session of ours is left', async () => (await sessionsLeft(server)) === '');
  expect([...kept.open]).toEqual([]);
  expect(existsSync(kept.scratch) ? readdirSync(kept.scratch) : []).toEqual([]);
  kept.remove();
});

afterAll(() => server.stop());

const recordOf = (dump: ArchivesDump<StoredArchive>, name: string) =>
  dump.databases.find((record) => record.name === name);

/** Something happens, once, when the victim's object is written for the first time. */
function interruptedBy(act: () => Promise<unknown>): Wishes {
  let begun = false;
  return {
    lockTimeoutMs,
    open: (suffix) => {
      const sink = fileSink(kept, suffix);
      if (!suffix.startsWith('victim')) return Promise.resolve(sink);
      const write = async (chunk: Uint8Array) => {
        if (!begun) {
          begun = true;
          await act();
        }
        await sink.write(chunk);
      };
      return Promise.resolve(
        Object.defineProperty({ ...sink, write }, 'offset', { get: () => sink.offset }) as typeof sink,
      );
    },
  };
}

const failing = (wishes: Wishes) =>
  archivesOf(server, kept, { lockTimeoutMs, ...wishes }).then(
    () => {
      throw new Error('it went well');
    },
    (error: unknown) => error as HoldfastError,
  );

describe('one database that fails', () => {
  it.each([
    [
      'whose pg_dump is killed',
      () => {
        for (const pid of processesWith(canary)) process.kill(pid, 'SIGKILL');
        return Promise.resolve();
      },
      /SIGKILL/,
    ],
    [
      'whose backend is ended',
      () => server.psql('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'victim'`),
      /terminating connection|server closed the connection/,
    ],
  ])('%s leaves no object, and a partial backup of the others', async (_, act, reason) => {
    // The others wait until it is over: the killing is meant for this one alone.
    const dump = await archivesOf(server, kept, { ...interruptedBy(act), jobs: 1 });
    expect(dump.status).toBe('partial');
    expect(recordOf(dump, 'victim')).toMatchObject({ status: 'failed', reason: expect.stringMatching(reason) });
    expect(recordOf(dump, 'well')?.status).toBe('dumped');
    expect(kept.aborted).toEqual(['victim.dump']);
    expect(dump.objects.map(({ suffix }) => suffix)).toEqual([
      ...['globals.sql.gz', 'template1.dump', 'aside.dump', 'dense.dump', 'postgres.dump', 'well.dump'],
    ]);
    expect(dump.parts.some(({ database }) => database === 'victim')).toBe(false);
  });

  it('leaves those alone that are dumped beside it', async () => {
    const holder = await connect(addressOf(server, 'aside'));
    try {
      await holder.query('BEGIN; LOCK TABLE public.t');
      let go: (() => void) | undefined;
      const begun = new Promise<void>((resolve) => (go = resolve));
      const { open } = interruptedBy(() => begun);
      const dump = await archivesOf(server, kept, {
        ...(open === undefined ? {} : { open }),
        lockTimeoutMs: 50,
        onProgress: ({ databasesDone }) => {
          // All the others are through, the one that waits for a lock in vain too.
          if (databasesDone === 5) go?.();
        },
      });
      expect(recordOf(dump, 'aside')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(/waited for a table's lock/),
      });
      expect(recordOf(dump, 'victim')?.status).toBe('dumped');
      expect(kept.aborted).toEqual(['aside.dump']);
    } finally {
      await holder.close();
    }
  });

  it('for want of scratch names the scratch directory', async () => {
    const disk = mountTmpfs('size=1m');
    try {
      const small = { ...kept, scratch: disk.directory };
      const dump = await archivesOf(server, small, { format: 'directory', lockTimeoutMs });
      expect(recordOf(dump, 'victim')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(new RegExp(`scratch directory ${disk.directory}.* free, .* are expected`)),
      });
    } finally {
      disk.close();
    }
  });

  it('for a scratch directory that fills while pg_dump writes names it too', async () => {
    // Room for what is expected, half of what the database takes; its rows are TOASTed, and large again in the dump.
    const disk = mountTmpfs('size=6m');
    try {
      await server.psql(
        'dense',
        `CREATE TABLE t AS SELECT decode(string_agg(md5((i * j)::text), ''), 'hex') AS x
           FROM generate_series(1, 20) i, generate_series(1, 20000) j GROUP BY i`,
      );
      const dump = await archivesOf(
        server,
        { ...kept, scratch: disk.directory },
        { format: 'directory', lockTimeoutMs },
      );
      expect(recordOf(dump, 'dense')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(new RegExp(`scratch directory ${disk.directory}.*no space left`)),
      });
      expect(readdirSync(disk.directory)).toEqual([]);
    } finally {
      disk.close();
    }
  });
});

describe.each(['custom', 'directory'] as const)('a backup in format %s that fails as a whole', (format) => {
  it("is the sink's fault where that is full, and leaves nothing open", async () => {
    const full = new HoldfastError('StoreFull', 'no space left', 'make room');
    expect(await failing({ ...interruptedBy(() => Promise.reject(full)), format })).toBe(full);
    expect(kept.aborted).toContain(`victim.${format === 'custom' ? 'dump' : 'tar'}`);
  });

  it("ends with the signal's reason when it is cancelled", async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled by a person');
    const act = () => {
      controller.abort(reason);
      return Promise.resolve();
    };
    expect(await failing({ ...interruptedBy(act), format, signal: controller.signal })).toBe(reason);
    expect(await failing({ format, signal: AbortSignal.abort(reason) })).toBe(reason);
  });

  it('names the server that went away', async () => {
    expect(await failing({ ...interruptedBy(() => server.halt('immediate')), format })).toMatchObject({
      type: 'PostgresUnavailable',
    });
  });

  it('is the fault of the repository that opens no object', async () => {
    const gone = new HoldfastError('StoreNotMounted', 'the marker is missing', 'mount it');
    expect(await failing({ format, open: () => Promise.reject(gone) })).toBe(gone);
  });
});
