import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HoldfastError } from '../domain/errors.ts';
import type { Allowance, Part, StoredObject } from '../domain/manifest.ts';
import { flawsOf } from '../domain/psql-flaws.ts';
import type { Tools } from '../postgres/tools.ts';
import { assertRoom, makeScratch, scratchError } from '../streams/scratch.ts';
import { unpackTar } from '../streams/tar.ts';
import { verified, verify } from '../streams/verified.ts';
import { plainPart, type Reading } from './source.ts';

/** An archive where pg_restore can seek in it. */
export interface LocalArchive {
  /** A file, or the directory of the directory format. */
  readonly path: string;
  /** Removes what was made for it. Never fails. */
  release(): Promise<void>;
}

/**
 * DumpRefused where this pg_restore is known to run code that is hidden in an archive, and nobody has allowed that: for
 * archives that others made.
 */
export function refuseFlawedReader(tools: Pick<Tools, 'version'>, allow: readonly Allowance[], name: string): void {
  const flaws = flawsOf(tools.version).filter(({ by }) => by === 'archive');
  const [flaw] = flaws;
  if (flaw === undefined || allow.includes('flawed-tools')) return;
  throw new HoldfastError(
    'DumpRefused',
    `${name} is an archive that Holdfast didn't make, and pg_restore ${tools.version} on this worker has ${flaw.cve}: ${flaw.what}`,
    `update the client tools${flaw.fixedIn === null ? '' : ` to ${flaw.fixedIn}`}; or, if you know who made the archive, allow it with "allow":["flawed-tools"]`,
  );
}

/** pg_dump's directory format has one file for each table and large object. */
const maxEntries = 10_000_000;

/**
 * Where the archive of a content part lies as a file, every byte of it checked against the manifest before anything
 * reads it: in the repository itself where that is a directory, else in the worker's scratch directory. ObjectDamaged,
 * StoreFull, or what reading fails with; nothing stays behind then.
 * @param objects every file of the backup
 */
export async function localArchive(
  reading: Reading,
  part: Part,
  objects: readonly StoredObject[],
): Promise<LocalArchive> {
  const { repository, signal } = reading;
  const path = repository.localPath(part.object);
  const isFolder = part.format === 'directory';
  if (path !== undefined && part.compression === 'none' && part.format !== 'directory-tar') {
    for (const object of isFolder ? objects : objects.filter(({ key }) => key === part.object))
      await verify(repository.read(object.key, undefined, signal, { lent: true }), named(object));
    return { path: isFolder ? dirname(path) : path, release: () => Promise.resolve() };
  }
  const scratch = await makeScratch(reading.scratch, reading.owner);
  try {
    await assertRoom(
      scratch.path,
      objects.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    const archive = isFolder
      ? await fetchFolder(reading, part, objects, scratch.path)
      : await fetchFile(reading, part, scratch.path);
    return { path: archive, release: () => scratch.remove() };
  } catch (error) {
    await scratch.remove();
    throw error;
  }
}

const named = ({ key, bytes, sha256 }: StoredObject) => ({ name: key, bytes, sha256 });

async function fetchFile(reading: Reading, part: Part, into: string): Promise<string> {
  const { signal } = reading;
  const path = join(into, 'archive');
  const body = copied(plainPart(reading, part));
  if (part.format !== 'directory-tar') await write(body, path, signal);
  else {
    await mkdir(path, { mode: 0o700 });
    await unpackTar(body, path, { signal, limits: { bytes: 2 * part.length, entries: maxEntries } });
  }
  return path;
}

async function fetchFolder(
  { repository, signal }: Reading,
  part: Part,
  objects: readonly StoredObject[],
  into: string,
): Promise<string> {
  const folder = part.object.slice(0, part.object.lastIndexOf('/') + 1);
  for (const object of objects) {
    const name = object.key.slice(folder.length);
    if (!object.key.startsWith(folder) || name === '' || name.includes('/'))
      throw new HoldfastError(
        'ObjectDamaged',
        `${object.key} does not lie in the directory of the archive`,
        'adopt it anew, or use another backup',
      );
    const body = verified(repository.read(object.key, undefined, signal), named(object));
    await write(copied(body), join(into, name), signal);
  }
  return into;
}

async function write(body: AsyncIterable<Uint8Array>, path: string, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(body, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw scratchError(error, path);
  }
}

/** The stream that they are given to keeps chunks until they are written; who made them may use them again at once. */
async function* copied(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) yield Uint8Array.from(chunk);
}
