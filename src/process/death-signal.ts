import { spawnSync } from 'node:child_process';
import { childEnvironment, findTool } from './environment.ts';

/** Words to put before a command. */
export type Launcher = readonly string[];

let found: Launcher | undefined;

/**
 * Makes the kernel kill a child when the worker dies, whatever it died of (prctl(2), PR_SET_PDEATHSIG): util-linux's
 * setpriv, from 2.33 on. Empty where there is none (busybox has one without --pdeathsig): then a child that the
 * worker left ends at its next write or read on a pipe whose other end is gone. Looked up once.
 */
export function deathSignalLauncher(): Launcher {
  found ??= tryLauncher(findTool('setpriv'));
  return found;
}

function tryLauncher(setpriv: string | undefined): Launcher {
  if (setpriv === undefined) return [];
  const launcher = [setpriv, '--pdeathsig', 'KILL', '--'];
  const probe = spawnSync(setpriv, [...launcher.slice(1), 'true'], {
    env: childEnvironment(),
    stdio: 'ignore',
    timeout: 10_000,
    killSignal: 'SIGKILL',
  });
  return probe.status === 0 ? launcher : [];
}
