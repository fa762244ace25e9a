import { chmod, chown, lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import { readIfThere, syncDirectory, writeLasting } from '../instance/mark.ts';
import { instanceState } from '../instance/state.ts';
import { emptyDirectory, readRecoveredMark } from './owned-directory.ts';
import { targetError } from './target-error.ts';

/** Where a directory's content waits while another takes its place. */
export interface Aside {
  readonly id: string;
  readonly directory: string;
  readonly aside: string;
  /** A mount point can't be renamed: what was in it lies in a hidden directory inside it. */
  readonly isInside: boolean;
}

interface PlacesOfRun {
  readonly id: string;
  readonly dataDirectory: string;
  readonly tablespaceDirectories: readonly string[];
}

const markFile = 'holdfast-aside.json';
const markSchema = z.object({ version: z.literal(1), id: z.string(), directory: z.string(), isInside: z.boolean() });

/**
 * Puts the data directory of a stopped server aside, and its tablespaces' directories, so that others can take their
 * places: renamed beside, `<directory>.holdfast-aside-<id>`, with a mark in each; at mount points their content is moved
 * into a hidden directory inside, on the same volume. Empty directories with the old owner and mode are left in their
 * places. Nothing is copied, nothing removed. Called again after an interruption, it goes on.
 *
 * Fails with Busy where a server runs there, or its postmaster.pid says that one does in another container;
 * RestoreFailed where the worker may not.
 *
 * @param id of the run: 1 to 32 of [A-Za-z0-9-]
 */
export async function putAside(
  input: PlacesOfRun & {
    /** The container that postmaster.pid tells of is known to be gone: a server that crashed leaves one. */
    readonly isGone?: boolean;
  },
): Promise<readonly Aside[]> {
  const { id, dataDirectory, tablespaceDirectories, isGone = false } = input;
  if (!/^[A-Za-z0-9-]{1,32}$/.test(id))
    throw new HoldfastError('InvalidArgument', `'${id}' is no id of a run`, 'pass on the short id of the run');
  const place = await placeFor(dataDirectory, id);
  if ((await readAsideMark(place.aside)) === undefined) await refuseRunning(dataDirectory, isGone);
  const asides: Aside[] = [];
  for (const directory of [dataDirectory, ...tablespaceDirectories]) {
    const aside = await placeFor(directory, id);
    await doing(directory, () => moveAway(aside));
    asides.push(aside);
  }
  return asides;
}

/** What putAside has put aside so far, also where it was interrupted. */
export async function asidesOf(input: PlacesOfRun): Promise<readonly Aside[]> {
  const asides: Aside[] = [];
  for (const directory of [input.dataDirectory, ...input.tablespaceDirectories])
    for (const isInside of [false, true]) {
      const aside = isInside
        ? join(directory, `.holdfast-aside-${input.id}`)
        : `${directory}.holdfast-aside-${input.id}`;
      if ((await readAsideMark(aside)) !== undefined) asides.push({ id: input.id, directory, aside, isInside });
    }
  return asides;
}

/**
 * Takes it back: what lies in the places now, if it is a recovery's or nothing, is removed, and the old content is in its
 * place again. What somebody else put there is refused with TargetNotEmpty. Called again, it goes on.
 *
 * @param handedOver the recovered state bears no mark any more, because the cluster's own service was given it
 * @param isGone as in putAside
 */
export async function putBack(
  asides: readonly Aside[],
  { handedOver = false, isGone = false }: { readonly handedOver?: boolean; readonly isGone?: boolean } = {},
): Promise<void> {
  for (const aside of asides) {
    if ((await readAsideMark(aside.aside)) === undefined) continue;
    await refuseRunning(aside.directory, isGone);
    const names = await readdir(aside.directory).catch(() => []);
    const others = names.filter((name) => name !== basename(aside.aside) && name !== 'lost+found');
    // Half of the way back: the mark tells, and everything there is the old content.
    const isUnderWay = aside.isInside && (await readIfThere(join(aside.aside, backFile))) !== undefined;
    const isOurs = handedOver || isUnderWay || (await readRecoveredMark(aside.directory)) !== undefined;
    if (others.length > 0 && !isOurs)
      throw new HoldfastError(
        'TargetNotEmpty',
        `${aside.directory} holds something that no recovery put there: ${others.slice(0, 3).join(', ')}`,
        `move it away; the old content waits in ${aside.aside}`,
      );
    await doing(aside.directory, () => moveBack(aside, isUnderWay));
  }
}

/** Removes for good what was put aside; only what bears our mark. Idempotent. */
export async function releaseAside(asides: readonly Aside[]): Promise<void> {
  for (const { aside, id } of asides) {
    const mark = await readAsideMark(aside);
    if (mark?.id !== id) continue;
    await doing(aside, async () => {
      // The mark last: what is left of it is ours to remove until then.
      for (const name of await readdir(aside))
        if (name !== markFile) await rm(join(aside, name), { recursive: true, force: true });
      await rm(join(aside, markFile));
      await rmdir(aside);
    });
  }
}

async function placeFor(directory: string, id: string): Promise<Aside> {
  const hidden = join(directory, `.holdfast-aside-${id}`);
  const beside = `${directory}.holdfast-aside-${id}`;
  if ((await readAsideMark(beside)) !== undefined) return { id, directory, aside: beside, isInside: false };
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined)
    throw new HoldfastError('RestoreFailed', `${directory} is not there`, 'check the path, and the mount');
  if (!found.isDirectory())
    throw new HoldfastError(
      'RestoreFailed',
      `${directory} is a link or a file, not a directory`,
      'give the directory itself: a link would be put aside in its place',
    );
  const isInside = found.dev !== (await lstat(dirname(directory))).dev;
  return { id, directory, aside: isInside ? hidden : beside, isInside };
}

