import { readFile, writeFile } from 'node:fs/promises';
import { startWorld, type WorkerProcess, type World } from '../parts/world.ts';
import { fillWithAir, fillWithGround, settings } from './stage.ts';
import { figure, type Figure } from './table.ts';

/** Highest resident memory of a worker process while it backs up and verifies 1 GB and 10 GB of plain dump. */
export async function workerMemory(place: 'nas' | 's3' = 'nas'): Promise<Figure[]> {
  const world = await startWorld();
  try {
    const server = await world.addPostgres('air', { major: 15, settings });
    if (place === 's3') await world.addS3('s3');
    await world.configure({
      policies: { air: { cluster: 'air', method: 'pg_dumpall', repository: place, countRows: false } },
    });
    const worker = await world.startWorker();
    const peak = async (gigabytes: number) => {
      await fillWithAir(server, `air${String(gigabytes)}`, gigabytes);
      const found = await peakOf(world, worker, `air-${String(gigabytes)}`);
      await server.psql('postgres', `DROP DATABASE air${String(gigabytes)}`);
      return found;
    };
    const to = place === 's3' ? ' to S3' : '';
    const one = await peak(1);
    const ten = await peak(10);
    return [
      figure(`worker memory, 1 GB of dump${to}`, 'MB', 300, [one]),
      figure(`worker memory, 10 GB of dump${to}`, 'MB', 300, [ten]),
      figure(`worker memory, 10 GB against 1 GB${to}`, 'MB', 1.15, [ten], [one]),
    ];
  } finally {
    await world.stop();
  }
}

/** The same while it takes and verifies base backups of 1 GB and of 5 GB more. */
export async function baseMemory(scale: number): Promise<Figure[]> {
  const world = await startWorld();
  try {
    const server = await world.addPostgres('air', { major: 15, settings });
    await world.configure({ policies: { air: { cluster: 'air', method: 'base', repository: 'nas' } } });
    const worker = await world.startWorker();
    await fillWithGround(server, 'ground1', scale);
    const one = await peakOf(world, worker, 'ground-1');
    await fillWithGround(server, 'ground6', 5 * scale);
    const six = await peakOf(world, worker, 'ground-6');
    return [
      figure('worker memory, base backup of 1 GB', 'MB', 300, [one]),
      figure('worker memory, base backup of 6 GB', 'MB', 300, [six]),
      figure('worker memory, base backup of 6 GB against 1 GB', 'MB', 1.15, [six], [one]),
    ];
  } finally {
    await world.stop();
  }
}

/** Megabytes that the worker had resident at most while policy `air` was run. */
async function peakOf({ client }: World, { pid }: WorkerProcess, workflowId: string): Promise<number> {
  await writeFile(`/proc/${String(pid)}/clear_refs`, '5'); // forget the peak so far
  await client.workflow.execute('backup', { workflowId, taskQueue: 'holdfast', args: [{ policy: 'air' }] });
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
  return (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}
