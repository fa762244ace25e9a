import { beforeAll, describe, expect, test } from '@jest/globals';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { readFile, readdir } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

interface RecordedEvent {
  readonly eventType: string;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
}
interface Recorded {
  readonly events: RecordedEvent[];
}

const recorded = [
  'adopt',
  'archive-wal',
  'backup-archives',
  'backup-base',
  'backup-cnpg',
  'backup-complete',
  'backup-in-pod',
  'backup-partial',
  'cluster',
  'drill-cnpg',
  'drill-dump',
  'drill',
  'prune-base',
  'prune',
  'recover-cluster-promoted',
  'recover-cluster-thrown-away',
  'recover-on',
  'recover-thrown-away',
  'restore-cluster',
  'restore-created',
  'restore-expired',
  'restore-foreign',
  'restore-rejected',
  'restore-released',
  'restore-replanned',
  'restore-schema',
  'restore-undone',
] as const;

const read = async (name: string): Promise<Recorded> =>
  JSON.parse(await readFile(path(`histories/${name}.json`), 'utf8')) as Recorded;

/** Why the bundle that users run can't go on with a run of that history; undefined: it can. */
async function replayError(name: string, history: Recorded): Promise<Error | undefined> {
  const replays = Worker.runReplayHistories({ workflowBundle: { codePath: path('../../dist/workflow-bundle.js') } }, [
    { workflowId: `recorded/${name}`, history },
  ]);
  for await (const { error } of replays) return error;
  throw new Error(`${name} was not replayed`);
}

describe('runs that an earlier version began', () => {
  let files: string[];
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    files = await readdir(path('histories'));
  });

  test('are recorded for every workflow and each of its main ways to end', () => {
    expect(files.sort()).toEqual(recorded.map((name) => `${name}.json`));
  });

  test.each(recorded)('%s: today’s code goes on with it', async (name) => {
    expect(await replayError(name, await read(name))).toBeUndefined();
  });

  test.each(recorded)('%s: its history stays small', async (name) => {
    expect((await read(name)).events.length).toBeLessThanOrEqual(200);
  });

  test.each(recorded)('%s: names neither the machine nor a password', async (name) => {
    const text = await readFile(path(`histories/${name}.json`), 'utf8');
    const payloads = [...text.matchAll(/"data": "([^"]*)"/g)].map(([, data = '']) =>
      Buffer.from(data, 'base64').toString('utf8'),
    );
    const all = [text, ...payloads].join('\n');
    for (const secret of [hostname(), userInfo().homedir, process.cwd(), '/tmp/', '/dev/shm'])
      expect(all.includes(secret) ? secret : '').toBe('');
    expect(all).not.toMatch(/postgres(ql)?:\/\/|SCRAM-SHA-256\$/);
  });

  // Without this one, a replay that compares nothing would pass for one that finds nothing.
  test('of which one was tampered with are found out', async () => {
    const history = await read('restore-released');
    const planned = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'planRestore',
    );
    if (planned?.activityTaskScheduledEventAttributes === undefined)
      throw new Error('the recorded run planned nothing');
    planned.activityTaskScheduledEventAttributes.activityType.name = 'dropEverything';
    const error = await replayError('restore-released', history);
    expect(error?.name).toBe('DeterminismViolationError');
  });
});
