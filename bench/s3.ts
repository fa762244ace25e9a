import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { startS3 } from '../parts/s3-server.ts';
import { backUp } from './logical.ts';
import { fill, openStage, seconds } from './stage.ts';
import { figure, type Figure } from './table.ts';

/** The same backup to both, each from nothing to its manifest; the store runs on the same two cores. */
export async function backupToS3(repeat: number): Promise<Figure[]> {
  const store = await startS3();
  const stage = await openStage(15, store);
  try {
    await fill(stage.server, 'small', 164);
    await fill(stage.server, 'big', 1640);
    await backUp(stage, 1); // warms the caches for both
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      theirs.push(await seconds(() => backUp(stage, turn)));
      ours.push(await seconds(() => backUp(stage, turn, 'offsite')));
    }
    return [figure('backup to S3, against the same backup to a directory', 's', 1.25, ours, theirs)];
  } finally {
    await stage.server.stop('immediate');
    await store.stop();
    await rm(dirname(stage.directory), { recursive: true, force: true });
  }
}
