/** Makes dist: JavaScript of src, and the workflow bundle that production workers load instead of building their own. */
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { bundleWorkflowCode } from '@temporalio/worker';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

rmSync(path('dist'), { recursive: true, force: true });
const tsc = [path('node_modules/typescript/bin/tsc'), '-p', path('tsconfig.build.json')];
const { status } = spawnSync(process.execPath, tsc, { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
const { code } = await bundleWorkflowCode({ workflowsPath: path('dist/workflows/index.js') });
writeFileSync(path('dist/workflow-bundle.js'), code);
chmodSync(path('dist/cli/main.js'), 0o755);
