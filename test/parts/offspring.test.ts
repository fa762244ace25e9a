import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';

const run = promisify(execFile);

/** Starts servers as the demo does, says where, and lives on. */
const PARENT = `
  import { startPostgres } from './parts/postgres-server.ts';
  import { startTemporalServer } from './parts/temporal-server.ts';
  const [postgres] = await Promise.all([startPostgres({ major: 15 }), startTemporalServer()]);
  console.log(postgres.dataDir);
  setInterval(() => undefined, 1000);
`;

it('servers die with a parent that is killed, and what it left goes with the next scratch directory', async () => {
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', PARENT], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [dataDir] = (await once(createInterface(parent.stdout), 'line')) as [string];
  const pid = parent.pid ?? 0;
  const children = await childrenOf(pid);
  expect(children).toHaveLength(2);

  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await expect(untilGone(children)).resolves.toBeUndefined();
  expect(existsSync(dataDir)).toBe(true);

  const { makeScratch } = await import('../../parts/scratch.ts');
  await run('rmdir', [await makeScratch('test', { inMemory: true }), await makeScratch('test')]);
  expect(existsSync(dataDir)).toBe(false);
});

async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid.toString()}/task/${pid.toString()}/children`, 'utf8');
  return list.split(' ').filter(Boolean).map(Number);
}

/** A zombie counts as gone: whose child it has become is none of ours. */
async function untilGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) while (await isRunning(pid)) await sleep(50);
}

async function isRunning(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid.toString()}/stat`, 'utf8').catch(() => '');
  return state !== '' && !/\) [ZX] /.test(state);
}
