import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startTemporalServer, type TemporalServer } from '../../parts/temporal-server.ts';
import type { Clock } from '../../src/cli/context.ts';
import { controlQueue, walWorkflowId } from '../../src/domain/ids.ts';
import { holdfast } from './command-line.ts';

/** A real Temporal server and no worker: what the command line says and does when nobody answers. */

let server: TemporalServer;
let connection: Connection;
let client: Client;
let directory: string;

const clock: Clock = { now: () => Date.now(), sleep: (ms) => sleep(ms) };
/** What a workflow was started with. */
async function inputOf(id: string): Promise<unknown> {
  const { events } = await client.workflow.getHandle(id).fetchHistory();
  const data = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
  return JSON.parse(new TextDecoder().decode(data ?? new Uint8Array())) as unknown;
}
const write = (policies: string, clusters = 'jigga: { server: { host: db }, site: tokyo }') =>
  writeFile(
    join(directory, 'holdfast.yaml'),
    `
installation: cli-test
repositories: { nas: { directory: ${directory}/backup } }
clusters: { ${clusters} }
policies: { ${policies} }
`,
  );
const daily = 'jigga-daily: { cluster: jigga, method: pg_dumpall, repository: nas, schedule: "0 2 * * *" }';
const weekly =
  'jigga-weekly: { cluster: jigga, method: pg_dumpall, repository: nas, schedule: "0 3 * * 0", timezone: Asia/Tokyo }';

const run = (...argv: string[]) =>
  holdfast(argv, {
    directory,
    clock,
    environment: { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
  });
const started = async (): Promise<string> => {
  const { code, stdout } = await run('backup', 'jigga-daily', '--no-wait', '--json');
  expect(code).toBe(0);
  return (JSON.parse(stdout) as { run: string }).run;
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  server = await startTemporalServer();
  connection = await Connection.connect({ address: server.address });
  client = new Client({ connection, namespace: server.namespace });
});
afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(directory, { recursive: true });
});

describe('apply', () => {
  test('makes schedules, leaves what is equal, names and deletes what is orphaned', async () => {
    const changes = async (...more: string[]) => {
      const { code, stdout } = await run('apply', '--json', ...more);
      expect(code).toBe(0);
      const { schedules } = JSON.parse(stdout) as { schedules: { policy: string; change: string; next: string[] }[] };
      return schedules.map(({ policy, change, next }) => `${policy} ${change} ${String(next.length)}`);
    };
    await write(`${daily}, ${weekly}`);
    expect(await changes()).toEqual(['jigga-daily created 3', 'jigga-weekly created 3']);
    expect(await changes()).toEqual(['jigga-daily unchanged 3', 'jigga-weekly unchanged 3']);
    await write(daily);
    const orphaned = () => changes().then((found) => found.includes('jigga-weekly orphaned 0'));
    while (!(await orphaned())) await sleep(100); // listing schedules lags a little behind
    expect(await changes('--prune')).toEqual(['jigga-daily unchanged 3', 'jigga-weekly deleted 0']);
  });

  test('keeps a pause and says so, and which worker is missing', async () => {
    await write(daily);
    await run('apply');
    await client.schedule.getHandle('cli-test/jigga-daily').pause('for a while');
    const { code, stdout, stderr } = await run('apply');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /unchanged {2}jigga-daily {2}0 2 \* \* \* \(UTC\) {2}PAUSED\n( +next \d{4}-\d\d-\d\d 02:00 UTC\n){3}/,
    );
    expect(stderr).toContain(
      "note: no worker polls holdfast, holdfast/tokyo/control, holdfast/tokyo: start 'holdfast worker --site tokyo'",
    );
  });
});

