import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { binBelow } from '../scripts/setup/places.mjs';
import { makeScratch } from './scratch.ts';

const run = promisify(execFile);

export interface Lent {
  readonly binDir: string;
  giveBack(): Promise<void>;
}

/**
 * PostgreSQL's programs where another user may run them. Root's cache usually lies in a home that nobody else may
 * enter; then a tree of hard links (copies, across file systems) is made in the directory for temporary files.
 */
export async function lendPrograms(
  { root, binDir }: { readonly root: string; readonly binDir: string },
  major: number,
  toAnotherUser: boolean,
): Promise<Lent> {
  if (!toAnotherUser || isOpenToAll(binDir)) return { binDir, giveBack: () => Promise.resolve() };
  const scratch = await makeScratch(`programs${major.toString()}`);
  await chmod(scratch, 0o755);
  const copy = join(scratch, 'root');
  await run('cp', ['-al', root, copy]).catch(async () => {
    await rm(copy, { recursive: true, force: true });
    await run('cp', ['-a', '--reflink=auto', root, copy]);
  });
  return { binDir: binBelow(copy, major), giveBack: () => rm(scratch, { recursive: true, force: true }) };
}

function isOpenToAll(directory: string): boolean {
  const isOpen = (statSync(directory).mode & 0o001) !== 0;
  return isOpen && (dirname(directory) === directory || isOpenToAll(dirname(directory)));
}
