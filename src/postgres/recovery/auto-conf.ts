import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, syncDirectory } from '../instance/mark.ts';

/** Brings back what startInstance put aside, unless somebody has set something by ALTER SYSTEM in the copy since. */
export async function restoreAutoConf(dataDirectory: string): Promise<void> {
  const path = join(dataDirectory, 'postgresql.auto.conf');
  const aside = `${path}.of-source`;
  if ((await readIfThere(aside)) === undefined) return;
  const own = (await readIfThere(path)) ?? '';
  if (own.split('\n').every((line) => line.trim() === '' || line.startsWith('#'))) await rename(aside, path);
  else await rm(aside, { force: true });
  await syncDirectory(dataDirectory);
}
