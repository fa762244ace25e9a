import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { gunzipSync } from 'node:zlib';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { HoldfastError } from '../../../src/domain/errors.ts';
import { connect } from '../../../src/postgres/connection.ts';
import { writeClusterDump } from '../../../src/postgres/dump/write.ts';
import { processesWith, until } from '../../process/processes.ts';
import { addressOf } from '../swap/pair.ts';
import { dumpOf, recordOf, requestOf, restore, textOf } from './dumping.ts';
import { memorySink } from './memory-sink.ts';

/** In the arguments of every pg_dump of this file, and of no other. */
const lockTimeoutMs = 1_000_000 + process.pid;
const canary = `--lock-wait-timeout=${String(lockTimeoutMs)}`;
const ours = `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`;

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({ major: 17 });
  await server.psql('postgres', 'CREATE DATABASE aside; CREATE DATABASE victim; CREATE DATABASE well');
  await server.psql('aside', 'CREATE TABLE t AS SELECT 1 AS i');
  await server.psql('well', 'CREATE TABLE t AS SELECT 1 AS i');
  // Far more than all pipes and buffers on the way hold: a dump whose sink rests doesn't end.
  await server.psql('victim', 'CREATE TABLE t AS SELECT md5(random()::text) AS x FROM generate_series(1, 500000)');
});

afterEach(async () => {
  await server.start();
  expect(processesWith(canary)).toEqual([]);
  await until('no backend of ours is left', async () => (await server.psql('postgres', ours)) === '0');
});

afterAll(() => server.stop());

/** A sink that waits, once, in the middle of a database's contents, for what is to happen there. */
function interruptedBy(act: () => Promise<unknown>, where = 'victim') {
  let victim = false;
  let begun = false;
  const sink = memorySink();
  return {
    onProgress: ({ phase, database }: { readonly phase: string; readonly database: string | null }) => {
      victim = phase === 'content' && database === where;
    },
    sink: {
      ...sink,
      get offset() {
        return sink.offset;
      },
      get bytes() {
        return sink.bytes;
      },
      write: async (chunk: Uint8Array) => {
        if (victim && !begun) {
          begun = true;
          await act();
        }
        await sink.write(chunk);
      },
    },
  };
}

