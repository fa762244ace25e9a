/**
 * The tests that need Kubernetes (test/e2e/cluster), on a real one that is brought up for them.
 *
 * Usage: node scripts/e2e.mjs test [jest's arguments]   the cluster, then the tests; the last line is `N passed, N failed`
 *        node scripts/e2e.mjs run COMMAND...            runs it where the tests run, with kubectl on PATH
 *        node scripts/e2e.mjs down                      takes the cluster down
 *
 * The cluster stays up for the next time; with CI=true it goes, whatever the outcome. HOLDFAST_E2E_KUBECONFIG and
 * HOLDFAST_E2E_CLUSTER name a cluster to use instead: then none is brought up or taken down (docs/contributing.md).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import process from 'node:process';
import { installWorkerImage } from '../deploy/image/worker.mjs';
import { abandon, bringUp, connection, takeDown } from '../test/e2e/cluster/bed/bed.mjs';
import { places } from '../test/e2e/cluster/bed/places.mjs';
import { report, runJest } from './outcome.mjs';
import { endAll, Unavailable } from './setup/run.mjs';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

const [what, ...rest] = process.argv.slice(2);
const command = { test, run, down }[what];
if (command === undefined) {
  process.stderr.write('what to do is missing or unknown. Type: node scripts/e2e.mjs <test|run|down>\n');
  process.exit(64);
}

/** Only the first signal counts: what it begins (an end to the tests, a take-down) is brought to its own end. */
let interruption;
let interrupt = () => undefined;
for (const signal of Object.keys(EXIT_CODES)) {
  process.on(signal, () => {
    if (interruption !== undefined) return;
    interruption = signal;
    interrupt(signal);
  });
}

try {
  await command(rest);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error instanceof Unavailable ? 69 : 1;
}
// A bring-up that was interrupted would be waited for, for ever.
if (interruption !== undefined) process.exit(EXIT_CODES[interruption]);

/** The report comes last, whatever happened: its last line is what counts. */
async function test(args) {
  const given = givenCluster();
  report(given === undefined ? await testOnOurs(args) : await runTests(args, given));
}

async function testOnOurs(args) {
  const { outcome: cluster, step } = await tried('cluster up', untilUp);
  const steps = [step];
  if (cluster !== undefined) {
    if (interruption === undefined) steps.push((await tried("worker's image", installWorkerImage)).step);
    if (interruption === undefined) steps.push(...(await runTests(args, wayInto(cluster))));
    await cluster.letGo();
  }
  if (process.env.CI === 'true') steps.push((await tried('cluster down', leaveNothing)).step);
  return steps;
}

/** One step of the report: counts as one that passed, or as one that failed and says why. */
async function tried(name, work) {
  const begin = performance.now();
  const step = (passed) => ({
    name,
    seconds: (performance.now() - begin) / 1000,
    passed: passed ? 1 : 0,
    failed: passed ? 0 : 1,
  });
  try {
    const outcome = await work();
    return { outcome, step: step(true) };
  } catch (error) {
    process.stderr.write(`\n✗ ${name}: ${error.message}\n`);
    return { step: step(false) };
  }
}

/** A bring-up that is interrupted leaves nothing of what it began. */
async function untilUp() {
  const stopped = new Promise((_, reject) => {
    interrupt = (signal) => {
      const why = () => reject(new Error(`interrupted by ${signal}`));
      endAll().then(abandon).then(why, reject);
    };
  });
  try {
    return await Promise.race([bringUp(), stopped]);
  } finally {
    interrupt = () => undefined;
  }
}

/** Those that disturb all others come last, when nobody is left. Arguments may name one of them, or none. */
async function runTests(args, { env, wrap }) {
  const steps = [];
  for (const [name, config] of [
    ['tests', 'jest.e2e.config.mjs'],
    ['tests, alone', 'jest.e2e-alone.config.mjs'],
  ]) {
    if (interruption !== undefined) break;
    const jestArgs = ['--config', config, '--passWithNoTests', ...args];
    steps.push({ ...(await runJest(jestArgs, { env, wrap })), name });
  }
  if (steps.some(({ passed, failed, skipped }) => passed + failed + skipped > 0)) return steps;
  process.stderr.write(`no test of those that need Kubernetes is meant by: ${args.join(' ')}\n`);
  return steps.map((step) => ({ ...step, failed: 1 })).slice(0, 1);
}

async function leaveNothing() {
  if (!(await takeDown({ wait: interruption === undefined })))
    process.stdout.write('the cluster stays up: another run uses it\n');
}

async function down() {
  if (!(await takeDown())) throw new Unavailable('a run uses the cluster. Wait for its end, then type this again');
}

async function run(args) {
  const given = givenCluster();
  const ours = given === undefined ? connection() : undefined;
  if (given === undefined && ours === undefined) throw new Unavailable('no cluster is up. Type: npm run e2e');
  const { env, wrap } = given ?? wayInto(ours);
  const [program, ...programArgs] = wrap(...(args.length > 0 ? args : ['bash']));
  const child = spawn(program, programArgs, { stdio: 'inherit', env: { ...process.env, ...env } });
  interrupt = (signal) => child.kill(signal);
  process.exitCode = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** The environment of what runs beside our cluster, and how it gets there. */
function wayInto({ kubeconfig, facts, command: wrap }) {
  const env = {
    HOLDFAST_E2E_KUBECONFIG: kubeconfig,
    HOLDFAST_E2E_CLUSTER: facts,
    KUBECONFIG: kubeconfig,
    PATH: [places.bin, process.env.PATH].join(delimiter),
  };
  return { env, wrap };
}

/** A cluster of the reader's own, if the environment names one. */
function givenCluster() {
  const { HOLDFAST_E2E_KUBECONFIG: kubeconfig, HOLDFAST_E2E_CLUSTER: facts } = process.env;
  if (!kubeconfig) return undefined;
  if (!existsSync(kubeconfig) || !facts || !existsSync(facts)) {
    throw new Unavailable(
      'HOLDFAST_E2E_KUBECONFIG and HOLDFAST_E2E_CLUSTER must both name a file that is there; docs/contributing.md says what they hold',
    );
  }
  return { env: { KUBECONFIG: kubeconfig }, wrap: (...each) => each };
}
