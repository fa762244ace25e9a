/** An ext4 file system of its own on a loop device, which can die at once, as a disk or a machine does. Needs root. */
import { execFileSync } from 'node:child_process';
import { truncateSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratch, type Scratch } from './scratch.ts';

export interface Disk extends Scratch {
  /** From now on every access fails with EIO, and what was not flushed is lost. */
  die(): void;
  /** Dies and comes back, as after a power failure: journal replayed, everything that was not flushed gone. */
  crash(): void;
}

/** EXT4_IOC_SHUTDOWN, without flushing the journal. perl is on every Debian. */
const shutdown = `my $how = pack('L', 2); open(my $fs, '<', $ARGV[0]) or die $!; ioctl($fs, 0x8004587D, $how) or die "ext4 shutdown: $!"`;

export function makeDisk(): Disk {
  const scratch = makeScratch();
  const image = join(scratch.directory, 'image');
  const directory = join(scratch.directory, 'mount');
  mkdirSync(directory);
  writeFileSync(image, '');
  truncateSync(image, 96 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  // Nothing is flushed by the clock: what lasts is what was asked to.
  const mount = () => execFileSync('mount', ['-o', 'loop,commit=3600', image, directory]);
  let mounted = false;
  const unmount = (...how: string[]) => {
    if (!mounted) return;
    execFileSync('umount', [...how, directory]);
    mounted = false;
  };
  const die = () => execFileSync('perl', ['-e', shutdown, directory]);
  const close = () => {
    try {
      // Lazily: a file that a failed test left open must not keep it; the loop device goes with the mount.
      unmount('-l');
    } finally {
      scratch.close();
    }
  };
  try {
    mount();
    mounted = true;
  } catch (error) {
    close();
    throw error;
  }
  return {
    directory,
    die,
    crash: () => {
      die();
      unmount();
      mount();
      mounted = true;
    },
    close,
  };
}