/** A pid that isn't a process here may be one in another container, whose processes nobody sees. */
async function refuseRunning(directory: string, isGone: boolean): Promise<void> {
  const { pid } = await instanceState(directory);
  if (isGone && pid === undefined) return;
  const file = await readIfThere(join(directory, 'postmaster.pid'));
  if (pid === undefined && file === undefined) return;
  throw new HoldfastError(
    'Busy',
    pid === undefined
      ? `${join(directory, 'postmaster.pid')} says that a server runs on ${directory}, maybe in another container`
      : `a server runs on ${directory} (process ${String(pid)})`,
    pid === undefined
      ? 'stop the server in order; if it crashed, see that it is gone and remove the file'
      : 'stop it in order first',
  );
}

async function moveAway({ id, directory, aside, isInside }: Aside): Promise<void> {
  const mark = `${JSON.stringify({ version: 1, id, directory, isInside })}\n`;
  if (isInside) {
    if ((await lstat(aside).catch(() => undefined)) === undefined) await mkdir(aside, { mode: 0o700 });
    const done = await readIfThere(join(aside, doneFile));
    if (done !== undefined) return;
    await writeLasting(join(aside, markFile), mark);
    await moveAll(directory, aside, [basename(aside)]);
    await writeLasting(join(aside, doneFile), '');
    return;
  }
  if ((await readAsideMark(aside)) === undefined) {
    // The mark travels with it, so that it is never there without.
    await writeLasting(join(directory, markFile), mark);
    await rename(directory, aside);
    await syncDirectory(dirname(directory));
  }
  await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  const like = await lstat(aside);
  if (like.uid !== process.geteuid?.()) await chown(directory, like.uid, like.gid);
  await chmod(directory, like.mode & 0o7777);
  await syncDirectory(dirname(directory));
}

const doneFile = 'holdfast-aside-whole';
const backFile = 'holdfast-aside-back';

async function moveBack({ directory, aside, isInside }: Aside, isUnderWay: boolean): Promise<void> {
  if (!isUnderWay) await emptyDirectory(directory);
  if (!isInside) {
    // rename(2) takes the place of an empty directory at once; the mark goes once it is back, or a crash in between
    // would leave something aside that is nobody's.
    await rename(aside, directory);
    await rm(join(directory, markFile), { force: true });
    await syncDirectory(dirname(directory));
    return;
  }
  await writeLasting(join(aside, backFile), '');
  await moveAll(aside, directory, [markFile, doneFile, backFile]);
  for (const name of [doneFile, markFile, backFile]) await rm(join(aside, name), { force: true });
  await rmdir(aside);
  await syncDirectory(directory);
}

async function moveAll(from: string, to: string, except: readonly string[]): Promise<void> {
  for (const name of await readdir(from))
    if (!except.includes(name) && name !== 'lost+found') await rename(join(from, name), join(to, name));
  await syncDirectory(to);
  await syncDirectory(from);
}

async function readAsideMark(aside: string): Promise<z.infer<typeof markSchema> | undefined> {
  const text = await readIfThere(join(aside, markFile));
  if (text === undefined) return undefined;
  const parsed = markSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

async function doing(directory: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw targetError(error, directory);
  }
}
