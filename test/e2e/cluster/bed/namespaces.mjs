/**
 * The bed's own network, mounts and processes. One process that only waits holds them: everything else in the bed lives
 * in its process namespace, so that with its end the kernel ends all of them, and their mounts and addresses go, too.
 * Nothing of the bed can reach another machine, and no address, route, firewall table or mount of the host changes.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { binary } from './binaries.mjs';
import { places } from './places.mjs';

const PATIENCE_MS = 20_000;

/**
 * The process id of the holder, if there is one. It is known by its program, which is this cache's and runs for nothing
 * else outside of containers: no file has to be right about it.
 */
export function findHolder() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => programOf(pid) === binary('pause'));
}

/** Makes fresh namespaces. A kill of whoever called this doesn't end them. */
export async function startHolder() {
  mkdirSync(places.log, { recursive: true });
  const log = openSync(join(places.log, 'holder.log'), 'a');
  const apart = ['--net', '--pid', '--mount-proc', '--propagation', 'private', '--kill-child=SIGKILL'];
  const outer = spawn('unshare', [...apart, '--', binary('pause')], {
    stdio: ['ignore', log, log],
    detached: true,
    cwd: '/',
  });
  closeSync(log);
  outer.unref();
  const said = () => readFileSync(join(places.log, 'holder.log'), 'utf8').trimEnd().split('\n').at(-1);
  for (const deadline = Date.now() + PATIENCE_MS; findHolder() === undefined; await sleep(20)) {
    if (outer.exitCode !== null || Date.now() > deadline) {
      throw new Error(`this machine gives no namespaces of its own for the cluster: ${said()}`);
    }
  }
}

/** Ends the holder and all that lives with it; answers when the last one is gone. */
export async function endHolder() {
  for (let pid = findHolder(); pid !== undefined; pid = findHolder()) {
    process.kill(pid, 'SIGKILL');
    // The kernel buries the first process of a namespace after all others.
    for (const deadline = Date.now() + PATIENCE_MS; existsSync(`/proc/${pid}`); await sleep(20)) {
      if (Date.now() > deadline) throw new Error(`process ${pid} doesn't end, nor do those below it. Look at: ps -ef`);
    }
  }
}

/** The command line that runs another one as a process of the bed: with its network, its mounts and its processes. */
export const inTheBed = (holder, ...command) => [
  ...['nsenter', `--target=${holder}`, '--net', '--pid', '--mount', '--wd=/', '--'],
  ...command,
];

/**
 * The command line that runs another one beside the bed: a process of the host, in its own directory, with the bed's
 * network and names. Its mounts are its own, so that no file of the host changes.
 */
export const besideTheBed = (holder, ...command) => [
  ...['nsenter', `--net=/proc/${holder}/ns/net`, '--', 'unshare', '--mount', '--propagation', 'private', '--'],
  ...['sh', '-euc', WITH_NAMES, 'sh', join(places.run, 'resolv.conf'), join(places.run, 'nsswitch.conf')],
  ...command,
];

/** Either may be a link into a place that another program looks after. */
const WITH_NAMES = [
  'mount --bind "$1" "$(readlink -f /etc/resolv.conf)"',
  '[ ! -e /etc/nsswitch.conf ] || mount --bind "$2" "$(readlink -f /etc/nsswitch.conf)"',
  'shift 2',
  'exec "$@"',
].join('\n');

function programOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
}
