/** Makes dist: JavaScript of src, and the workflow bundle that production workers load instead of building their own. */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { bundleWorkflowCode } from '@temporalio/worker';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

rmSync(path('dist'), { recursive: true, force: true });
execFileSync(process.execPath, [path('node_modules/typescript/bin/tsc'), '-p', path('tsconfig.build.json')], {
  stdio: 'inherit',
});
const { code } = await bundleWorkflowCode({ workflowsPath: path('dist/workflows/index.js') });
writeFileSync(path('dist/workflow-bundle.js'), code);
chmodSync(path('dist/cli/main.js'), 0o755);
