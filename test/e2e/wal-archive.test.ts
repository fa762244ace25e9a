import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { WorkerProcess, World } from '../../parts/world.ts';
import type { RecoveryWindows } from '../../src/domain/recovery-window.ts';
import type { BackupResult } from '../../src/workflows/backup.ts';
import { expectClean } from './oracle.ts';
import {
  detailsOf,
  endSegment,
  recoverTo,
  segmentsIn,
  startArchive,
  startArchiving,
  stopArchiving,
  until,
  untilArchived,
} from './recovering.ts';
import { backUp, queried } from './runs.ts';
import { committed, startTraffic } from './traffic.ts';

/** How long pgbench writes while workers are killed; five minutes make it the soak. */
const soakSeconds = Number(process.env['HOLDFAST_SOAK_SECONDS'] ?? '10');

/** Segments of 1 MiB, so that there are many. */
describe('the archive of a log', () => {
  let world: World;
  let server: PostgresServer;
  let archive: WorkflowHandle;
  let worker: WorkerProcess;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15, initdb: ['--wal-segsize=1'] }));
    worker = await world.startWorker();
    archive = await startArchive(world);
    await backUp(world, 'base');
  });
  afterAll(() => stopArchiving({ world }));

  /** Numbers of segments of 1 MiB on timeline 1. */
  const numbersArchived = async () =>
    (await segmentsIn(world, server)).map(
      (name) => Number.parseInt(name.slice(8, 16), 16) * 4096 + Number.parseInt(name.slice(16), 16),
    );
  const holes = (numbers: readonly number[]) =>
    numbers.slice(1).filter((number, index) => number !== (numbers[index] ?? 0) + 1);

  /** A recovery to the archive's end has every transaction that was committed before. */
  async function expectNothingLost(): Promise<void> {
    const before = await server.psql('postgres', committed);
    await untilArchived(world, server);
    const copy = await recoverTo(world, 'latest');
    expect(await copy.ask(committed)).toBe(before);
    expect((await copy.throwAway()).outcome).toBe('thrown away');
  }

  test(
    'has every committed transaction, though workers are killed while pgbench writes',
    async () => {
      const traffic = await startTraffic(world, server);
      const kills = Math.max(1, Math.floor(soakSeconds / 60));
      for (let turn = 0; turn < kills; turn += 1) {
        await sleep((soakSeconds * 1000) / (kills + 1));
        await worker.end('SIGKILL');
        worker = await world.startWorker();
      }
      await sleep((soakSeconds * 1000) / (kills + 1));
      await traffic.stop();
      await expectNothingLost();
      expect(holes(await numbersArchived())).toEqual([]);
    },
    240_000 + soakSeconds * 3000,
  );

  test('loses nothing while its repository is away, says so, and goes on when it is back', async () => {
    const traffic = await startTraffic(world, server);
    await rename(world.repository, `${world.repository}.away`);
    await endSegment(server);
    const said = /\*\*NOT ARCHIVING\*\* .* has no holdfast\.json, the marker of a repository/;
    await until(async () => said.test(await detailsOf(world, archive.workflowId)));
    const known = await server.psql('postgres', 'SELECT count(*) FROM pgbench_history');
    await until(async () => (await server.psql('postgres', 'SELECT count(*) FROM pgbench_history')) !== known);
    // Fails if anything was written where no repository is.
    await rename(`${world.repository}.away`, world.repository);
    await traffic.stop();
    await expectNothingLost();
    expect(holes(await numbersArchived())).toEqual([]);
    expect(await detailsOf(world, archive.workflowId)).not.toContain('NOT ARCHIVING');
  });

  test('that the server no longer waited for has a gap, shows it, and answers it with a base backup', async () => {
    await worker.end();
    await server.psql('postgres', "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'");
    await server.psql('postgres', 'SELECT pg_reload_conf()');
    const lost = "SELECT wal_status = 'lost' FROM pg_replication_slots";
    while ((await server.psql('postgres', lost)) !== 't') {
      await server.psql(
        'postgres',
        'DROP TABLE IF EXISTS filler; CREATE TABLE filler AS SELECT generate_series(1, 200000)',
      );
      await endSegment(server);
      await server.psql('postgres', 'CHECKPOINT');
    }
    worker = await world.startWorker();
    const answer = await untilAnswered();
    const result = (await answer.result()) as BackupResult;
    expect(result.status).toBe('complete');
    await expectNothingLost();
    const numbers = await numbersArchived();
    expect(holes(numbers)).toHaveLength(1);
    await until(async () => {
      const windows = await queried<RecoveryWindows | null>(archive, 'window');
      return windows?.systems[0]?.gaps.length === 1;
    });
    const { code, stdout } = await world.holdfast('window', 'main');
    expect(code).toBe(0);
    // What is archived after the gap and before the new base backup serves nobody: a blank, where it is long enough.
    expect(stdout).toMatch(/B=+~+ *B/);
    expect(stdout).toMatch(/gap +after .* segments missing/);
    await archive.cancel();
    await expectClean(world, server);
  });

  /** The backup that nobody asked for. */
  async function untilAnswered(): Promise<WorkflowHandle> {
    for (;;) {
      for await (const { workflowId } of world.client.workflow.list({ query: "WorkflowType = 'backup'" }))
        if (workflowId.includes('gap')) return world.client.workflow.getHandle(workflowId);
      await sleep(200);
    }
  }
});
