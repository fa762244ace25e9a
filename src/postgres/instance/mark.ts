import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import type { RunAs } from './run-as.ts';

/** Lies in the data directory of every instance that a worker started: ours to stop, and how to find it again. */
const markFile = 'holdfast-instance.json';

const markSchema = z.object({
  version: z.literal(1),
  socketDirectory: z.string(),
  port: z.number().int(),
  postgres: z.string(),
  major: z.number().int(),
  logFile: z.string(),
  /** Where in the log the latest start began, in bytes. */
  logFrom: z.number().int().nonnegative(),
  /** Digest of its configuration. */
  settings: z.string(),
  startedAt: z.iso.datetime(),
});

export type InstanceMark = Readonly<z.infer<typeof markSchema>>;

/** undefined: no worker ever started an instance on this directory. Fails with Unexpected where the mark is garbled. */
export async function readMark(dataDirectory: string): Promise<InstanceMark | undefined> {
  const text = await readIfThere(join(dataDirectory, markFile));
  if (text === undefined) return undefined;
  try {
    return markSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new HoldfastError(
      'Unexpected',
      `${join(dataDirectory, markFile)} is not what a worker writes`,
      'look at the file: without it no worker touches the instance',
      { cause },
    );
  }
}

export async function writeMark(dataDirectory: string, mark: InstanceMark, owner: RunAs | undefined): Promise<void> {
  await writeLasting(join(dataDirectory, markFile), `${JSON.stringify(mark, null, 2)}\n`, owner);
}

export async function removeMark(dataDirectory: string): Promise<void> {
  await rm(join(dataDirectory, markFile), { force: true });
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** A small file that is there whole or not at all, also after a power cut; 0600, through no link. */
export async function writeLasting(path: string, text: string, owner?: RunAs): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.new`;
  try {
    const file = await open(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      await file.writeFile(text);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
