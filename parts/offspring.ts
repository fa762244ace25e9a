/** Child processes that never outlive this one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Birth {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** The user to run as; only root may choose one. */
  readonly user?: string | undefined;
  /** Its whole environment; this process's own by default. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** What the kernel sends it when this process ends in whatever way. */
  readonly atOurDeath: 'KILL' | 'QUIT';
}

/**
 * Starts a process in a session of its own, so that a Ctrl-C for us isn't one for it, and asks the kernel to signal
 * it when we die, a SIGKILL of ours included.
 */
export function raise({ command, args, logFile, user, environment, atOurDeath }: Birth): ChildProcess {
  const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
  const log = openSync(logFile, 'a', 0o600);
  try {
    return spawn('setpriv', [...identity, '--pdeathsig', atOurDeath, '--', command, ...args], {
      stdio: ['ignore', log, log],
      detached: true,
      cwd: '/',
      ...(environment === undefined ? {} : { env: environment }),
    });
  } finally {
    closeSync(log);
  }
}

/** Signals the process and waits for its end; after `patienceMs` it is killed. Harmless when it is gone already. */
export async function end(child: ChildProcess, signal: NodeJS.Signals, patienceMs = 10_000): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const patience = new AbortController();
  await Promise.race([ended, sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
  patience.abort();
  if (!hasEnded(child)) {
    child.kill('SIGKILL');
    await ended;
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}
