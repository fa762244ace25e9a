import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch {
  readonly directory: string;
  close(): void;
}

export function makeScratch(): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-storage-'));
  return {
    directory,
    close: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Mounted extends Scratch {
  remount(options: string): void;
  /** Takes the file system away; the bare mount point stays. */
  unmount(): void;
}

/** A file system of its own, as small as the options say. Needs root, as the whole test suite does. */
export function mountTmpfs(options: string): Mounted {
  const scratch = makeScratch();
  const { directory } = scratch;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'holdfast-test', directory]);
  let mounted = true;
  const unmount = () => {
    if (!mounted) return;
    // Lazily: a file that a failed test left open must not keep it.
    execFileSync('umount', ['-l', directory]);
    mounted = false;
  };
  return {
    directory,
    remount: (changed) => execFileSync('mount', ['-o', `remount,${changed}`, directory]),
    unmount,
    close: () => {
      unmount();
      scratch.close();
    },
  };
}
