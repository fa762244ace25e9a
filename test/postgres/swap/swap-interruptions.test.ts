import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { inspectSwap } from '../../../src/postgres/swap/inspect.ts';
import { swapState } from '../../../src/postgres/swap/state.ts';
import { swapDatabases } from '../../../src/postgres/swap/swap.ts';
import {
  addressOf,
  afterTheNames,
  beforeTheNames,
  catalogOf,
  contentOf,
  failingAt,
  leftovers,
  makePair,
  never,
} from './pair.ts';
import { SilentLine } from './silent-line.ts';
import { hangAt, until } from './waiting.ts';

describe.each(availableMajors())('a swap that is interrupted on postgresql %i', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({
      major,
      settings: { max_prepared_transactions: '10', wal_level: 'logical', max_connections: '60' },
    });
  });
  afterAll(() => server.stop());

  const open = async (database: string) => {
    const client = new pg.Client({ connectionString: server.url(database) });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };

  it('brings the old state back when a transaction is prepared after the databases were closed', async () => {
    const input = await makePair(server, 'late');
    const before = await catalogOf(server, input);
    const session = await open('late');
    await session.query(`BEGIN; UPDATE which SET content = 'prepared'`);
    const failpoint = async (name: string) => {
      if (name === 'closed') await session.query("PREPARE TRANSACTION 'late'");
    };
    await expect(swapDatabases(addressOf(server), input, { ...never(), failpoint })).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining("'late' of postgres"),
    });
    expect(await catalogOf(server, input)).toBe(before);
    await server.psql('late', `COMMIT PREPARED 'late'`);
    expect(await contentOf(server, 'late')).toBe('prepared');
  });

  it('brings the old state back when a session does not end in time, and names it', async () => {
    const input = await makePair(server, 'stuck', { maxClosedMs: 300 });
    const before = await catalogOf(server, input);
    const session = await open('stuck');
    const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const pid = rows[0]?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    try {
      await expect(swapDatabases(addressOf(server), input, never())).rejects.toMatchObject({
        type: 'SwapFailed',
        message: expect.stringContaining(`pid ${String(pid)} (client backend, postgres)`),
      });
      expect(await catalogOf(server, input)).toBe(before);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(
      async () =>
        (await server.psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'stuck'")) === '0',
    );
    expect((await swapDatabases(addressOf(server), { ...input, maxClosedMs: 30_000 }, never())).found).toBe('before');
  });

  it('brings the old state back when somebody holds a lock on a database from elsewhere, and names him', async () => {
    const input = await makePair(server, 'locked', { maxClosedMs: 700 });
    const before = await catalogOf(server, input);
    const session = await open('postgres');
    await session.query("BEGIN; COMMENT ON DATABASE locked IS 'not yet'");
    await expect(swapDatabases(addressOf(server), input, never())).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining('holding a lock on it: pid'),
    });
    await session.query('ROLLBACK');
    await session.end();
    expect(await catalogOf(server, input)).toBe(before);
  });

  it.each(beforeTheNames)('brings the old state back when it fails at: %s', async (where) => {
    const input = await makePair(server, `fails ${where}`);
    const before = await catalogOf(server, input);
    await expect(swapDatabases(addressOf(server), input, failingAt(where))).rejects.toThrow(`interrupted at ${where}`);
    expect(await catalogOf(server, input)).toBe(before);
    expect(await contentOf(server, input.liveName)).toBe('old');
    expect(await leftovers(server)).toBe('');
  });

  it.each(afterTheNames)('finishes when it fails at: %s', async (where) => {
    const input = await makePair(server, `fails ${where}`);
    const result = await swapDatabases(addressOf(server), input, failingAt(where));
    expect(result.notes).toEqual([`finished in spite of: interrupted at ${where}`]);
    expect(result.downtimeMs).toBeGreaterThanOrEqual(0);
    expect(await contentOf(server, input.liveName)).toBe('new');
  });

  it('brings the old state back when it is cancelled, and its signal’s reason is what it fails with', async () => {
    const input = await makePair(server, 'cancelled');
    const before = await catalogOf(server, input);
    for (const at of ['inspected', 'closed', 'sessions ended']) {
      const controller = new AbortController();
      const failpoint = (name: string) => {
        if (name === at) controller.abort(new Error(`cancelled at ${at}`));
        return Promise.resolve();
      };
      const swapping = swapDatabases(addressOf(server), input, { signal: controller.signal, failpoint });
      await expect(swapping).rejects.toThrow(`cancelled at ${at}`);
      expect(await catalogOf(server, input)).toBe(before);
    }
  });

  it('brings the old state back when its own session is ended in the middle', async () => {
    const input = await makePair(server, 'disturbed');
    const before = await catalogOf(server, input);
    const failpoint = async (name: string) => {
      if (name !== 'sessions ended') return;
      await server.psql(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'holdfast swap%'`,
      );
    };
    await expect(swapDatabases(addressOf(server), input, { ...never(), failpoint })).rejects.toMatchObject({
      type: 'PostgresUnavailable',
    });
    expect(await catalogOf(server, input)).toBe(before);
    expect(await leftovers(server)).toBe('');
  });

  it('brings the old state back when the network between worker and server goes silent', async () => {
    const input = await makePair(server, 'silence');
    const before = await catalogOf(server, input);
    const line = await SilentLine.to(server.port);
    try {
      const failpoint = (name: string) => {
        if (name === 'sessions ended') line.silence();
        return Promise.resolve();
      };
      const address = { ...addressOf(server), port: line.port };
      const swapping = swapDatabases(address, input, { ...never(), failpoint, answerWithinMs: 1_000 });
      await expect(swapping).rejects.toMatchObject({
        type: 'PostgresUnavailable',
        message: 'the server has not answered within 1000 ms',
      });
      expect(await catalogOf(server, input)).toBe(before);
      expect(await leftovers(server)).toBe('');
    } finally {
      line.close();
    }
  });

  it('ends an earlier attempt that hangs, which finds everything done when it wakes up', async () => {
    const input = await makePair(server, 'zombie');
    const hanging = hangAt('closed');
    const first = swapDatabases(addressOf(server), input, { ...never(), failpoint: hanging.failpoint });
    await hanging.reached;
    await withSession(addressOf(server), {}, async (session) => {
      expect(swapState(await inspectSwap(session, input))).toBe('closed');
    });
    const second = await swapDatabases(addressOf(server), input, never());
    expect(second.found).toBe('closed');
    const after = await catalogOf(server, input);
    hanging.wake();
    expect(await first).toMatchObject({
      live: { oid: input.copyOid },
      notes: [expect.stringContaining('finished in spite of')],
    });
    expect(await catalogOf(server, input)).toBe(after);
    expect(await leftovers(server)).toBe('');
  });

  it('leaves everything to the attempt that took over, while that one is at work', async () => {
    const input = await makePair(server, 'overtaken');
    const [first, second] = [hangAt('closed'), hangAt('sessions ended')];
    const swapping = [first, second].map(({ failpoint, reached }) => async () => {
      const result = swapDatabases(addressOf(server), input, { ...never(), failpoint });
      result.catch(() => undefined);
      await Promise.race([reached, result]);
      return { result };
    });
    const overtaken = await swapping[0]?.();
    const overtaking = await swapping[1]?.();
    first.wake();
    await expect(overtaken?.result).rejects.toMatchObject({ type: 'Busy' });
    second.wake();
    expect(await overtaking?.result).toMatchObject({ found: 'closed', live: { oid: input.copyOid } });
    expect(await contentOf(server, 'overtaken')).toBe('new');
  });

  it('is busy while somebody else renames one of the databases', async () => {
    const input = await makePair(server, 'contested');
    const hanging = hangAt('inspected');
    const swapping = swapDatabases(addressOf(server), input, { ...never(), failpoint: hanging.failpoint });
    await hanging.reached;
    const other = { ...input, copyOid: input.copyOid + 1, copyName: 'contested_other' };
    await expect(swapDatabases(addressOf(server), other, never())).rejects.toMatchObject({
      type: 'Busy',
      message: expect.stringContaining(`'holdfast swap ${String(input.liveOid)}/${String(input.copyOid)}'`),
    });
    hanging.wake();
    expect((await swapping).found).toBe('before');
  });
});