describe('one database that fails', () => {
  it.each([
    [
      'whose pg_dump is killed',
      () => {
        const [pid] = processesWith(canary);
        if (pid === undefined) throw new Error('no pg_dump runs');
        process.kill(pid, 'SIGKILL');
        return Promise.resolve();
      },
      /SIGKILL/,
    ],
    [
      'whose backend is ended',
      () => server.psql('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'victim'`),
      /terminating connection|server closed the connection/,
    ],
  ])('%s leaves a partial backup of the others', async (_, act, reason) => {
    const { sink, onProgress } = interruptedBy(act);
    const dump = await writeClusterDump(await requestOf(server, { lockTimeoutMs, sink, onProgress }));
    const dumped = { dump, sink };
    expect(dump.status).toBe('partial');
    expect(recordOf(dumped, 'victim')).toMatchObject({
      status: 'failed',
      reason: expect.stringMatching(reason),
    });
    expect(recordOf(dumped, 'victim').tables).toEqual([]);
    expect(dump.parts.some(({ database }) => database === 'victim')).toBe(false);
    expect(dump.parts.at(-1)?.name).toBe('footer');
    expect(gunzipSync(sink.bytes).toString()).not.toContain('victim');
    expect(recordOf(dumped, 'well').status).toBe('dumped');
    expect(textOf(dumped, 'content', 'well')).toContain('PostgreSQL database dump complete');
  });

  it('waits for a lock no longer than it may, and says so', async () => {
    const holder = await connect(addressOf(server, 'aside'));
    try {
      await holder.query('BEGIN; LOCK TABLE public.t');
      const dumped = await dumpOf(server, { lockTimeoutMs: 50 });
      expect(dumped.dump.status).toBe('partial');
      expect(recordOf(dumped, 'aside')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(/waited for a table's lock.*LOCK TABLE public\.t/),
      });
      expect(recordOf(dumped, 'victim').status).toBe('dumped');
    } finally {
      await holder.close();
    }
  });

  it('is skipped if it was dropped meanwhile', async () => {
    await server.psql('postgres', 'CREATE DATABASE volatile');
    const { sink, onProgress } = interruptedBy(() => server.psql('postgres', 'DROP DATABASE volatile'), 'aside');
    const dump = await writeClusterDump(await requestOf(server, { lockTimeoutMs, sink, onProgress }));
    expect(dump.status).toBe('complete');
    expect(recordOf({ dump, sink }, 'volatile')).toMatchObject({
      status: 'skipped',
      reason: 'it was dropped while the backup ran',
    });
  });

  it('is skipped if an interrupted DROP DATABASE left it invalid', async () => {
    await server.psql(
      'postgres',
      `CREATE DATABASE broken; UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'`,
    );
    const dumped = await dumpOf(server, { exclude: ['victim', 'nowhere'] });
    await server.psql('postgres', 'DROP DATABASE broken');
    expect(recordOf(dumped, 'broken')).toMatchObject({
      status: 'skipped',
      reason: expect.stringContaining('invalid'),
    });
    expect(dumped.dump.status).toBe('complete');
    expect(dumped.dump.warnings).toEqual(["the policy leaves out 'nowhere', and there is no such database"]);
  });
});

describe('a dump that fails as a whole', () => {
  const failing = async (wishes: Parameters<typeof requestOf>[1]) => {
    const request = await requestOf(server, { lockTimeoutMs, ...wishes });
    return writeClusterDump(request).then(
      () => {
        throw new Error('it went well');
      },
      (error: unknown) => error,
    );
  };

  it('names the server that went away', async () => {
    const { sink, onProgress } = interruptedBy(() => server.halt('immediate'));
    const error = await failing({ sink, onProgress });
    expect(error).toMatchObject({ type: 'PostgresUnavailable' });
  });

  it("is the sink's fault where that is full, and not the database's", async () => {
    const full = new HoldfastError('StoreFull', 'no space left', 'make room');
    const { sink, onProgress } = interruptedBy(() => Promise.reject(full));
    expect(await failing({ sink, onProgress })).toBe(full);
  });

  it("ends at once with the signal's reason when it is cancelled", async () => {
    const controller = new AbortController();
    const reason = new Error('cancelled by a person');
    const { sink, onProgress } = interruptedBy(() => {
      controller.abort(reason);
      return Promise.resolve();
    });
    expect(await failing({ sink, onProgress, signal: controller.signal })).toBe(reason);
    expect(await failing({ signal: AbortSignal.abort(reason) })).toBe(reason);
  });

  it('is DumpFailed where not one database could be dumped', async () => {
    const { compressor } = await requestOf(server, {});
    const compress = { file: 'sh', args: ['-c', 'echo out of paper >&2; exit 3'], name: 'press' };
    const error = await failing({ compressor: { ...compressor, compress } });
    expect(error).toMatchObject({ type: 'DumpFailed', message: expect.stringContaining('out of paper') });
  });

  it('is refused for a wrong password, before anything is written', async () => {
    const sink = memorySink();
    const error = await failing({ sink, server: { ...addressOf(server), password: 'wrong' } });
    expect(error).toMatchObject({ type: 'PostgresRefused', message: expect.stringContaining('password') });
    expect((error as Error).message).not.toContain('wrong');
    expect(sink.offset).toBe(0);
  });

  it('is refused for a user that may not read passwords', async () => {
    await server.psql('postgres', `CREATE ROLE humble LOGIN PASSWORD 'h'`);
    const error = await failing({ server: { ...addressOf(server), user: 'humble', password: 'h' } });
    expect(error).toMatchObject({ type: 'PostgresRefused', hint: 'connect as a superuser' });
  });

  it('names the tool that is missing', async () => {
    const { tools } = await requestOf(server, {});
    const error = await failing({ tools: { ...tools, pgDump: '/nonexistent/pg_dump' } });
    expect(error).toMatchObject({
      type: 'ToolMissing',
      message: expect.stringContaining('/nonexistent/pg_dump'),
    });
  });

  it('does not take the globals for whole where their end is missing', async () => {
    const { tools } = await requestOf(server, {});
    expect(await failing({ tools: { ...tools, pgDumpall: '/bin/true' } })).toMatchObject({
      type: 'ToolFailed',
      message: expect.stringContaining('the end of its output is missing'),
    });
  });
});

it('ends what an earlier attempt of the same run has left on the server, and nothing else', async () => {
  const left = await connect(addressOf(server), { applicationName: 'holdfast backup test' });
  const other = await connect(addressOf(server), { applicationName: 'holdfast backup other' });
  await dumpOf(server, { exclude: ['victim'] });
  await expect(left.query('SELECT 1')).rejects.toMatchObject({ type: 'PostgresUnavailable' });
  await expect(other.query('SELECT 1')).resolves.toHaveLength(1);
  await Promise.all([left.close(), other.close()]);
});

it('restores a partial dump without an error', async () => {
  const holder = await connect(addressOf(server, 'aside'));
  await holder.query('BEGIN; LOCK TABLE public.t');
  const { sink } = await dumpOf(server, { lockTimeoutMs: 50, exclude: ['victim'] }).finally(() => holder.close());
  const target = await startPostgres({ major: 17 });
  try {
    const complaints = await restore(target, gunzipSync(sink.bytes));
    expect(complaints).toEqual([expect.stringContaining('role "postgres" already exists')]);
    expect(await target.psql('well', 'SELECT count(*) FROM t')).toBe('1');
  } finally {
    await target.stop();
  }
});

it('dumps two hundred databases one after the other, in flat memory', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `many_${String(index)}`);
  await server.psql(
    'postgres',
    names.map((name) => `CREATE DATABASE ${name} TEMPLATE template0 STRATEGY file_copy;`).join('\n'),
  );
  const before = process.memoryUsage().rss;
  let processes = 0;
  const sampling = setInterval(() => {
    processes = Math.max(processes, processesWith(canary).length);
  }, 50);
  const { dump } = await dumpOf(server, { lockTimeoutMs, exclude: ['victim'] }).finally(() => {
    clearInterval(sampling);
  });
  expect(dump.databases.filter(({ status }) => status === 'dumped').length).toBeGreaterThan(200);
  expect(processes).toBe(1);
  expect((process.memoryUsage().rss - before) / 1e6).toBeLessThan(150);
});
