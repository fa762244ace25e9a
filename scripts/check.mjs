/**
 * What `npm test` runs once set-up is through: lint, import rules, dead code, formatting, types, and all tests.
 *
 * Every step runs even when an earlier one failed, and what a failed one said is shown. Arguments go to jest.
 * The last line is `N passed, N failed`: the tests, plus one for each other step. Ends with 1 when anything failed.
 */
import { join } from 'node:path';
import process from 'node:process';
import { interruptedBy, report, run, runJest } from './outcome.mjs';

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
report(interruptedBy() === undefined ? [...results, await runJest(process.argv.slice(2))] : results);

async function checkAll() {
  const waiting = [...CHECKS];
  const done = [];
  const worker = async () => {
    while (interruptedBy() === undefined) {
      const check = waiting.shift();
      if (check === undefined) return;
      const [binary, ...args] = check.command;
      const { code, output, seconds } = await run(join('node_modules', '.bin', binary), args);
      if (code !== 0) process.stdout.write(`\n✗ ${check.name}: ${check.command.join(' ')}\n${output.trimEnd()}\n`);
      done.push({ name: check.name, seconds, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return CHECKS.flatMap(({ name }) => done.filter((each) => each.name === name));
}
