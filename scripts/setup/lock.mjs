/** Locks between processes. The kernel holds each for a child that lives as long as its standard input is open. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { cacheDirectory } from './places.mjs';
import { say } from './progress.mjs';

/** What `flock` ends with when somebody else has the lock and it was told not to wait. */
const TAKEN = 75;

/**
 * Waits until no other set-up works on this cache, then keeps others out until `release` or the end of this
 * process, however it ends. With `wait: false` it answers nothing at once while there is one.
 */
export async function lockCache({ wait = true } = {}) {
  const directory = cacheDirectory();
  const notice = setTimeout(() => say(`waiting for another set-up that works on ${directory}`), 1000);
  try {
    return await lock(join(directory, 'setup.lock'), { wait });
  } finally {
    clearTimeout(notice);
  }
}

/**
 * Locks a file, alone or, `shared`, beside others who share it; answers with what gives it back, which the end of this
 * process does, too. With `wait: false` it answers nothing at once where somebody else is in the way.
 */
export async function lock(file, { shared = false, wait = true } = {}) {
  mkdirSync(dirname(file), { recursive: true });
  const how = [
    shared ? '--shared' : '--exclusive',
    ...(wait ? [] : ['--nonblock', '--conflict-exit-code', `${TAKEN}`]),
  ];
  const holder = spawn('flock', [...how, file, 'sh', '-c', 'echo locked; read -r _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const isOurs = await new Promise((resolve, reject) => {
    holder.stdout.once('data', () => resolve(true));
    holder.once('error', reject);
    holder.once('exit', (code) => {
      if (code === TAKEN) resolve(false);
      else reject(new Error(`${file} can't be locked: flock ended with ${code}`));
    });
  });
  if (!isOurs) return undefined;
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  const letGo = () => holder.stdin.end();
  process.once('exit', letGo);
  return async () => {
    process.removeListener('exit', letGo);
    letGo();
    await ended;
  };
}
