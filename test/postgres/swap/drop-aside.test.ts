import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { AsideTarget, SwapInput } from '../../../src/domain/swap-report.ts';
import { dropAside } from '../../../src/postgres/swap/drop-aside.ts';
import { swapDatabases, undoSwap } from '../../../src/postgres/swap/swap.ts';
import { addressOf, contentOf, leftovers, makePair, never, oidOf } from './pair.ts';

describe.each(availableMajors())('dropping what was put aside, on postgresql %i,', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major, settings: { max_prepared_transactions: '5', wal_level: 'logical' } });
  });
  afterAll(() => server.stop());

  const swapped = async (name: string): Promise<{ input: SwapInput; target: AsideTarget }> => {
    const input = await makePair(server, name);
    await swapDatabases(addressOf(server), input, never());
    const { oldName, liveOid, liveName, copyOid } = input;
    return { input, target: { asideName: oldName, asideOid: liveOid, liveName, liveOid: copyOid } };
  };
  const drop = (target: AsideTarget) => dropAside(addressOf(server), target, never());
  const reopen = (name: string) => server.psql('postgres', `ALTER DATABASE "${name}" ALLOW_CONNECTIONS true`);

  it('drops the old database and nothing else, and succeeds again when it is gone', async () => {
    const { target } = await swapped('released');
    expect(await drop(target)).toEqual({ dropped: true, notes: [] });
    expect(await oidOf(server, target.asideName)).toBe(0);
    expect(await contentOf(server, 'released')).toBe('new');
    await server.psql('postgres', `CREATE DATABASE ${target.asideName}`);
    expect(await drop(target)).toEqual({ dropped: false, notes: [] });
    expect(await oidOf(server, target.asideName)).not.toBe(0);
    expect(await leftovers(server)).toBe('');
  });

  it('drops the restored one after an undo', async () => {
    const { input, target } = await swapped('undone');
    await undoSwap(addressOf(server), input, never());
    await expect(drop(target)).rejects.toMatchObject({
      type: 'PlanChanged',
      message: expect.stringContaining("named 'undone' now"),
    });
    const { copyName, copyOid, liveName, liveOid } = input;
    expect((await drop({ asideName: copyName, asideOid: copyOid, liveName, liveOid })).dropped).toBe(true);
    expect(await contentOf(server, 'undone')).toBe('old');
  });

  it('keeps the old one when the live one is gone, as it may be the last copy', async () => {
    const { target } = await swapped('last');
    await server.psql('postgres', 'DROP DATABASE last');
    await expect(drop(target)).rejects.toMatchObject({
      type: 'PlanChanged',
      message: expect.stringContaining('last copy'),
    });
    expect(await oidOf(server, target.asideName)).toBe(target.asideOid);
  });

  it('never takes the live database, whatever it is asked', async () => {
    const { target } = await swapped('asked');
    await expect(drop({ ...target, asideOid: target.liveOid })).rejects.toMatchObject({ type: 'InvalidArgument' });
    await expect(drop({ ...target, asideName: target.liveName })).rejects.toMatchObject({ type: 'InvalidArgument' });
    await expect(drop({ ...target, systemIdentifier: '42' })).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await oidOf(server, target.asideName)).toBe(target.asideOid);
  });

  it('ends the sessions of those who looked into it, and drops it though it is a template', async () => {
    const { target } = await swapped('visited');
    await reopen(target.asideName);
    await server.psql('postgres', `ALTER DATABASE ${target.asideName} IS_TEMPLATE true`);
    const visitor = new pg.Client({ connectionString: server.url(target.asideName) });
    visitor.on('error', () => undefined);
    const gone = new Promise((resolve) => visitor.once('end', resolve));
    await visitor.connect();
    expect((await drop(target)).dropped).toBe(true);
    await gone;
  });

  it('refuses while it holds a prepared transaction', async () => {
    const { target } = await swapped('pending');
    await reopen(target.asideName);
    await server.psql(target.asideName, `BEGIN; CREATE TABLE t(); PREPARE TRANSACTION 'pending'`);
    await expect(drop(target)).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining("'pending'"),
    });
    await server.psql(target.asideName, `ROLLBACK PREPARED 'pending'`);
    expect((await drop(target)).dropped).toBe(true);
  });

  it('refuses while it holds a subscription, and takes an idle slot with it', async () => {
    const { target } = await swapped('replicated');
    await reopen(target.asideName);
    await server.psql(
      target.asideName,
      `SET client_min_messages = error;
       CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false);
       SELECT pg_create_logical_replication_slot('idle', 'test_decoding')`,
    );
    await expect(drop(target)).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining("subscriptions: 's'"),
    });
    await server.psql(target.asideName, `ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s`);
    expect(await drop(target)).toEqual({ dropped: true, notes: [expect.stringContaining("'idle'")] });
  });

  it('finishes a DROP DATABASE that was cut short', async () => {
    const { target } = await swapped('halved');
    await server.psql('postgres', `UPDATE pg_database SET datconnlimit = -2 WHERE oid = ${String(target.asideOid)}`);
    expect((await drop(target)).dropped).toBe(true);
  });
});
