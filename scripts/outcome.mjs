/** What the commands that test have in common: running a program, running jest, and counting up. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { signalGroup } from './setup/run.mjs';

const checkout = fileURLToPath(new URL('..', import.meta.url));

const ENDINGS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
let interruption;

/** The signal that ended what ran; nothing more is begun then. */
export const interruptedBy = () => interruption;

/**
 * Runs a program in the checkout to its end. `show: 'inherit'` lets its standard error through, where jest talks. It
 * has a process group of its own: what ends this process ends all of them, jest's workers too.
 */
export function run(command, args, { show = 'keep', env = {} } = {}) {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const stdio = show === 'inherit' ? ['ignore', 'ignore', 'inherit'] : ['ignore', 'pipe', 'pipe'];
    const child = spawn(command, args, { cwd: checkout, stdio, env: { ...process.env, ...env }, detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => (output += text));
    const pass = (signal) => {
      interruption = signal;
      signalGroup(child, signal);
    };
    const letGo = () => {
      for (const signal of ENDINGS) process.off(signal, pass);
    };
    for (const signal of ENDINGS) process.on(signal, pass);
    child.once('error', (error) => {
      letGo();
      reject(error);
    });
    child.once('close', (code) => {
      letGo();
      resolve({ code, output, seconds: (performance.now() - begin) / 1000 });
    });
  });
}

/**
 * Runs jest with the arguments given; `wrap` may turn its command line into another. A test file that can't be run
 * counts as one failed test, and so does a jest that ends badly without saying why.
 */
export async function runJest(jestArgs, { wrap = (...command) => command, env } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
  const file = join(directory, 'results.json');
  const [command, ...args] = wrap(
    ...[process.execPath, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    ...['node_modules/jest/bin/jest.js', '--json', `--outputFile=${file}`, ...jestArgs],
  );
  try {
    const { code, seconds } = await run(command, args, { show: 'inherit', env });
    const outcome = read(file);
    const failed = outcome.numFailedTests + outcome.numRuntimeErrorTestSuites;
    const { numPassedTests: passed, numPendingTests: skipped } = outcome;
    return { name: 'tests', seconds, passed, skipped, failed: failed === 0 && code !== 0 ? 1 : failed };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { numPassedTests: 0, numPendingTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };
  }
}

/** Says how each step went, and last `N passed, N failed`. The exit code is 1 when anything failed. */
export function report(steps) {
  const lines = steps.map(({ name, seconds, passed, failed, skipped }) => {
    const counts = `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
    return `${failed === 0 ? '✓' : '✗'} ${name.padEnd(14)}${seconds.toFixed(1).padStart(7)} s   ${counts}`;
  });
  const sum = (key) => steps.reduce((total, step) => total + step[key], 0);
  process.stdout.write(`\n${lines.join('\n')}\n\n${sum('passed')} passed, ${sum('failed')} failed\n`);
  process.exitCode = sum('failed') === 0 ? 0 : 1;
}
