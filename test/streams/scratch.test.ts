import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertRoom, makeScratch, scratchError, sweepScratch } from '../../src/streams/scratch.ts';
import { mountTmpfs } from '../storage/scratch.ts';

let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-scratch-test-'));
});

afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

/** The id of a process that is no more. */
const deadPid = () => Number(execFileSync('sh', ['-c', 'echo $$']).toString());

it('a scratch directory is made where none is, for its owner alone, and removed with all that is in it', async () => {
  const root = join(base, 'not', 'yet');
  const scratch = await makeScratch(root, { run: '1a2b', attempt: 1 });
  expect(statSync(scratch.path).mode & 0o777).toBe(0o700);
  expect(statSync(root).mode & 0o777).toBe(0o700);
  mkdirSync(join(scratch.path, 'below'));
  writeFileSync(join(scratch.path, 'below', 'x'), 'x');
  await scratch.remove();
  await scratch.remove();
  expect(readdirSync(root)).toEqual([]);
});

it('a sweep takes what earlier attempts of the run have left, and nothing else', async () => {
  const first = await makeScratch(base, { run: 'run-a', attempt: 1 });
  const second = await makeScratch(base, { run: 'run-a', attempt: 2 });
  const other = await makeScratch(base, { run: 'run', attempt: 1 });
  writeFileSync(join(base, 'somebody-elses'), 'x');
  expect(await sweepScratch(base, { run: 'run-a', attempt: 2 })).toBe(1);
  expect([first, second, other].map(({ path }) => existsSync(path))).toEqual([false, true, true]);
  expect(existsSync(join(base, 'somebody-elses'))).toBe(true);
  expect(await sweepScratch(join(base, 'nowhere'), { run: 'run-a', attempt: 2 })).toBe(0);
});

it('what a killed worker of this host has left goes when the next scratch directory is made', async () => {
  const dead = deadPid();
  const left = join(base, `holdfast-scratch.other.1.${String(dead)}.${hostname()}.abcdef`);
  const elsewhere = join(base, `holdfast-scratch.other.1.${String(dead)}.another.host.abcdef`);
  mkdirSync(left);
  mkdirSync(elsewhere);
  const living = await makeScratch(base, { run: 'x', attempt: 1 });
  await makeScratch(base, { run: 'y', attempt: 1 });
  expect([left, elsewhere, living.path].map((path) => existsSync(path))).toEqual([false, true, true]);
});

it('a scratch directory with too little room is StoreFull, in numbers', async () => {
  const disk = mountTmpfs('size=1m');
  try {
    await expect(assertRoom(disk.directory, 20_000_000)).rejects.toMatchObject({
      type: 'StoreFull',
      message: `scratch directory ${disk.directory} has 1.0 MB free, 20 MB are expected`,
    });
    await assertRoom(disk.directory, 500_000);
  } finally {
    disk.close();
  }
});

it('a scratch directory that cannot be made is named', async () => {
  writeFileSync(join(base, 'file'), 'x');
  await expect(makeScratch(join(base, 'file'), { run: 'x', attempt: 1 })).rejects.toMatchObject({
    type: 'StoreUnavailable',
    message: expect.stringContaining(join(base, 'file')),
  });
});

it('a full disk is told from other errors, and what is no system error stays as it is', () => {
  const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' });
  expect(scratchError(full, '/scratch')).toMatchObject({ type: 'StoreFull' });
  const bug = new TypeError('x');
  expect(scratchError(bug, '/scratch')).toBe(bug);
});
