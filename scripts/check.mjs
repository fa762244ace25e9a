/**
 * What `npm test` runs once set-up is through: lint, import rules, dead code, formatting, types, and all tests.
 *
 * Every step runs even when an earlier one failed, and what a failed one said is shown. Arguments go to jest.
 * The last line is `N passed, N failed`: the tests, plus one for each other step. Ends with 1 when anything failed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const checkout = fileURLToPath(new URL('..', import.meta.url));

/** Read only, so they share the machine's cores; the longest first. */
const CHECKS = [
  { name: 'lint', command: ['eslint', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'formatting', command: ['prettier', '--check', '.'] },
  { name: 'import rules', command: ['depcruise', '--config', '.dependency-cruiser.cjs', 'src'] },
  { name: 'dead code', command: ['knip'] },
];
const AT_ONCE = 2;

const results = await checkAll();
const tests = await runTests();
report([...results, tests]);

async function checkAll() {
  const waiting = [...CHECKS];
  const done = [];
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const [binary, ...args] = check.command;
      const { code, output, seconds } = await run(join('node_modules', '.bin', binary), args);
      if (code !== 0) process.stdout.write(`\n✗ ${check.name}: ${check.command.join(' ')}\n${output.trimEnd()}\n`);
      done.push({ name: check.name, seconds, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return CHECKS.map(({ name }) => done.find((each) => each.name === name));
}

/** A test file that can't be run counts as one failed test, and so does a jest that ends badly without saying why. */
async function runTests() {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
  const file = join(directory, 'results.json');
  const args = [
    ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'],
    ...['--json', `--outputFile=${file}`, ...process.argv.slice(2)],
  ];
  const { code, seconds } = await run(process.execPath, args, 'inherit');
  const outcome = read(file);
  rmSync(directory, { recursive: true });
  const failed = outcome.numFailedTests + outcome.numRuntimeErrorTestSuites;
  const { numPassedTests: passed, numPendingTests: skipped } = outcome;
  return { name: 'tests', seconds, passed, skipped, failed: failed === 0 && code !== 0 ? 1 : failed };
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { numPassedTests: 0, numPendingTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };
  }
}

function run(command, args, show = 'keep') {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const stdio = show === 'inherit' ? ['ignore', 'ignore', 'inherit'] : ['ignore', 'pipe', 'pipe'];
    const child = spawn(command, args, { cwd: checkout, stdio });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output, seconds: (performance.now() - begin) / 1000 }));
  });
}

function report(steps) {
  const lines = steps.map(({ name, seconds, passed, failed, skipped }) => {
    const counts = `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
    return `${failed === 0 ? '✓' : '✗'} ${name.padEnd(14)}${seconds.toFixed(1).padStart(7)} s   ${counts}`;
  });
  const sum = (key) => steps.reduce((total, step) => total + step[key], 0);
  process.stdout.write(`\n${lines.join('\n')}\n\n${sum('passed')} passed, ${sum('failed')} failed\n`);
  process.exitCode = sum('failed') === 0 ? 0 : 1;
}
