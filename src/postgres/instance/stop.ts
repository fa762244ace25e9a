import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { instanceState } from './state.ts';

export interface StopOptions {
  readonly signal: AbortSignal;
  /** fast: sessions are ended, all is written. immediate: as a crash; for what is thrown away. */
  readonly mode?: 'fast' | 'immediate';
  /** After so long a fast stop becomes an immediate one; default 2 minutes. */
  readonly patienceMs?: number;
}

/**
 * Stops the instance on a data directory, whichever worker started it; false: none ran. Idempotent. Fails with Busy
 * where the server there isn't ours: that one is never touched.
 */
export async function stopInstance(dataDirectory: string, options: StopOptions): Promise<boolean> {
  const { signal, mode = 'fast', patienceMs = 120_000 } = options;
  const { pid, mark } = await instanceState(dataDirectory);
  if (pid === undefined) return false;
  if (mark === undefined)
    throw new HoldfastError(
      'Busy',
      `a server that Holdfast didn't start runs on ${dataDirectory} (process ${String(pid)})`,
      'stop it yourself',
    );
  send(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  const began = Date.now();
  let isHurried = mode === 'immediate';
  for (;;) {
    const now = await instanceState(dataDirectory);
    if (now.pid !== pid) return true;
    if (!isHurried && Date.now() - began > patienceMs) {
      isHurried = true;
      send(pid, 'SIGQUIT');
    }
    await sleep(25, undefined, { signal }).catch(() => {
      signal.throwIfAborted();
    });
  }
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
