import { chmod, chown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import { readIfThere, syncDirectory, writeLasting } from '../instance/mark.ts';
import type { RunAs } from '../instance/run-as.ts';
import { targetError } from './target-error.ts';

/**
 * Every directory that a recovery fills bears a mark from before its first byte on: what has none isn't ours, is never
 * filled and never removed.
 */
export const recoveredMark = 'holdfast-recovered.json';

const markSchema = z.object({ version: z.literal(1), fetch: z.string() });

/** What may lie in an empty directory: a mount point's own, and what was put aside in one. */
const isNobodys = (name: string) => name === 'lost+found' || name.startsWith('.holdfast-aside-');

/**
 * Whether a directory can become ours: one that isn't there, an empty one, or one that this very fetch has begun. Looks
 * only. TargetNotEmpty for any other; RestoreFailed where it is another user's and the worker can't give it away.
 */
export async function checkDirectory(directory: string, fetch: string, owner: RunAs | undefined): Promise<void> {
  try {
    const found = await lstat(directory).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (found === undefined) return;
    if (!found.isDirectory()) throw notEmpty(directory, 'it is a symbolic link or a file');
    const mark = await readRecoveredMark(directory);
    if (mark !== undefined && mark !== fetch) throw notEmpty(directory, 'another recovery has filled it');
    const names = (await readdir(directory)).filter((name) => !isNobodys(name));
    if (mark === undefined && names.length > 0)
      throw notEmpty(directory, `${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''} lies in it`);
    const uid = process.geteuid?.();
    if (owner === undefined && found.uid !== uid)
      throw new HoldfastError(
        'RestoreFailed',
        `${directory} belongs to user ${String(found.uid)}, and PostgreSQL will run as user ${String(uid)}`,
        'give the directory to that user: PostgreSQL starts only on a directory of its own',
      );
  } catch (error) {
    throw targetError(error, directory);
  }
}

/** Makes a directory that was checked ours: 0700, the instance's user's, with the mark in it. Idempotent. */
export async function claimDirectory(directory: string, fetch: string, owner: RunAs | undefined): Promise<void> {
  await checkDirectory(directory, fetch, owner);
  try {
    const made = await mkdir(directory, { recursive: true, mode: 0o700 });
    if (made !== undefined) await syncDirectory(dirname(made));
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    await chmod(directory, 0o700);
    if ((await readRecoveredMark(directory)) === undefined) await markRecovered(directory, fetch, owner);
  } catch (error) {
    throw targetError(error, directory);
  }
}

export async function markRecovered(directory: string, fetch: string, owner: RunAs | undefined): Promise<void> {
  await writeLasting(join(directory, recoveredMark), `${JSON.stringify({ version: 1, fetch })}\n`, owner);
}

export async function removeRecoveredMark(directory: string): Promise<void> {
  await rm(join(directory, recoveredMark), { force: true });
}

/** A directory of a recovery's own, 0700, that the instance's user can enter. */
export async function ownedDirectory(directory: string, owner: RunAs | undefined): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
}

/** The fetch that filled it; undefined: none. */
export async function readRecoveredMark(directory: string): Promise<string | undefined> {
  const text = await readIfThere(join(directory, recoveredMark));
  if (text === undefined) return undefined;
  try {
    return markSchema.parse(JSON.parse(text)).fetch;
  } catch {
    return undefined;
  }
}

/** Removes what lies in a directory of ours, the mark last: until then a second call goes on. */
export async function emptyDirectory(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names)
    if (name !== recoveredMark && !isNobodys(name)) await rm(join(directory, name), { recursive: true, force: true });
  await rm(join(directory, recoveredMark), { force: true });
}

const notEmpty = (directory: string, why: string) =>
  new HoldfastError(
    'TargetNotEmpty',
    `${directory} can't be restored into: ${why}`,
    'choose an empty or a new directory',
  );
