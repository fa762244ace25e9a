import { randomUUID } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { HoldfastError } from '../domain/errors.ts';
import { manifestSuffix, markerKey, readmeKey, tombstoneSuffix } from '../domain/ids.ts';
import { writeExclusively } from './claim.ts';
import { storeError, unlessMissing } from './errno.ts';
import { pathOf } from './files.ts';
import { makeStagedName } from './keys.ts';
import { type Marker, readMarker } from './marker.ts';
import { readmeText } from './readme.ts';
import { walkObjects, walkStaged } from './walk.ts';

export interface InitialiseOptions {
  /** Has to exist: a missing one is more often a mount that failed than a new repository. */
  readonly directory: string;
  readonly now: Date;
  /** Marks it even though backups of a repository lie in it: only when a person said so. */
  readonly evenIfUsed?: boolean;
}

export interface Initialised {
  readonly id: string;
  /** false: it was a repository before. */
  readonly created: boolean;
}

const owner = { run: 'initialise', attempt: 0 };

/**
 * Makes a directory a repository: marker and README. For when somebody asked for it (`holdfast repositories init`): an empty
 * directory may be the mount point of a share that isn't mounted, and nothing here could tell. Idempotent; of two at
 * the same time one makes it, both return its id. Throws StoreNotMounted where the directory is missing, or has no
 * marker but holds what a repository leaves.
 */
export async function initialiseDirectory(options: InitialiseOptions): Promise<Initialised> {
  const { directory } = options;
  try {
    return await initialise(options);
  } catch (error) {
    throw storeError(error, `marking ${directory} as a repository`);
  }
}

async function initialise({ directory, now, evenIfUsed = false }: InitialiseOptions): Promise<Initialised> {
  const found = await unlessMissing(lstat(`${directory}/.`));
  if (found === undefined) {
    throw new HoldfastError(
      'StoreNotMounted',
      `the directory ${directory} does not exist`,
      'mount the share or disk, or make the directory',
    );
  }
  let marker = await existingMarker(directory);
  const created = marker === undefined;
  if (marker === undefined) {
    const trace = evenIfUsed ? undefined : await traceOfRepository(directory);
    if (trace !== undefined) throw used(directory, trace);
    const wanted: Marker = { format: 1, id: randomUUID(), createdAt: now.toISOString() };
    const text = `${JSON.stringify(wanted)}\n`;
    const first = await writeExclusively(pathOf(directory, markerKey), makeStagedName(markerKey, owner), text);
    marker = first ? wanted : await readMarker(directory);
  }
  // After the marker: a README without one then means that the marker was lost.
  if ((await unlessMissing(lstat(pathOf(directory, readmeKey)))) === undefined) {
    await writeExclusively(pathOf(directory, readmeKey), makeStagedName(readmeKey, owner), readmeText);
  }
  return { id: marker.id, created };
}

async function existingMarker(directory: string): Promise<Marker | undefined> {
  try {
    return await readMarker(directory);
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'StoreNotMounted') return undefined;
    throw error;
  }
}

/** The first thing in it that only a repository has. Dumps that somebody else made are none. */
async function traceOfRepository(directory: string): Promise<string | undefined> {
  for await (const { key } of walkObjects(directory, '', '')) {
    if (key === readmeKey || key.endsWith(manifestSuffix) || key.endsWith(tombstoneSuffix)) return key;
  }
  for await (const { key, run } of walkStaged(directory)) {
    if (run !== owner.run) return `an unfinished ${key}`;
  }
  return undefined;
}

function used(directory: string, trace: string): HoldfastError {
  return new HoldfastError(
    'StoreNotMounted',
    `${directory} has no ${markerKey}, but holds ${trace}: it is, or was, part of a repository`,
    `a missing marker usually means that the share which holds it isn't mounted; if this really is the whole repository, put the marker back as section 4 of ${readmeKey} says: a file ${markerKey} with {"format":1,"id":"<uuid>","createdAt":"<time, such as 2026-11-21T02:00:00Z>"}`,
  );
}