describe('without a worker', () => {
  test('a run is started, shown and cancelled all the same', async () => {
    await write(daily);
    const id = await started();
    expect(id).toMatch(/^backup\/jigga-daily\/[0-9a-f]{8}$/);
    const { code, stdout, stderr } = await run('status', id);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/backup, running, started/) });
    expect(stderr).toContain(
      "note: no worker answers, so the run's steps and plan are not shown; start one with 'holdfast worker'",
    );
    expect(await run('cancel', id)).toMatchObject({ code: 0 });
  });

  test('a recovery and a drill are started with what was typed, and are runs of ours', async () => {
    await write(daily);
    const argv = ['--cluster', 'jigga', '--lsn', '0/3000148', '--exclusive', '--port', '5444', '--no-wait', '--json'];
    const recovery = await run('recover', ...argv);
    const drill = await run('drill', 'jigga-daily', '--no-wait', '--json');
    const ids = [recovery, drill].map(({ code, stdout }) => {
      expect(code).toBe(0);
      return (JSON.parse(stdout) as { run: string }).run;
    });
    expect(ids).toEqual([
      expect.stringMatching(/^recover\/jigga\/[0-9a-f]{8}$/),
      expect.stringMatching(/^drill\/jigga-daily\/[0-9a-f]{8}$/),
    ]);
    const inputs = await Promise.all(ids.map(inputOf));
    expect(inputs).toEqual([
      {
        cluster: 'jigga',
        target: { lsn: '0/3000148', inclusive: false },
        beside: { port: 5444 },
        tablespaces: {},
        requestedBy: 'alice',
      },
      { policy: 'jigga-daily' },
    ]);
    for (const id of ids) {
      expect(await run('status', id)).toMatchObject({ code: 0 });
      expect(await run('recover', 'promote', id, '--reason', 'why')).toMatchObject({
        code: id.startsWith('recover') ? 5 : 6,
      });
      await client.workflow.getHandle(id).terminate('enough');
    }
    expect(await run('recover', 'promote', ids[0] ?? '', '--reason', 'why')).toMatchObject({ code: 6 });
  });

  test('status names a WAL archive that nobody started, and one that runs', async () => {
    await write(daily, 'jigga: { server: { host: db }, site: tokyo, wal: { repository: nas } }');
    const idle = await run('status');
    expect(idle.stdout).toMatch(
      /\njigga +NOT RUNNING\nWAL of cluster jigga is not archived: 'holdfast apply' starts that\n/,
    );
    await client.workflow.start('archiveWal', {
      workflowId: walWorkflowId('jigga'),
      taskQueue: controlQueue,
      args: [{ cluster: 'jigga' }],
    });
    const state = async () =>
      (JSON.parse((await run('status', '--json')).stdout) as { walArchives: { run: string | null }[] }).walArchives;
    while ((await state())[0]?.run === null) await sleep(100); // listing runs lags a little behind
    expect(await state()).toEqual([{ cluster: 'jigga', run: 'wal/jigga', archiving: null, standing: null }]);
    expect((await run('status', 'wal/jigga')).stdout).toContain('archiveWal, running');
    await client.workflow.getHandle(walWorkflowId('jigga')).terminate('enough');
  });

  test('nothing is decided, and the command says so', async () => {
    const id = await started();
    const argv = ['approve', id, '--plan', 'a1b2c3d4e5f6', '--reason', 'why', '--json'];
    const { code, stderr } = await run(...argv);
    expect({ code, error: JSON.parse(stderr) as unknown }).toMatchObject({
      code: 5,
      error: { error: { type: 'NoWorker' } },
    });
  });

  test('a run that a person terminated is shown with its end, and status counts it among the failures', async () => {
    const id = await started();
    await client.workflow.getHandle(id).terminate('enough');
    const one = await run('status', id, '--json');
    expect(one.code).toBe(0);
    expect(JSON.parse(one.stdout)).toMatchObject({ status: 'TERMINATED', failure: { type: 'Terminated' } });
    const failures = async () =>
      (JSON.parse((await run('status', '--json')).stdout) as { failures: { run: string }[] }).failures.map(
        ({ run: name }) => name,
      );
    while (!(await failures()).includes(id)) await sleep(100); // listing runs lags a little behind
    expect(await run('status', id, '--follow')).toMatchObject({ code: 1 });
    expect(await run('approve', id, '--plan', 'a1b2c3d4e5f6', '--reason', 'why')).toMatchObject({ code: 6 });
    expect(await run('restore', 'undo', id, '--reason', 'why')).toMatchObject({ code: 6 });
  });

  test('status says what is protected as far as it can be known from here', async () => {
    await write(daily);
    const { code, stdout, stderr } = await run('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^CLUSTER +POLICY +NEWEST GOOD BACKUP +AGE +SCHEDULE\njigga +jigga-daily +NONE +PAUSED\n/);
    expect(stderr).toContain("repository nas can't be read from here");
  });
});

describe('Ctrl-C in a real process', () => {
  test('leaves the run running, and says so with exit code 130', async () => {
    await write(daily);
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', main, 'backup', 'jigga-daily', '--config', join(directory, 'holdfast.yaml')],
      {
        env: { ...process.env, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (chunk.includes('no worker answers')) child.kill('SIGINT');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    const id = /started (\S+)/.exec(said)?.[1] ?? '';
    expect({ code, said }).toEqual({
      code: 130,
      said: expect.stringContaining(`no longer following run ${id}, which goes on`),
    });
    expect((await client.workflow.getHandle(id).describe()).status.name).toBe('RUNNING');
  });
});

describe('what Temporal does not know', () => {
  test.each([
    ['status', ['status', 'backup/x/1']],
    ['cancel', ['cancel', 'backup/x/1']],
    ['approve', ['approve', 'restore/x/1', '--plan', 'a1b2c3d4e5f6', '--reason', 'why']],
    ['undo', ['restore', 'undo', 'restore/x/1', '--reason', 'why']],
  ])('%s of no run ends with exit code 4', async (_, argv) => {
    expect(await run(...argv)).toMatchObject({ code: 4, stderr: expect.stringContaining('no run') });
  });

  test('a workflow of somebody else is no run of ours', async () => {
    await client.workflow.start('theirs', { workflowId: 'theirs', taskQueue: 'theirs' });
    expect(await run('status', 'theirs')).toMatchObject({ code: 4 });
  });

  test('a namespace that is not there is said with its name', async () => {
    const environment = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'nowhere' };
    const { code, stderr } = await holdfast(['cancel', 'x'], { directory, clock, environment });
    expect(code).toBe(5);
    expect(stderr).toContain('nowhere');
  });
});
