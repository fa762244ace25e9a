import { randomBytes } from 'node:crypto';
import { chown, lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { readIfThere, writeLasting } from '../instance/mark.ts';
import { whomToBecome, type RunAs } from '../instance/run-as.ts';
import { stopInstance } from '../instance/stop.ts';
import { isRunning, ownIdentity, processIdentitySchema } from './process-identity.ts';

/**
 * Where one attempt of one drill lives, with everything that it makes: `drill-<run>-<attempt>` below the directory for
 * instances. A mark in it, which comes first and goes last, tells whose it is.
 */
export interface DrillPlace {
  readonly directory: string;
  readonly dataDirectory: string;
  /** For a recovery's journals, on the same file system. */
  readonly workDirectory: string;
  readonly socketDirectory: string;
  readonly logFile: string;
  /** One directory each is made below it. */
  readonly tablespaces: string;
  /** Told apart from any other place that ever bore this name. */
  readonly nonce: string;
}

export interface DrillAttempt {
  /** Short id of the run. */
  readonly run: string;
  /** No other attempt of the run has it. */
  readonly attempt: number;
  readonly host: string;
}

const markFile = 'holdfast-drill.json';
const namePattern = /^drill-([0-9a-f]{8})-([0-9]+)$/;
const markSchema = z.object({
  version: z.literal(1),
  run: z.string(),
  attempt: z.number().int(),
  host: z.string(),
  process: processIdentitySchema,
  nonce: z.string(),
  startedAt: z.iso.datetime(),
});

/** A directory without a mark is being made right now, or its worker died then; after so long it is the latter. */
const makingAtMostMs = 60_000;

/** Fails with Busy where another attempt of the same name lives there; StoreFull, StoreUnavailable. */
export async function makePlace(root: string, attempt: DrillAttempt, runAs: RunAs | undefined): Promise<DrillPlace> {
  const owner = whomToBecome(runAs);
  const directory = join(root, `drill-${attempt.run}-${String(attempt.attempt)}`);
  const nonce = randomBytes(8).toString('hex');
  try {
    await mkdir(root, { recursive: true, mode: 0o755 });
    await assertTrusted(root, owner);
    await mkdir(directory, { mode: 0o700 });
    const mark = { version: 1, ...attempt, process: await ownIdentity(), nonce, startedAt: new Date().toISOString() };
    await writeLasting(join(directory, markFile), `${JSON.stringify(mark, null, 2)}\n`);
    await mkdir(join(directory, 'tablespaces'), { mode: 0o700 });
    if (owner !== undefined)
      for (const path of [join(directory, 'tablespaces'), directory]) await chown(path, owner.uid, owner.gid);
  } catch (error) {
    throw placeError(error, directory);
  }
  return {
    directory,
    dataDirectory: join(directory, 'data'),
    workDirectory: join(directory, 'work'),
    socketDirectory: join(directory, 'run'),
    logFile: join(directory, 'server.log'),
    tablespaces: join(directory, 'tablespaces'),
    nonce,
  };
}

/** Whoever owns the directory above can put another in the place of one below. */
async function assertTrusted(root: string, owner: RunAs | undefined): Promise<void> {
  const found = await lstat(root);
  if (found.isDirectory() && [0, process.geteuid?.(), owner?.uid].includes(found.uid)) return;
  throw new HoldfastError(
    'InvalidArgument',
    `${root} is no directory of the worker's own`,
    'give the worker a directory for instances that it or root owns',
  );
}

/**
 * Fails with Unexpected where the place was taken away: a later attempt of the run has given this one up, and what it
 * finds from then on says nothing of the backup.
 */
export async function assertOurs({ directory, nonce }: DrillPlace): Promise<void> {
  if ((await readMark(directory))?.nonce === nonce) return;
  throw new HoldfastError(
    'Unexpected',
    `the drill's directory ${directory} was taken away while it ran`,
    'a later attempt of the same run has taken over; if there is none, see who removes files there',
  );
}

export interface Swept {
  readonly removed: readonly string[];
  /** Could not be removed, with the reason. */
  readonly left: readonly string[];
}

/**
 * Removes what drills left that are no more: those of processes of this host that have ended, and every earlier attempt
 * of this run, also where its worker still hangs. Never fails but with the signal's reason; what has no mark of a drill
 * is left alone.
 */
export async function sweepPlaces(
  root: string,
  { run, host }: { readonly run?: string; readonly host: string },
  signal: AbortSignal,
): Promise<Swept> {
  const removed: string[] = [];
  const left: string[] = [];
  for (const name of await readdir(root).catch(() => [])) {
    if (!namePattern.test(name)) continue;
    const directory = join(root, name);
    try {
      const mark = await readMark(directory);
      if (mark === undefined) await removeUnmarked(directory);
      else if (mark.run === run || (mark.host === host && !(await isRunning(mark.process))))
        await removeDirectory(directory, signal);
      else continue;
      removed.push(directory);
    } catch (error) {
      signal.throwIfAborted();
      left.push(`${directory}: ${messageOf(error)}`);
    }
  }
  return { removed, left };
}

/**
 * Stops the instance and removes the place; the mark last, so that a second call goes on. Done twice is done once. What
 * has no mark is removed too: an attempt that was given up, and swept, may have gone on writing. Another attempt's of
 * the same name is left.
 */
export async function removePlace(
  { directory, nonce }: Pick<DrillPlace, 'directory' | 'nonce'>,
  signal: AbortSignal,
): Promise<void> {
  const mark = await readMark(directory);
  if (mark === undefined || mark.nonce === nonce) await removeDirectory(directory, signal);
}

async function removeDirectory(directory: string, signal: AbortSignal): Promise<void> {
  await stopInstance(join(directory, 'data'), { signal, mode: 'immediate' });
  try {
    for (const name of await readdir(directory))
      if (name !== markFile) await rm(join(directory, name), { recursive: true, force: true, maxRetries: 3 });
    await rm(join(directory, markFile), { force: true });
    await rmdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw placeError(error, directory);
  }
}

/** Nothing else was made before the mark, so only an empty one can be a drill's. */
async function removeUnmarked(directory: string): Promise<void> {
  const { mtimeMs } = await lstat(directory);
  if (Date.now() - mtimeMs < makingAtMostMs) throw new Error('somebody may be making it right now');
  const names = await readdir(directory);
  // What writeLasting had begun.
  for (const name of names) if (name.startsWith(`${markFile}.`)) await rm(join(directory, name), { force: true });
  await rmdir(directory);
}

async function readMark(directory: string): Promise<z.infer<typeof markSchema> | undefined> {
  const text = await readIfThere(join(directory, markFile));
  if (text === undefined) return undefined;
  try {
    const mark = markSchema.parse(JSON.parse(text));
    return directory.endsWith(`drill-${mark.run}-${String(mark.attempt)}`) ? mark : undefined;
  } catch {
    return undefined;
  }
}

/** A system error while a drill's directory is made or removed, named after it; anything else as it is. */
export function placeError(error: unknown, path: string): unknown {
  if (error instanceof HoldfastError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  if (code === 'EEXIST')
    return new HoldfastError(
      'Busy',
      `${path} is there already`,
      'another drill of the same run is at work; if there is none, remove the directory',
      { cause: error },
    );
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new HoldfastError(
    isFull ? 'StoreFull' : 'StoreUnavailable',
    `directory for drills ${path}: ${messageOf(error)}`,
    isFull
      ? 'give the worker a larger directory for instances'
      : "look whether the worker's directory for instances is there and its own to write",
    { cause: error },
  );
}
