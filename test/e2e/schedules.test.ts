import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { holdDumps, untilDumping } from './held-dump.ts';
import { createLedger } from './ledger.ts';
import { expectClean } from './oracle.ts';

interface Applied {
  readonly schedules: readonly { readonly policy: string; readonly change: string; readonly paused: boolean }[];
}

describe('schedules', () => {
  let world: World;
  let server: PostgresServer;
  const policies = (cron: string, ...names: readonly string[]) =>
    world.configure({
      policies: Object.fromEntries(
        names.map((name) => [name, { cluster: 'main', method: 'pg_dumpall', repository: 'nas', schedule: cron }]),
      ),
    });
  const apply = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await world.holdfast('--json', 'apply', ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() as unknown });
    return (JSON.parse(stdout) as Applied).schedules.map(
      ({ policy, change, paused }) => `${policy} ${change}${paused ? ' paused' : ''}`,
    );
  };
  const ids = async () => {
    const found: string[] = [];
    for await (const { scheduleId } of world.client.schedule.list()) found.push(scheduleId);
    return found.sort();
  };
  /** Temporal lists schedules a moment after they were made or deleted. */
  const untilListed = async (...wanted: readonly string[]) => {
    while ((await ids()).join() !== [...wanted].sort().join()) await sleep(100);
  };
  const at = (policy: string) => world.client.schedule.getHandle(`world/${policy}`);

  /** As at its time: the SDK's own `trigger` would start a run whatever else runs. */
  const fire = (policy: string) =>
    world.client.workflowService.patchSchedule({
      namespace: world.temporal.namespace,
      scheduleId: `world/${policy}`,
      patch: { triggerImmediately: {} },
    });

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await policies('0 2 * * *', 'daily', 'weekly');
    await createLedger(server, 'held', { rows: 10 });
    await world.startWorker();
  });
  afterAll(() => world.stop());

  test('are made once, and applying again changes nothing', async () => {
    expect(await apply()).toEqual(['daily created', 'weekly created']);
    expect(await apply()).toEqual(['daily unchanged', 'weekly unchanged']);
    const { spec, policies: how } = await at('daily').describe();
    expect(spec.timezone).toBe('UTC');
    expect(how).toMatchObject({ overlap: 'SKIP', catchupWindow: 12 * 3_600_000 });
  });

  test('keep a pause that a human made, also when they change', async () => {
    await at('weekly').pause('the server moves');
    expect(await apply()).toEqual(['daily unchanged', 'weekly unchanged paused']);
    await policies('30 3 * * *', 'daily', 'weekly');
    expect(await apply()).toEqual(['daily updated', 'weekly updated paused']);
    expect((await at('weekly').describe()).state).toMatchObject({ paused: true, note: 'the server moves' });
    await at('weekly').unpause();
    expect(await apply()).toEqual(['daily unchanged', 'weekly unchanged']);
  });

  test('of somebody else are never touched, and own ones go only with --prune', async () => {
    const foreign = { 'world/by-hand': undefined, 'other/daily': { 'holdfast-installation': 'other' } };
    for (const [scheduleId, memo] of Object.entries(foreign))
      await world.client.schedule.create({
        scheduleId,
        spec: { cronExpressions: ['0 4 * * *'] },
        action: { type: 'startWorkflow', workflowType: 'backup', taskQueue: 'holdfast', args: [{ policy: 'daily' }] },
        state: { paused: true },
        ...(memo === undefined ? {} : { memo }),
      });
    await policies('30 3 * * *', 'daily');
    await untilListed('other/daily', 'world/by-hand', 'world/daily', 'world/weekly');
    expect(await apply()).toEqual(['daily unchanged', 'weekly orphaned']);
    expect(await ids()).toContain('world/weekly');
    expect(await apply('--prune')).toEqual(['daily unchanged', 'weekly deleted']);
    await untilListed('other/daily', 'world/by-hand', 'world/daily');
  });

  test('of six fields are refused, in words', async () => {
    await expect(policies('0 0 2 * * *', 'daily')).rejects.toThrow(/policies\.daily\.schedule: .*five fields/);
    const { code, stderr } = await world.holdfast('apply');
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringContaining('policies.daily.schedule') as unknown,
    });
    await policies('30 3 * * *', 'daily');
  });

  test('that fire while their last backup still runs start no second one', async () => {
    const letGo = await holdDumps(server, 'held');
    await fire('daily');
    await untilDumping(world, server);
    await fire('daily');
    const skipped = async () => (await at('daily').describe()).raw.info?.overlapSkipped?.toNumber() ?? 0;
    while ((await skipped()) === 0) await sleep(100);
    await letGo();
    const { info } = await at('daily').describe();
    const actions = info.recentActions.map(({ action }) => action.workflow.workflowId);
    expect(actions).toHaveLength(1);
    expect(actions[0]).toMatch(/^backup\/daily/);
    expect(await world.client.workflow.getHandle(actions[0] ?? '').result()).toMatchObject({ status: 'complete' });
    await expectClean(world, server);
  });
});
