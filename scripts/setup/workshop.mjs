/** Making things beside their place. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const PREFIX = '.making-';

/**
 * Hands `work` a fresh directory inside `directory`, on the same file system, from where the finished thing is
 * renamed into place. The workshop goes away however the work ends; what a killed set-up left goes first.
 * Call it under the cache's lock.
 */
export async function inWorkshop(directory, work) {
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(directory)) if (name.startsWith(PREFIX)) remove(join(directory, name));
  const workshop = mkdtempSync(join(directory, PREFIX));
  const clean = () => remove(workshop);
  process.once('exit', clean);
  try {
    return await work(workshop);
  } finally {
    clean();
    process.removeListener('exit', clean);
  }
}

function remove(path) {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}
