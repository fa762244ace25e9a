import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type WorkerProcess, type World } from '../../parts/world.ts';
import {
  clusterAt,
  contents,
  createLedger,
  damageLedger,
  holdLoads,
  oidOf,
  policiesFor,
  rowsOf,
  untilLoading,
} from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, start, untilDecision, untilFollowUp, untilProgress } from './runs.ts';

/**
 * Each row is one run on a site of its own, whose worker dies in three places one after the other. They die at the
 * same time, because it takes half a minute until Temporal misses a worker.
 */
const rows = [
  { name: 'one', load: 'load:created', swap: 'swap:closed', undo: 'undo:closed' },
  { name: 'two', load: 'load:loaded', swap: 'swap:sessions-ended', undo: 'undo:renaming' },
  { name: 'three', load: 'verify:analyzed', swap: 'swap:renaming', undo: 'undo:renamed' },
  { name: 'four', load: 'in the middle of its rows', swap: 'swap:renamed', undo: 'undo:opened' },
  { name: 'five', load: 'cluster:loaded', swap: 'swap:opened', undo: null },
] as const;

describe('a worker that is killed in the middle of a restore', () => {
  let world: World;
  let server: PostgresServer;
  let empty: PostgresServer;
  const runs = new Map<string, WorkflowHandle>();
  const before = new Map<string, string>();
  const liveOids = new Map<string, number>();
  let whole: WorkflowHandle;

  const sites = [...rows.map(({ name }) => name as string), 'empty'];
  const everywhere = sites.flatMap((site) => ['--site', site]);
  const doom = (site: string, failpoint?: string): Promise<WorkerProcess> =>
    world.startWorker({
      args: ['--site', site],
      ...(failpoint?.includes(':') === true ? { failpoints: `${failpoint}=kill` } : {}),
    });
  const run = (name: string): WorkflowHandle => {
    const found = runs.get(name);
    if (!found) throw new Error(`no run ${name}`);
    return found;
  };

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    empty = await world.addPostgres('empty', { major: 15 });
    await world.configure({
      clusters: {
        main: clusterAt(server, 'main'),
        ...Object.fromEntries(rows.map(({ name }) => [name, clusterAt(server, name)])),
        empty: clusterAt(empty, 'empty', 'EMPTY_PASSWORD'),
      },
      policies: policiesFor('main'),
    });
    for (const { name } of rows) await createLedger(server, name, { rows: 300 });
    // Goes on living, so that there is always somebody to answer for the runs.
    await world.startWorker({ args: ['--site', 'main'] });
    await backUp(world);
    for (const { name } of rows) {
      before.set(name, await contents(server, name));
      await damageLedger(server, name);
      liveOids.set(name, await oidOf(server, name));
    }
  });
  afterAll(() => world.stop());

  test('while it makes and compares the copy, another goes on, and the live database has seen nothing of it', async () => {
    const doomed = await Promise.all(
      rows.map(({ name, load }) => doom(load === 'cluster:loaded' ? 'empty' : name, load)),
    );
    const letGo = await holdLoads(server);
    runs.set('four', await start(world, 'restore', { cluster: 'main', onto: 'four', database: 'four' }));
    await untilLoading(server);
    await doomed[rows.findIndex(({ name }) => name === 'four')]?.end('SIGKILL');
    await letGo();
    for (const name of ['one', 'two', 'three'])
      runs.set(name, await start(world, 'restore', { cluster: 'main', onto: name, database: name }));
    whole = await start(world, 'restore', { cluster: 'main', onto: 'empty' });
    const wholePlan = Promise.race([untilDecision(whole).then((waiting) => approve(whole, waiting)), whole.result()]);
    await Promise.all(doomed.map((worker) => worker.ended()));
    const rescuer = await world.startWorker({ slots: 6, args: everywhere });
    runs.set('five', await start(world, 'restore', { cluster: 'main', onto: 'five', database: 'five' }));
    for (const { name } of rows) {
      const { plan } = await untilDecision(run(name));
      expect(plan?.facts.report).toMatchObject({ ok: true, rows: 300, differences: [] });
      expect(await rowsOf(server, name)).toBe(100);
      expect(await oidOf(server, name)).toBe(liveOids.get(name));
    }
    await wholePlan;
    expect(await whole.result()).toMatchObject({ outcome: 'restored' });
    for (const { name } of rows) expect(await contents(empty, name)).toBe(before.get(name));
    await rescuer.end();
  });

  test('while it swaps, another finishes the same swap, once', async () => {
    const doomed = await Promise.all(rows.map(({ name, swap }) => doom(name, swap)));
    for (const { name } of rows) await approve(run(name), await untilDecision(run(name)));
    await Promise.all(doomed.map((worker) => worker.ended()));
    const rescuer = await world.startWorker({ slots: 6, args: everywhere });
    for (const { name } of rows) {
      const { decisions, plan } = await untilFollowUp(run(name));
      expect(decisions).toHaveLength(1);
      expect(await contents(server, name)).toBe(before.get(name));
      expect(await oidOf(server, name)).toBe(plan?.facts.copyOid);
      expect(await oidOf(server, plan?.facts.oldName ?? '')).toBe(liveOids.get(name));
      const records = await readdir(join(world.repository, name, 'runs'));
      expect(records.filter((record) => record.endsWith('-swapped.json'))).toHaveLength(1);
    }
    await rescuer.end();
  });

  test('while it swaps back, another finishes that, and the old database is live as it was', async () => {
    const undone = rows.flatMap(({ name, undo }) => (undo === null ? [] : [{ name, undo }]));
    const doomed = await Promise.all(undone.map(({ name, undo }) => doom(name, undo)));
    for (const { name } of undone) await run(name).signal('undo', { by: 'alice', reason: 'to see that it works' });
    await Promise.all(doomed.map((worker) => worker.ended()));
    await world.startWorker({ slots: 6, args: everywhere });
    for (const { name } of undone) {
      await untilProgress(
        run(name),
        ({ waitingFor, steps }) =>
          waitingFor === 'follow-up' && steps.some((step) => step.name === 'undo' && step.status === 'done'),
      );
      expect(await oidOf(server, name)).toBe(liveOids.get(name));
      expect(await rowsOf(server, name)).toBe(100);
    }
    for (const { name } of rows) {
      await run(name).signal('release', { by: 'alice', reason: 'enough' });
      expect(await run(name).result()).toMatchObject({ outcome: 'released', database: name });
    }
    expect(await contents(server, 'five')).toBe(before.get('five'));
    await expectClean(world, server);
    await expectClean(world, empty);
  });
});
