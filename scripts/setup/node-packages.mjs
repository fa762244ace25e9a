/** The npm packages of package-lock.json, in node_modules. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { step } from './progress.mjs';
import { run } from './run.mjs';

const checkout = new URL('../../', import.meta.url);

/**
 * Compares the lock with npm's own record of what it installed, which npm writes last: an interrupted
 * installation counts as missing. Optional packages (those of other platforms) don't count.
 */
export function packagesMissing() {
  const record = new URL('node_modules/.package-lock.json', checkout);
  if (!existsSync(record)) return true;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(new URL('package-lock.json', checkout), 'utf8')).packages;
  return Object.entries(locked).some(
    ([path, wanted]) => path !== '' && !wanted.optional && installed[path]?.version !== wanted.version,
  );
}

/** Install scripts stay off: none of the packages needs its own. */
export async function installPackages() {
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const args = [...before, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  await step('npm packages', async () => {
    await run(command, args, { cwd: fileURLToPath(checkout) });
  });
}
