/** Directories for what lives no longer than this process. */
import { chown, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IN_MEMORY = '/dev/shm';
const ENOUGH_BYTES = 2 * 1024 ** 3;
const NAME = /^holdfast-(\d+)-/;

export interface ScratchWishes {
  /** In memory where there is room for it, which is many times faster for small files. */
  readonly inMemory?: boolean;
  /** Who owns it, if not this process's user. Nobody else may look inside. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Makes `holdfast-<process id>-<label>-XXXXXX`. The caller removes it; one whose process was killed before it could is
 * removed here, by the next one who asks and may.
 */
export async function makeScratch(label: string, { inMemory = false, owner }: ScratchWishes = {}): Promise<string> {
  const base = inMemory && (await hasRoom(IN_MEMORY)) ? IN_MEMORY : tmpdir();
  await sweep(base);
  const directory = await mkdtemp(join(base, `holdfast-${process.pid.toString()}-${label}-`));
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
  return directory;
}

async function hasRoom(directory: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize >= ENOUGH_BYTES;
  } catch {
    return false;
  }
}

async function sweep(base: string): Promise<void> {
  const abandoned = (await readdir(base)).filter((name) => {
    const pid = NAME.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
  const removals = abandoned.map((name) => rm(join(base, name), { recursive: true, force: true, maxRetries: 3 }));
  await Promise.allSettled(removals);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
