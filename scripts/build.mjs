/**
 * Makes dist: JavaScript of src, and the workflow bundle that production workers load instead of building their own.
 * With --if-stale only when something it is made from has changed. Built beside and put in place at once, so that an
 * interrupted build leaves the old one.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const stampFile = path('dist/.built-from');

export async function build({ ifStale = false } = {}) {
  const stamp = sourcesDigest();
  if (ifStale && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return false;
  // Inside the checkout: the compiled files find their packages there.
  const fresh = path(`dist.${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    const tsc = ['-p', path('tsconfig.build.json'), '--outDir', fresh];
    execFileSync(process.execPath, [path('node_modules/typescript/bin/tsc'), ...tsc], { stdio: 'inherit' });
    const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
    const workflowsPath = join(fresh, 'workflows/index.js');
    const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
    writeFileSync(join(fresh, 'workflow-bundle.js'), code);
    chmodSync(join(fresh, 'cli/main.js'), 0o755);
    writeFileSync(join(fresh, '.built-from'), stamp);
    rmSync(path('dist'), { recursive: true, force: true });
    renameSync(fresh, path('dist'));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return true;
}

function sourcesDigest() {
  const hash = createHash('sha256');
  const files = readdirSync(path('src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of [...files, path('package-lock.json'), path('tsconfig.json'), path('tsconfig.build.json')]) {
    hash.update(file).update(readFileSync(file));
  }
  return hash.digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ ifStale: process.argv.includes('--if-stale') });
