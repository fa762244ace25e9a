import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { WorkerProcess, World } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import {
  copyOf,
  instancesOf,
  leftOfRecoveries,
  note,
  startArchive,
  startArchiving,
  stopArchiving,
  stopInstance,
  until,
  untilArchived,
  type Copy,
  type Moment,
} from './recovering.ts';
import { backUp, start, untilProgress } from './runs.ts';

/**
 * Each row is one recovery on a site of its own, whose worker dies in two places one after the other. They die at the
 * same time, because it takes half a minute until Temporal misses a worker.
 */
const rows = [
  { name: 'one', making: 'recover:fetch', verb: 'promote', deciding: 'recover:promote' },
  { name: 'two', making: 'recover:fetched', verb: 'promote', deciding: 'recover:promoted' },
  { name: 'three', making: 'recover:replay', verb: 'throw-away', deciding: 'recover:throw away' },
  { name: 'four', making: 'recover:reached', verb: 'go-on', deciding: 'recover:replay' },
  { name: 'five', making: 'in the middle of the fetch', verb: 'go-on', deciding: 'recover:reached' },
] as const;

describe('a worker that is killed in the middle of a recovery', () => {
  let world: World;
  let server: PostgresServer;
  let first: Moment;
  const copies = new Map<string, Copy>();
  const everywhere = ['main', ...rows.map(({ name }) => name)].flatMap((site) => ['--site', site]);

  const doom = (site: string, failpoint: string): Promise<WorkerProcess> =>
    world.startWorker({
      args: ['--site', site],
      ...(failpoint.includes(':') ? { failpoints: `${failpoint}=kill` } : {}),
    });
  const copy = (name: string): Copy => {
    const found = copies.get(name);
    if (!found) throw new Error(`no copy ${name}`);
    return found;
  };
  const besides = (handle: WorkflowHandle, name: string) =>
    untilProgress<RecoveryPlan>(
      handle,
      ({ waitingFor, steps }) =>
        waitingFor === 'follow-up' && steps.some((step) => step.name === name && step.status === 'done'),
    );

  beforeAll(async () => {
    // An archive takes two places, a base backup a third: five of each at once.
    ({ world, server } = await startArchiving({ major: 15, settings: { max_wal_senders: '20' } }));
    const clusters = Object.fromEntries(
      rows.map(({ name }) => [name, { ...clusterAt(server, name), wal: { repository: 'nas', maxAge: '1h' } }]),
    );
    await world.configure({
      clusters: { main: clusterAt(server, 'main'), ...clusters },
      policies: Object.fromEntries(
        rows.map(({ name }) => [`base-${name}`, { cluster: name, method: 'base', repository: 'nas', window: '7d' }]),
      ),
    });
    // So much that a fetch takes longer than it takes to see that it has begun.
    await server.psql(
      'postgres',
      'CREATE TABLE bulk AS SELECT n, repeat(md5(n::text), 8) AS text FROM generate_series(1, 200000) n',
    );
    const archivist = await world.startWorker({ slots: 4, args: everywhere });
    const archives = await Promise.all(rows.map(({ name }) => startArchive(world, name)));
    await Promise.all(rows.map(({ name }) => backUp(world, `base-${name}`)));
    first = await note(server, 'first');
    await note(server, 'second');
    for (const { name } of rows) await untilArchived(world, server, name);
    for (const archive of archives) await archive.cancel();
    await archivist.end();
    // Goes on living, so that there is always somebody to answer for the runs.
    await world.startWorker({ args: ['--site', 'main'] });
  });
  afterAll(() => stopArchiving({ world }));

  test('while it brings the copy to its target, another goes on, and the copy is at the target', async () => {
    const doomed = await Promise.all(rows.map(({ name, making }) => doom(name, making)));
    const runs = await Promise.all(
      rows.map(({ name }) => start(world, 'recover', { cluster: name, target: { lsn: first.lsn } })),
    );
    const five = instancesOf(world);
    await until(async () => (await readdir(five).catch(() => [])).some((entry) => entry.startsWith('five-')));
    const [directory = ''] = (await readdir(five)).filter((entry) => entry.startsWith('five-'));
    await until(async () => (await stat(join(five, directory, 'data', 'base')).catch(() => undefined)) !== undefined);
    await doomed[4]?.end('SIGKILL');
    await expect(stat(join(five, directory, 'data', 'global', 'pg_control'))).rejects.toThrow('ENOENT');
    await Promise.all(doomed.map((worker) => worker.ended()));
    const rescuer = await world.startWorker({ slots: 6, args: everywhere });
    for (const [index, { name }] of rows.entries()) {
      const handle = runs[index];
      if (handle === undefined) throw new Error(`no run ${name}`);
      const found = await copyOf(world, handle);
      copies.set(name, found);
      expect(await found.notes()).toBe('first');
      expect(await found.ask('SELECT count(*) FROM bulk')).toBe('200000');
    }
    await rescuer.end();
    // The copies don't need a worker.
    for (const { name } of rows) expect(await copy(name).notes()).toBe('first');
  });

  test('while it does what a human decided, another finishes that, once', async () => {
    const doomed = await Promise.all(rows.map(({ name, deciding }) => doom(name, deciding)));
    for (const { name, verb } of rows)
      await copy(name).handle.signal(verb, {
        by: 'alice',
        reason: 'looked at it',
        ...(verb === 'go-on' ? { target: 'latest' } : {}),
      });
    await Promise.all(doomed.map((worker) => worker.ended()));
    await world.startWorker({ slots: 6, args: everywhere });
    for (const { name, verb } of rows) {
      const found = copy(name);
      const { handle } = found;
      if (verb === 'go-on') {
        await besides(handle, 'go on');
        expect(await found.notes()).toBe('first,second');
        await found.throwAway();
        continue;
      }
      const result = (await handle.result()) as RecoverResult;
      expect(result.outcome).toBe(verb === 'promote' ? 'promoted' : 'thrown away');
      if (verb === 'promote') {
        expect(await found.ask("INSERT INTO notes VALUES ('mine') RETURNING text")).toBe('mine');
        expect(await found.ask('SELECT timeline_id FROM pg_control_checkpoint()')).toBe('2');
        await stopInstance(server, result.directory);
      }
    }
    for (const { name, verb } of rows) {
      const records = (await readdir(join(world.repository, name, 'runs'))).map((file) =>
        file.replace(/^.*?-(?=[a-z])/, ''),
      );
      const outcome = verb === 'promote' ? 'promoted' : 'thrown';
      expect(records.filter((file) => file.includes(outcome))).toHaveLength(1);
    }
    expect((await leftOfRecoveries(world)).filter((entry) => /^(three|four|five)-|bin\/postgres/.test(entry))).toEqual(
      [],
    );
    await expectClean(world, server);
  });
});
