import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { swapDatabases, undoSwap } from '../../../src/postgres/swap/swap.ts';
import type { SwapInput } from '../../../src/domain/swap-report.ts';
import { addressOf, catalogOf, contentOf, leftovers, makePair, never } from './pair.ts';
import { until } from './waiting.ts';

describe.each(availableMajors())('a swap refuses, before anything is changed, on postgresql %i', (major) => {
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

  const refused = async (input: SwapInput, type: string, text: string) => {
    const before = await catalogOf(server, input);
    await expect(swapDatabases(addressOf(server), input, never())).rejects.toMatchObject({
      type,
      message: expect.stringContaining(text),
      hint: expect.stringMatching(/./),
    });
    expect(await catalogOf(server, input)).toBe(before);
    expect(await leftovers(server)).toBe('');
  };

  it('a prepared transaction', async () => {
    const input = await makePair(server, 'prepared');
    await server.psql('prepared', `BEGIN; CREATE TABLE t(); PREPARE TRANSACTION 'it''s waiting'`);
    const session = await open('prepared');
    await refused(input, 'SwapFailed', "'it's waiting'");
    expect((await session.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await session.end();
    await server.psql('prepared', `ROLLBACK PREPARED 'it''s waiting'`);
    expect((await swapDatabases(addressOf(server), input, never())).found).toBe('before');
  });

  it('a logical slot, unless told to leave it behind', async () => {
    const input = await makePair(server, 'slotted');
    await server.psql('slotted', `SELECT pg_create_logical_replication_slot('slot_${String(major)}', 'test_decoding')`);
    await refused(input, 'SwapFailed', `'slot_${String(major)}' (test_decoding)`);
    const { notes } = await swapDatabases(addressOf(server), { ...input, slots: 'leave' }, never());
    expect(notes).toEqual([expect.stringContaining(`'slot_${String(major)}'`)]);
    expect(await server.psql('postgres', 'SELECT datoid, database FROM pg_replication_slots')).toBe(
      `${String(input.liveOid)}|${input.oldName}`,
    );
    await server.psql('postgres', `SELECT pg_drop_replication_slot('slot_${String(major)}')`);
  });

  it('a subscription, unless told to leave it, whose worker is ended then', async () => {
    const input = await makePair(server, 'subscriber');
    await server.psql('postgres', 'CREATE DATABASE publisher');
    await server.psql('publisher', `CREATE PUBLICATION p; SELECT pg_create_logical_replication_slot('s', 'pgoutput')`);
    const source = `host=${server.socketDir} port=${String(server.port)} user=postgres dbname=publisher`;
    await server.psql(
      'subscriber',
      `CREATE SUBSCRIPTION s CONNECTION '${source}' PUBLICATION p WITH (create_slot = false)`,
    );
    await until(async () => (await server.psql('subscriber', 'SELECT count(pid) FROM pg_stat_subscription')) === '1');
    await refused(input, 'SwapFailed', "subscription in 'subscriber': 's'");
    await swapDatabases(addressOf(server), { ...input, subscriptions: 'leave' }, never());
    expect(await contentOf(server, 'subscriber')).toBe('new');
    await undoSwap(addressOf(server), input, never());
    await server.psql(
      'subscriber',
      `ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s`,
    );
  });

  it('another cluster than the one that was planned with', async () => {
    const input = await makePair(server, 'elsewhere');
    await refused({ ...input, systemIdentifier: '42' }, 'SwapFailed', 'planned was 42');
  });

  it('databases with other OIDs than planned', async () => {
    const input = await makePair(server, 'reborn');
    await refused({ ...input, liveOid: 999_999 }, 'PlanChanged', 'OID 999999) is gone');
    await refused({ ...input, copyName: 'reborn_x' }, 'PlanChanged', `named 'reborn' and '${input.copyName}'`);
  });

  it('a live database that somebody else has closed', async () => {
    const input = await makePair(server, 'shut');
    await server.psql('postgres', 'ALTER DATABASE shut ALLOW_CONNECTIONS false');
    await refused(input, 'PlanChanged', "it wasn't this swap that closed it");
  });

  it('an old name that is taken', async () => {
    const input = await makePair(server, 'crowded');
    await server.psql('postgres', `CREATE DATABASE ${input.oldName}`);
    await refused(input, 'SwapFailed', `there is a database '${input.oldName}' already`);
  });

  it('a user who may not rename', async () => {
    const input = await makePair(server, 'guarded');
    await server.psql('postgres', `CREATE ROLE weak LOGIN CREATEDB PASSWORD 'weak'`);
    const weak = { ...addressOf(server), user: 'weak', password: 'weak' };
    await expect(swapDatabases(weak, input, never())).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining("user 'weak' may not rename databases"),
    });
  });

  it('names that cannot be', async () => {
    const input = await makePair(server, 'named');
    await refused({ ...input, oldName: 'x'.repeat(64) }, 'InvalidArgument', 'is no name of a database');
    await refused({ ...input, oldName: 'named' }, 'InvalidArgument', 'call the old one');
  });
});
