/** Running the programs of set-up: quiet when they work, telling when they don't, gone when set-up ends. */
import { spawn } from 'node:child_process';
import process from 'node:process';

/** What set-up can't do itself, with what the reader must do; ends set-up with exit code 69 (EX_UNAVAILABLE). */
export class Unavailable extends Error {}

const running = new Set();
const PATIENCE_MS = 5_000;
let isEnding = false;

/**
 * Asks all that still runs to end, and waits for that, but not for ever. Nobody hears of these ends: they aren't
 * failures, and this process is about to exit.
 */
export async function endAll() {
  isEnding = true;
  const ends = [...running].map((child) => {
    signalGroup(child, 'SIGINT');
    return new Promise((resolve) => child.once('close', resolve));
  });
  await Promise.race([Promise.all(ends), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  for (const child of running) signalGroup(child, 'SIGKILL');
}

/** To a program that leads a process group, and to all that it has started; one that is gone is fine. */
export function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it is gone already
  }
}

/**
 * Runs a program to its end and returns its standard output. What it says is kept back; its gist is part of the error
 * when it fails. `timeoutMs` ends it, and that counts as a failure.
 */
export function run(command, args, { env, cwd, timeoutMs } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child);
    let stdout = '';
    let said = '';
    const hear = (chunk) => {
      said += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      stdout += chunk;
      hear(chunk);
    });
    child.stderr.setEncoding('utf8').on('data', hear);
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => signalGroup(child, 'SIGKILL'), timeoutMs);
    child.on('error', (error) => {
      running.delete(child);
      clearTimeout(timer);
      reject(new Error(`${command} can't be run: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      if (isEnding) return;
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ended with ${signal ?? `exit code ${code}`}\n${gist(said)}`));
    });
  });
}

/** Where a program tells much, what matters is at the beginning or at the end. */
function gist(text) {
  const lines = text.trimEnd().split('\n');
  const kept = lines.length <= 30 ? lines : [...lines.slice(0, 12), '…', ...lines.slice(-12)];
  return kept.map((line) => `      ${line}`).join('\n');
}
