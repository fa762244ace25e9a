import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { makeScratch } from '../../parts/scratch.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { backupsIn, hiddenFiles, holdDumps, untilDumping } from './held-dump.ts';
import { clusterAt, createLedger } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start } from './runs.ts';

describe('a backup that is interrupted in the middle of its bytes', () => {
  let world: World;
  let server: PostgresServer;
  let state: string;
  let letGo: () => Promise<void>;
  const sites = ['handed', 'frozen', 'forgetful', 'main'];
  const oneOf = (site: string) => backupsIn(world, join(site, 'logical'));
  const serve = (site: string, ...args: readonly string[]) => world.startWorker({ args: ['--site', site, ...args] });
  const begin = async (site: string): Promise<WorkflowHandle> => {
    letGo = await holdDumps(server, 'held');
    const run = await start(world, 'backup', { policy: site });
    await untilDumping(world, server);
    return run;
  };
  /** How often the run waited before it tried again, which it does only after a failure that counts. */
  const pausesOf = async (run: WorkflowHandle) =>
    ((await run.fetchHistory()).events ?? []).filter(({ timerStartedEventAttributes }) => timerStartedEventAttributes)
      .length;

  beforeAll(async () => {
    state = await makeScratch('temporal-state');
    world = await startWorld({ temporal: { dbFile: join(state, 'temporal.db') } });
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({
      clusters: Object.fromEntries(sites.map((name) => [name, clusterAt(server, name)])),
      policies: Object.fromEntries(
        sites.map((cluster) => [cluster, { cluster, method: 'pg_dumpall', repository: 'nas' }]),
      ),
    });
    await createLedger(server, 'app', { rows: 5000 });
    await createLedger(server, 'held', { rows: 10 });
    await serve('main');
  });
  afterAll(async () => {
    await world.stop();
    await rm(state, { recursive: true });
  });

  test('by a worker that is told to stop is handed over, and none of its tries is spent', async () => {
    const stopping = await serve('handed', '--grace', '1s');
    const run = await begin('handed');
    await stopping.end('SIGTERM');
    await expectClean(world, server, [], ['handed']);
    await serve('handed');
    await untilDumping(world, server);
    await letGo();
    expect(await run.result()).toMatchObject({ status: 'complete' });
    expect(await pausesOf(run)).toBe(0);
    expect(await oneOf('handed')).toHaveLength(1);
    await expectClean(world, server);
  });

  test('by a worker that freezes is taken over, and the frozen one, when it wakes, adds nothing', async () => {
    const frozen = await serve('frozen');
    const run = await begin('frozen');
    process.kill(frozen.pid, 'SIGSTOP');
    const [ofTheFrozen = ''] = await hiddenFiles(world);
    await serve('frozen');
    while ((await hiddenFiles(world)).includes(ofTheFrozen)) await sleep(50);
    await untilDumping(world, server);
    process.kill(frozen.pid, 'SIGCONT');
    await letGo();
    expect(await run.result()).toMatchObject({ status: 'complete' });
    await backUp(world, 'frozen');
    expect(await oneOf('frozen')).toHaveLength(2);
    await expectClean(world, server);
  });

  test('by a restart of Temporal ends as if nothing had been', async () => {
    await serve('forgetful');
    const run = await begin('forgetful');
    await world.temporal.restart();
    await letGo();
    expect(await run.result()).toMatchObject({ status: 'complete' });
    expect(await oneOf('forgetful')).toHaveLength(1);
    await expectClean(world, server);
  });

  test('by a cancellation leaves no process, nothing to see and no lease', async () => {
    const run = await begin('main');
    await run.cancel();
    expect(await failureOf(run)).toMatchObject({ type: 'CancelledFailure' });
    await expectClean(world, server);
    await letGo();
    expect(await oneOf('main')).toEqual([]);
  });

  test('by being terminated leaves no process and nothing to see, and its lease falls to the next who asks', async () => {
    const run = await begin('main');
    await run.terminate('a test');
    expect(await failureOf(run)).toMatchObject({ type: 'TerminatedFailure' });
    await expectClean(world, server, [], ['main']);
    await letGo();
    expect(await oneOf('main')).toEqual([]);
    await backUp(world, 'main');
    await expectClean(world, server);
  });
});
