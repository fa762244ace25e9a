import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { clusterAt, contents, createLedger, damageLedger, oidOf, policiesFor, rowsOf, untilSql } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, start, untilDecision, untilFollowUp, untilProgress } from './runs.ts';

describe('several runs on one cluster at once', () => {
  let world: World;
  let server: PostgresServer;
  let whole: string;
  const release = { by: 'alice', reason: 'enough' };

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({ clusters: { main: clusterAt(server, 'main') }, policies: policiesFor('main') });
    await createLedger(server, 'gatus');
    await world.startWorker({ slots: 3, args: ['--site', 'main'] });
    await backUp(world);
    whole = await contents(server, 'gatus');
    await damageLedger(server, 'gatus');
  });
  afterAll(() => world.stop());

  test('two restores of one database are both built; the first swaps, the second needs a new plan and a new approval', async () => {
    const argument = { cluster: 'main', database: 'gatus' };
    const [first, second] = [await start(world, 'restore', argument), await start(world, 'restore', argument)];
    const [planOfFirst, planOfSecond] = [await untilDecision(first), await untilDecision(second)];
    await approve(first, planOfFirst);
    const swapped = await untilFollowUp(first);
    await server.psql('gatus', "INSERT INTO ledger.entries (note) VALUES ('between the two')");

    await approve(second, planOfSecond);
    const replanned = await untilProgress(
      second,
      ({ waitingFor, planDigest }) => waitingFor === 'decision' && planDigest !== planOfSecond.planDigest,
    );
    expect(replanned.plan?.facts.target.liveOid).toBe(swapped.plan?.facts.copyOid);
    expect(JSON.stringify(replanned.plan?.obstacles)).toContain('is another database');
    expect(await rowsOf(server, 'gatus')).toBe(1001);
    await approve(second, replanned);
    const swappedAgain = await untilFollowUp(second);
    expect(await contents(server, 'gatus')).toBe(whole);

    // The newer one is settled first: until then the older one's database may be needed.
    await first.signal('release', release);
    const { refusals } = await untilProgress(first, (progress) => progress.refusals.length === 1);
    expect(refusals[0]?.why).toContain("can't drop");
    await second.signal('undo', release);
    await untilProgress(
      second,
      ({ waitingFor, steps }) => waitingFor === 'follow-up' && steps.some(({ name }) => name === 'undo'),
    );
    expect(await rowsOf(server, 'gatus')).toBe(1001);
    expect(await oidOf(server, 'gatus')).toBe(swappedAgain.plan?.facts.target.liveOid);
    for (const run of [first, second]) {
      await run.signal('release', release);
      expect(await run.result()).toMatchObject({ outcome: 'released' });
    }
    await expectClean(world, server);
  });

  test('a backup while a restore waits for approval goes through', async () => {
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const waiting = await untilDecision(run);
    expect(await backUp(world)).toMatchObject({ status: 'complete' });
    await approve(run, waiting);
    await untilFollowUp(run);
    await run.signal('release', release);
    await run.result();
    await expectClean(world, server);
  });

  test('a swap waits for a backup that is running, a backup for a swap, and all end well', async () => {
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const waiting = await untilDecision(run);
    // Holds the dump where it asks for its table lock.
    await server.psql('gatus', 'CREATE TABLE IF NOT EXISTS public.held ()');
    const { default: pg } = await import('pg');
    const holder = new pg.Client({ connectionString: server.url('gatus') });
    holder.on('error', () => undefined);
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE public.held IN ACCESS EXCLUSIVE MODE');
    const backup = await start(world, 'backup', { policy: 'daily' });
    await untilSql(
      server,
      "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'holdfast%' AND wait_event_type = 'Lock'",
      't',
    );
    await approve(run, waiting);
    const during = await untilProgress(run, ({ decisions }) => decisions.length === 1);
    expect(during.steps.some(({ name }) => name === 'swap')).toBe(false);
    await holder.query('ROLLBACK');
    await holder.end();
    expect(await backup.result()).toMatchObject({ status: 'complete' });
    await untilFollowUp(run);
    expect(await backUp(world)).toMatchObject({ status: 'complete' });
    await run.signal('release', release);
    await run.result();
    await expectClean(world, server);
  });

  test('the lease of a run that was terminated while it held one is taken by the next', async () => {
    await world.configure({
      clusters: { main: clusterAt(server, 'waiting') },
      policies: policiesFor('main'),
    });
    await world.startWorker({ args: ['--site', 'waiting'], failpoints: 'swap:inspected=wait' });
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const { plan, ...waiting } = await untilDecision(run);
    await approve(run, { plan, ...waiting });
    await untilSql(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast swap%'", '1');
    await run.terminate('for a test');
    expect(await backUp(world)).toMatchObject({ status: 'complete' });
    await untilSql(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'", '0');
    await server.psql('postgres', `DROP DATABASE ${plan?.facts.copyName ?? ''}`);
    await expectClean(world, server);
  });
});
