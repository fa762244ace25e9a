import { readlinkSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readIfThere, readMark, type InstanceMark } from './mark.ts';

/** What the postmaster says of itself; standby: recovering, and nobody may connect. */
export type InstanceStatus = 'stopped' | 'starting' | 'ready' | 'standby' | 'stopping';

export interface InstanceState {
  readonly status: InstanceStatus;
  /** The postmaster's process id; undefined when stopped. */
  readonly pid: number | undefined;
  /** undefined: no worker started it. */
  readonly mark: InstanceMark | undefined;
}

/**
 * Whether a server runs on a data directory, whoever started it and whichever worker asks. A postmaster.pid that an
 * earlier boot or a killed server left is not believed: the process has to work in this very directory.
 */
export async function instanceState(dataDirectory: string): Promise<InstanceState> {
  const mark = await readMark(dataDirectory);
  const lines = (await readIfThere(join(dataDirectory, 'postmaster.pid')))?.split('\n') ?? [];
  const pid = Number.parseInt(lines[0] ?? '', 10);
  if (!(pid > 0) || !(await isPostmasterOf(pid, dataDirectory))) return { status: 'stopped', pid: undefined, mark };
  return { status: statusOf(lines[7]?.trim()), pid, mark };
}

function statusOf(word: string | undefined): InstanceStatus {
  switch (word) {
    case 'ready':
    case 'standby':
    case 'stopping':
      return word;
    default:
      return 'starting';
  }
}

/** A postmaster's working directory is its data directory, wherever that was moved to meanwhile. */
export async function isPostmasterOf(pid: number, dataDirectory: string): Promise<boolean> {
  try {
    return readlinkSync(`/proc/${String(pid)}/cwd`) === (await realpath(dataDirectory));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EPERM') return false;
  }
  // Another user's process: its name alone can be read.
  try {
    return basename(await readFile(`/proc/${String(pid)}/comm`, 'utf8')).startsWith('postgres');
  } catch {
    return false;
  }
}
