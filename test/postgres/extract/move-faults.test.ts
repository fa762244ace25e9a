import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { connect } from '../../../src/postgres/connection.ts';
import { extractFailpoints, moveIntoSchema, type ExtractOrder } from '../../../src/postgres/extract/move.ts';
import { addressOf } from '../swap/pair.ts';
import { until } from '../swap/waiting.ts';
import { catalogsOf, leftBehind, makePlaces, makeRoles, orderFor } from './world.ts';

/** The live database's own function, which the restored table's generated column calls, waits for a lock. */
const waitingHalf = `CREATE OR REPLACE FUNCTION shared.half(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN $1 / 2; END $$`;

describe.each([15, 17] as const)('a move into a schema that is interrupted, on postgresql %i,', (major) => {
  let server: PostgresServer;
  let places: Awaited<ReturnType<typeof makePlaces>>;
  let order: ExtractOrder;
  let before: string;
  let count = 0;

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeRoles(server);
    places = await makePlaces(server, 'app');
    await server.psql('app', waitingHalf);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    const name = `copy_${String((count += 1))}`;
    await server.psql('postgres', `CREATE DATABASE ${name} TEMPLATE app_new`);
    const oid = Number(await server.psql('postgres', `SELECT oid FROM pg_database WHERE datname = '${name}'`));
    const selection = { schemas: [], tables: [['public', 'orders'] as const] };
    order = await orderFor(server, { live: places.live, copy: { name, oid }, selection, run: `run${String(count)}` });
    before = await catalogsOf(server, 'app', '');
  });

  /** Begins what is given, does the rest once rows are being written that nobody can see, and holds it there. */
  const whileLoading = async (begin: () => Promise<unknown>, then: () => Promise<unknown>) => {
    const holder = await connect(addressOf(server), { database: 'app' });
    await holder.query('SELECT pg_advisory_lock(4711)');
    const ended = begin().catch((error: unknown) => error);
    // Where a fault does nothing, the load must not wait for ever.
    const patience = setTimeout(() => void holder.close(), 40_000);
    try {
      await until(waits);
      await then();
      return await ended;
    } finally {
      clearTimeout(patience);
      await holder.close();
    }
  };

  const waits = async () =>
    (await server.psql('postgres', `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)) !==
    '0';

  const converges = async (rows = 504) => {
    expect(await catalogsOf(server, 'app', '')).toBe(before);
    expect(await leftBehind(server)).toBe('');
    expect(await moveIntoSchema(order)).toMatchObject({ tables: 1, rows });
    expect(await server.psql('app', 'SELECT count(*) FROM restored.orders')).toBe(String(rows));
    expect(await leftBehind(server)).toBe('');
    await server.psql('app', 'DROP SCHEMA restored CASCADE');
  };

  it.each([
    ['psql is killed', () => killTool('psql')],
    ['pg_dump is killed', () => killTool('pg_dump')],
    [
      'its session in the live database is ended',
      () =>
        server.psql(
          'postgres',
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'holdfast load%'`,
        ),
    ],
    ['PostgreSQL is killed', () => server.kill()],
  ])('leaves the live database as it was when %s in the middle of the rows, and a retry succeeds', async (_, fault) => {
    // More than all the buffers on the way hold.
    await server.psql(
      order.copy.name,
      `INSERT INTO orders (customer, body) SELECT 1, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 30000) i)
         FROM generate_series(1, 30) j`,
    );
    const failed = await whileLoading(() => moveIntoSchema(order), fault);
    expect(failed).toMatchObject({ type: expect.stringMatching(/^(ToolFailed|PostgresUnavailable|RestoreFailed)$/) });
    await server.start();
    await converges(534);
  });

  it('ends at once when it is cancelled, and leaves the live database as it was', async () => {
    const abort = new AbortController();
    const failed = await whileLoading(
      () => moveIntoSchema({ ...order, signal: abort.signal }),
      () => {
        abort.abort(new Error('cancelled by a person'));
        return Promise.resolve();
      },
    );
    expect(failed).toMatchObject({ message: 'cancelled by a person' });
    await converges();
  });

  it('is undone by PostgreSQL when the worker is killed, and another worker waits for that and succeeds', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'doomed-move.ts')], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DOOMED_MOVE: JSON.stringify(order) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    await whileLoading(
      () => ended,
      () => Promise.resolve(child.kill('SIGKILL')),
    );
    // What the dead worker's session still holds ends by itself: nobody waits for it here.
    expect(await moveIntoSchema(order)).toMatchObject({ tables: 1, rows: 504 });
    await until(async () => (await leftBehind(server)) === '');
    await server.psql('app', 'DROP SCHEMA restored CASCADE');
    expect(await catalogsOf(server, 'app', '')).toBe(before);
  });

  it.each(extractFailpoints)('goes on from where it was interrupted: %s', async (where) => {
    const failpoint = (name: string) =>
      name === where ? Promise.reject(new Error(`interrupted at ${name}`)) : Promise.resolve();
    await expect(moveIntoSchema({ ...order, failpoint })).rejects.toThrow(`interrupted at ${where}`);
    expect(await leftBehind(server)).toBe('');
    const report = await moveIntoSchema(order);
    expect(report).toMatchObject({ tables: 1, rows: 504 });
    expect(report.notes).toContain('triggers are left out: "audit" of public.orders');
    expect(await moveIntoSchema(order)).toEqual(report);
    await server.psql('app', 'DROP SCHEMA restored CASCADE');
    expect(await catalogsOf(server, 'app', '')).toBe(before);
  });

  it('takes a commit whose answer was lost for what it is', async () => {
    const failpoint = async (name: string) => {
      if (name !== 'loading') return;
      // Another attempt of the same run, thought dead, comes first.
      await moveIntoSchema(order);
    };
    expect(await moveIntoSchema({ ...order, failpoint })).toMatchObject({ rows: 504 });
    await server.psql('app', 'DROP SCHEMA restored CASCADE');
  });

  it('never touches a schema that somebody else has made, before or meanwhile', async () => {
    const taken = { type: 'NameTaken', message: expect.stringContaining("there is a schema 'restored'") };
    const make = () => server.psql('app', `CREATE SCHEMA restored; CREATE TABLE restored.theirs (i int)`);
    const failpoint = (name: string) => (name === 'loading' ? make().then(() => undefined) : Promise.resolve());
    await expect(moveIntoSchema({ ...order, failpoint })).rejects.toMatchObject(taken);
    await expect(moveIntoSchema(order)).rejects.toMatchObject(taken);
    await server.psql('app', `COMMENT ON SCHEMA restored IS 'holdfast: restore another, loaded'`);
    await expect(moveIntoSchema(order)).rejects.toMatchObject(taken);
    expect(await server.psql('app', 'SELECT count(*) FROM restored.theirs')).toBe('0');
    await server.psql('app', 'DROP SCHEMA restored CASCADE');
    await converges();
  });

  it('says what the live database lacks, and leaves it as it was', async () => {
    await server.psql('app', 'ALTER TYPE shared.mood RENAME TO temper');
    before = await catalogsOf(server, 'app', '');
    await expect(moveIntoSchema(order)).rejects.toMatchObject({
      type: 'RestoreFailed',
      message: expect.stringMatching(/type "shared.mood" does not exist .*nothing of it was kept/),
    });
    expect(await catalogsOf(server, 'app', '')).toBe(before);
    expect(await leftBehind(server)).toBe('');
    await server.psql('app', 'ALTER TYPE shared.temper RENAME TO mood');
  });

  it('refuses other databases, another server, names that can not be, and what is not there', async () => {
    const { live, copy } = order;
    const refused = async (wishes: Partial<ExtractOrder>, type: string) => {
      await expect(moveIntoSchema({ ...order, ...wishes })).rejects.toMatchObject({ type });
    };
    await refused({ live: { ...live, oid: 1 } }, 'PlanChanged');
    await refused({ copy: { ...copy, oid: 1 } }, 'PlanChanged');
    await refused({ systemIdentifier: '1' }, 'PostgresRefused');
    for (const schema of ['public', 'pg_mine', '', 'information_schema', 'x'.repeat(64), 'a\0b'])
      await refused({ schema }, 'InvalidArgument');
    await refused({ selection: { schemas: [], tables: [['public', 'order']] } }, 'RestoreFailed');
    await refused({ selection: { schemas: ['nowhere'], tables: [] } }, 'RestoreFailed');
    await refused(
      {
        selection: {
          schemas: [],
          tables: [
            ['public', 'orders'],
            ['orders', 'orders'],
          ],
        },
      },
      'InvalidArgument',
    );
    expect(await catalogsOf(server, 'app', '')).toBe(before);
    await converges();
  });

  it('tells of rows that are not what the copy holds, and of privileges that were added', async () => {
    const write = (name: string) =>
      name === 'loaded'
        ? server.psql('app', 'DELETE FROM restored.orders WHERE id = 1').then(() => undefined)
        : Promise.resolve();
    await expect(moveIntoSchema({ ...order, failpoint: write })).rejects.toMatchObject({
      type: 'RestoreFailed',
      message: "schema 'restored' is not what the backup holds: orders has 503 rows instead of 504",
    });
    await server.psql(
      'app',
      'DROP SCHEMA restored CASCADE; ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO "grantée"',
    );
    const { notes } = await moveIntoSchema(order);
    expect(notes.at(-1)).toBe("default privileges of the live database were added to the backup's: orders");
    await server.psql(
      'app',
      'DROP SCHEMA restored CASCADE; ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM "grantée"',
    );
  });
});

/** The tool that this process has started. */
function killTool(name: string): Promise<void> {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [, comm, ppid] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      if (comm === name && ppid === String(process.pid)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it is gone already
    }
  }
  return Promise.resolve();
}
