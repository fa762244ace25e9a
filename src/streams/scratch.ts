import { mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type ErrorType, HoldfastError, messageOf } from '../domain/errors.ts';
import { formatBytes } from '../domain/format.ts';

/** Whose scratch it is: what an attempt that was killed has left is found by these. */
export interface ScratchOwner {
  /** Short id of the run: 1 to 32 of [A-Za-z0-9-] */
  readonly run: string;
  readonly attempt: number;
}

export interface Scratch {
  /** A directory of mode 0700, empty at first. */
  readonly path: string;
  /** Removes it with all that is in it. Done twice is done once; never fails. */
  remove(): Promise<void>;
}

const prefix = 'holdfast-scratch';
/** `holdfast-scratch.<run>.<attempt>.<pid>.<host>.XXXXXX`; a host's name may hold dots. */
const pattern = /^holdfast-scratch\.([A-Za-z0-9-]+)\.(\d+)\.(\d+)\.(.*)\.[^.]{6}$/;

/**
 * A directory of an attempt's own below a worker's scratch directory, which is made where it is missing. What processes
 * of this host that are no more have left there is removed, so that a worker that was killed doesn't fill the disk.
 *
 * Fails with StoreFull or StoreUnavailable, which name the scratch directory.
 */
export async function makeScratch(root: string, { run, attempt }: ScratchOwner): Promise<Scratch> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await removeWhere(root, ({ pid, host }) => host === hostname() && !isAlive(pid));
    const name = [prefix, run, attempt, process.pid, hostname(), ''].map(String).join('.');
    const path = await mkdtemp(join(root, name));
    return { path, remove: () => rm(path, removal).catch(() => undefined) };
  } catch (error) {
    throw scratchError(error, root);
  }
}

/**
 * Removes what earlier attempts of a run have left, also where their worker still hangs: it must not write any more.
 * Returns how many directories there were. Fails as makeScratch does; not where there is no scratch directory.
 */
export async function sweepScratch(root: string, { run, attempt }: ScratchOwner): Promise<number> {
  try {
    return await removeWhere(root, (of) => of.run === run && of.attempt < attempt);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw scratchError(error, root);
  }
}

/**
 * StoreFull where fewer bytes are free than are expected: at once, and not after an hour of filling the disk.
 * @param path the scratch directory, or one in it
 */
export async function assertRoom(path: string, expectedBytes: number): Promise<void> {
  let free: number;
  try {
    const { bavail, bsize } = await statfs(path);
    free = bavail * bsize;
  } catch (error) {
    throw scratchError(error, path);
  }
  if (free >= expectedBytes) return;
  throw new HoldfastError(
    'StoreFull',
    `scratch directory ${path} has ${formatBytes(free)} free, ${formatBytes(expectedBytes)} are expected`,
    scratchHint,
  );
}

const scratchHint =
  'give the worker a larger scratch directory, or, for backups, choose format: custom, which needs none';

/** A system error while a scratch directory is written or read, named after it; anything else as it is. */
export function scratchError(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (error instanceof HoldfastError || code === undefined) return error;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const type: ErrorType = full ? 'StoreFull' : 'StoreUnavailable';
  const hint = full ? scratchHint : "look whether the worker's scratch directory is there and its own to write";
  return new HoldfastError(type, `scratch directory ${path}: ${messageOf(error)}`, hint, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as { readonly code?: unknown; readonly syscall?: unknown };
  return typeof code === 'string' && syscall !== undefined ? code : undefined;
}

const removal = { recursive: true, force: true, maxRetries: 3 } as const;

interface Found extends ScratchOwner {
  readonly pid: number;
  readonly host: string;
}

async function removeWhere(root: string, isMeant: (found: Found) => boolean): Promise<number> {
  let removed = 0;
  for (const name of await readdir(root)) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const [, run = '', attempt, pid, host = ''] = match;
    if (!isMeant({ run, attempt: Number(attempt), pid: Number(pid), host })) continue;
    // Somebody who hangs may still write into it.
    await rm(join(root, name), removal).catch(() => undefined);
    removed += 1;
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ESRCH';
  }
}
