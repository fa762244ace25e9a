import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type WorkerProcess, type World } from '../../parts/world.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start } from './runs.ts';

describe('a worker', () => {
  let world: World;
  let server: PostgresServer;
  let worker: WorkerProcess;
  const lines = async (of: WorkerProcess) =>
    (await of.log())
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({
      clusters: { main: clusterAt(server, 'main'), lonely: clusterAt(server, 'nobody') },
      policies: Object.fromEntries(
        ['main', 'lonely'].map((cluster) => [cluster, { cluster, method: 'pg_dumpall', repository: 'nas' }]),
      ),
    });
    worker = await world.startWorker();
  });
  afterAll(() => world.stop());

  test('tells of its health, its readiness and its work, and logs JSON without secrets', async () => {
    await backUp(world, 'main');
    const ask = async (path: string) => {
      const answer = await fetch(`${worker.healthUrl}${path}`);
      return { status: answer.status, text: await answer.text() };
    };
    expect(await ask('/healthz')).toEqual({ status: 200, text: '{"status":"ok"}' });
    expect(await ask('/readyz')).toEqual({ status: 200, text: '{"status":"ready","missing":[]}' });
    const { status, text } = await ask('/metrics');
    expect(status).toBe(200);
    expect(text).toContain('holdfast_activities_total{activity="takeBackup",outcome="done"} 1');
    expect(text).toContain('holdfast_build_info{version="');
    for (const line of await lines(worker))
      expect(line).toMatchObject({ level: expect.any(String), time: expect.any(String), msg: expect.any(String) });
    expect(await worker.log()).not.toContain(server.password);
  });

  test('goes on with the last good configuration when the file breaks, and says so', async () => {
    const good = await readFile(world.configFile, 'utf8');
    for (const broken of ['policies: [', 'installation: 7\n', '']) {
      await writeFile(world.configFile, broken);
      expect(await backUp(world, 'main')).toMatchObject({ status: 'complete' });
    }
    await writeFile(world.configFile, good);
    const complaints = (await lines(worker)).filter(({ msg }) =>
      String(msg).includes('going on with what it said before'),
    );
    expect(complaints.length).toBeGreaterThanOrEqual(3);
    expect(complaints[0]).toMatchObject({
      level: 'error',
      error: expect.stringContaining(world.configFile) as unknown,
    });
    await expectClean(world, server);
  });

  test('that serves a site and is only being restarted fails no run', async () => {
    await worker.end();
    const run = await start(world, 'backup', { policy: 'main' });
    worker = await world.startWorker();
    expect(await run.result()).toMatchObject({ status: 'complete' });
    await expectClean(world, server);
  });

  test('of no site is missed within a minute, by name, with the command that would help', async () => {
    const failures = await Promise.all(
      [
        start(world, 'backup', { policy: 'lonely' }),
        start(world, 'prune', { policy: 'lonely' }),
        start(world, 'restore', { cluster: 'lonely', database: 'app' }),
      ].map(async (run) => failureOf(await run)),
    );
    for (const failure of failures) {
      expect(failure).toMatchObject({
        type: 'NoWorker',
        hint: expect.stringContaining("'holdfast worker --site nobody'") as unknown,
      });
      expect(failure.message).toContain('site nobody');
    }
    await expectClean(world, server);
  });

  test('without a configuration or at a port that is taken says so and ends', async () => {
    const { code, stderr } = await world.holdfast('--config', '/nonexistent/holdfast.yaml', 'worker');
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringContaining('/nonexistent/holdfast.yaml') as unknown,
    });
    const taken = await world.holdfast('worker', '--health', worker.healthUrl.replace('http://', ''));
    expect(taken.code).toBe(3);
    expect(taken.stderr).toContain('may be taken');
  });
});
