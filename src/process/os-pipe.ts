import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnvironment, findTool } from './environment.ts';

/** Both ends as file descriptors, closed on exec. */
export interface OsPipe {
  readonly read: number;
  readonly write: number;
}

/**
 * A pipe(2), which Node can't make: what it gives to children are sockets. A writer whose reader has gone gets SIGPIPE
 * from a pipe and "connection reset" from a socket, and a tool that writes 4 KiB at a time (pg_dump) spends a tenth more
 * of the chain's processor time on a socket. Made as a FIFO that nobody else sees and that is unlinked once it is open.
 * undefined where that can't be done (no mkfifo, temporary directory not writable).
 */
export function openPipe(directory: string = tmpdir()): OsPipe | undefined {
  const mkfifo = findTool('mkfifo');
  if (mkfifo === undefined) return undefined;
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const descriptor = openSync(path, flags);
    opened.push(descriptor);
    return descriptor;
  };
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(directory, 'holdfast-pipe-'));
    const path = join(folder, 'fifo');
    const made = spawnSync(mkfifo, ['-m', '600', path], { env: childEnvironment(), stdio: 'ignore', timeout: 10_000 });
    if (made.status !== 0) return undefined;
    // Open for both first: opening one end of a FIFO waits for the other.
    const both = open(path, constants.O_RDWR);
    const pipe = { read: open(path, constants.O_RDONLY), write: open(path, constants.O_WRONLY) };
    closeSync(both);
    return pipe;
  } catch {
    opened.forEach(closeQuietly);
    return undefined;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

export function closePipe(pipe: OsPipe): void {
  closeQuietly(pipe.read);
  closeQuietly(pipe.write);
}

function closeQuietly(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // Closed already.
  }
}
