import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import {
  clusterAt,
  contents,
  createLedger,
  damageLedger,
  holdLoads,
  policiesFor,
  traces,
  untilLoading,
  untilSql,
} from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision, untilFollowUp } from './runs.ts';

const closed = (database: string) =>
  `SELECT count(*) FROM pg_database WHERE datname = '${database}' AND NOT datallowconn`;

describe('a restore that is cancelled or terminated from outside', () => {
  let world: World;
  let server: PostgresServer;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({
      clusters: {
        main: clusterAt(server, 'main'),
        waiting: clusterAt(server, 'waiting'),
        dying: clusterAt(server, 'dying'),
      },
      policies: policiesFor('main'),
    });
    for (const name of ['gatus', 'app', 'vault']) await createLedger(server, name);
    await world.startWorker({ args: ['--site', 'main'] });
    await world.startWorker({ args: ['--site', 'waiting'], failpoints: 'swap:closed=wait' });
    await backUp(world);
    for (const name of ['gatus', 'app', 'vault']) await damageLedger(server, name);
  });
  afterAll(() => world.stop());

  test('cancelled while rows are loaded, it leaves no process, no session and no copy', async () => {
    const untouched = await traces(server, 'gatus');
    const letGo = await holdLoads(server);
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    await untilLoading(server);
    await run.cancel();
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    await expectClean(world, server);
    await letGo();
    expect(await traces(server, 'gatus')).toBe(untouched);
  });

  test('cancelled while it waits for a decision, it drops its copy', async () => {
    const untouched = await traces(server, 'gatus');
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    await untilDecision(run);
    await run.cancel();
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, server);
  });

  test('cancelled in the middle of the swap, it opens the live database again, as it was', async () => {
    const untouched = await traces(server, 'gatus');
    const run = await start(world, 'restore', { cluster: 'main', onto: 'waiting', database: 'gatus' });
    await approve(run, await untilDecision(run));
    await untilSql(server, closed('gatus'), '1');
    await run.cancel();
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, server);
  });

  test('cancelled while the worker that swapped is dead, another opens the live database again', async () => {
    const untouched = await traces(server, 'app');
    const doomed = await world.startWorker({ args: ['--site', 'dying'], failpoints: 'swap:closed=kill' });
    const run = await start(world, 'restore', { cluster: 'main', onto: 'dying', database: 'app' });
    await approve(run, await untilDecision(run));
    await doomed.ended();
    expect((await server.psql('postgres', closed('app'))).trim()).toBe('1');
    await run.cancel();
    await world.startWorker({ args: ['--site', 'dying'] });
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    expect(await traces(server, 'app')).toBe(untouched);
    await expectClean(world, server);
  });

  test('cancelled after the swap, it changes nothing more, and its record names what was put aside', async () => {
    const run = await start(world, 'restore', { cluster: 'main', database: 'vault' });
    await approve(run, await untilDecision(run));
    const { plan } = await untilFollowUp(run);
    const restored = await contents(server, 'vault');
    await run.cancel();
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    const oldName = plan?.facts.oldName ?? '';
    await expectClean(world, server, [oldName]);
    expect(await contents(server, 'vault')).toBe(restored);
    await server.psql('postgres', `DROP DATABASE ${oldName}`);
  });

  test('terminated while rows are loaded, no process is left, and the next restore names the copy and takes over', async () => {
    const untouched = await traces(server, 'gatus');
    const letGo = await holdLoads(server);
    const first = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    await untilLoading(server);
    const left = (
      await server.psql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'gatus_new_%'")
    ).trim();
    await first.terminate('for a test');
    await untilSql(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'", '0');
    await letGo();
    expect(await traces(server, 'gatus')).toBe(untouched);

    const pruned = await start(world, 'prune', { policy: 'daily' });
    await pruned.result();
    const next = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const waiting = await untilDecision(next);
    const noted = JSON.stringify(waiting.plan?.obstacles);
    expect(noted).toContain(left);
    await server.psql('postgres', `DROP DATABASE ${left}`);
    await approve(next, waiting);
    await untilFollowUp(next);
    await next.signal('release', { by: 'alice', reason: 'enough' });
    await next.result();
    await backUp(world);
    await server.psql('postgres', 'SELECT 1');
    const leases = await world.client.workflow.getHandle('cluster/main').query<unknown[]>('holders');
    expect(leases.length).toBeLessThanOrEqual(1);
  });

  test('terminated in the middle of the swap, its worker hears of it and opens the live database again', async () => {
    const untouched = await traces(server, 'app');
    const run = await start(world, 'restore', { cluster: 'main', onto: 'waiting', database: 'app' });
    await approve(run, await untilDecision(run));
    await untilSql(server, closed('app'), '1');
    await run.terminate('for a test');
    await untilSql(server, closed('app'), '0');
    expect(await traces(server, 'app')).toBe(untouched);

    // The lease of a run that is gone is nobody's.
    await world.startWorker({ args: ['--site', 'waiting'] });
    const copies = "SELECT datname FROM pg_database WHERE datname LIKE 'app_new_%'";
    await server.psql('postgres', `DROP DATABASE ${(await server.psql('postgres', copies)).trim()}`);
  });
});
