/** One set-up at a time per cache. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cacheDirectory } from './places.mjs';
import { say } from './progress.mjs';

/**
 * Waits until no other set-up works on this cache, then keeps others out until `release` or the end of this
 * process, however it ends: the kernel holds the lock for a child that lives as long as its standard input is open.
 */
export async function lockCache() {
  const directory = cacheDirectory();
  mkdirSync(directory, { recursive: true });
  const holder = spawn('flock', [join(directory, 'setup.lock'), 'sh', '-c', 'echo locked; read -r _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const notice = setTimeout(() => say(`waiting for another set-up that works on ${directory}`), 1000);
  try {
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`${directory} can't be locked: flock ended with ${code}`)));
    });
  } finally {
    clearTimeout(notice);
  }
  const release = () => holder.stdin.end();
  process.once('exit', release);
  return release;
}
