import { readFile, writeFile } from 'node:fs/promises';
import { startWorld } from '../parts/world.ts';
import { fillWithAir, settings } from './stage.ts';
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
      await writeFile(`/proc/${String(worker.pid)}/clear_refs`, '5'); // forget the peak so far
      await world.client.workflow.execute('backup', {
        workflowId: `air-${String(gigabytes)}`,
        taskQueue: 'holdfast',
        args: [{ policy: 'air' }],
      });
      const status = await readFile(`/proc/${String(worker.pid)}/status`, 'utf8');
      await server.psql('postgres', `DROP DATABASE air${String(gigabytes)}`);
      return (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
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
