import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startWorld } from '../parts/world.ts';
import type { BackupResult } from '../src/workflows/backup.ts';
import { figure, type Figure } from './table.ts';

/** From the moment the schedule is told to fire until the manifest lies there, through Temporal and a worker. */
export async function emptyCluster(repeat: number): Promise<Figure[]> {
  const world = await startWorld();
  try {
    await world.addPostgres('empty', { major: 15 });
    await world.configure({
      policies: { empty: { cluster: 'empty', method: 'pg_dumpall', repository: 'nas', schedule: '0 2 * * *' } },
    });
    await world.startWorker();
    await world.holdfast('apply');
    const schedule = world.client.schedule.getHandle('world/empty');
    const seen = new Set<string>();
    const ours: number[] = [];
    for (let turn = 0; turn <= repeat; turn += 1) {
      const begin = Date.now();
      await schedule.trigger();
      const { id } = (await world.client.workflow.getHandle(await startedBy(schedule, seen)).result()) as BackupResult;
      const { mtimeMs } = await stat(join(world.repository, 'empty/logical', `${id}.manifest.json`));
      if (turn > 0) ours.push((mtimeMs - begin) / 1000); // the first one warms the worker
    }
    return [figure('backup of an empty cluster, schedule to manifest', 's', 3, ours)];
  } finally {
    await world.stop();
  }
}

async function startedBy(
  schedule: { describe(): Promise<{ info: { recentActions: { action: { workflow: { workflowId: string } } }[] } }> },
  seen: Set<string>,
): Promise<string> {
  for (;;) {
    const { recentActions } = (await schedule.describe()).info;
    const started = recentActions.map(({ action }) => action.workflow.workflowId).find((id) => !seen.has(id));
    if (started !== undefined) {
      seen.add(started);
      return started;
    }
  }
}
