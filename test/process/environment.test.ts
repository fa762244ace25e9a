import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeSync, readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { childEnvironment, findTool } from '../../src/process/environment.ts';
import { closePipe, openPipe } from '../../src/process/os-pipe.ts';

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'holdfast-environment-'))));
afterEach(() => rm(directory, { recursive: true }));

describe('looking for a tool', () => {
  test('takes the first executable file along the path', async () => {
    await writeFile(join(directory, 'igzip'), '', { mode: 0o755 });
    expect(findTool('igzip', `/no/such/directory::${directory}:/usr/bin`)).toBe(join(directory, 'igzip'));
  });

  test('passes over directories, files that can not be run and links that lead nowhere', async () => {
    await writeFile(join(directory, 'a'), '', { mode: 0o644 });
    await symlink('/no/such/file', join(directory, 'b'));
    expect(findTool('a', directory)).toBeUndefined();
    expect(findTool('b', directory)).toBeUndefined();
    expect(findTool(directory.split('/').at(-1) ?? '', tmpdir())).toBeUndefined();
    expect(findTool('sh', '')).toBeUndefined();
  });
});

test("a child's own variables win over what it inherits", () => {
  const worker = { PATH: '/usr/bin', TZ: 'Asia/Tokyo', HOME: '/home/worker', PGHOST: 'elsewhere', TMPDIR: undefined };
  expect(childEnvironment({ TZ: 'UTC', LC_ALL: 'C' }, worker)).toEqual({ PATH: '/usr/bin', TZ: 'UTC', LC_ALL: 'C' });
});

describe('a pipe of the operating system', () => {
  test('carries bytes from one end to the other, ends with its writer, and leaves nothing in the directory', async () => {
    const pipe = openPipe(directory);
    if (pipe === undefined) throw new Error('no pipe was made');
    expect(await readdir(directory)).toEqual([]);
    writeSync(pipe.write, 'through');
    const buffer = Buffer.alloc(100);
    expect(buffer.toString('utf8', 0, readSync(pipe.read, buffer))).toBe('through');
    closeSync(pipe.write);
    expect(readSync(pipe.read, buffer)).toBe(0);
    closePipe({ ...pipe, write: pipe.read });
  });

  test('is not to be had where no directory can be written', () => {
    expect(openPipe(join(directory, 'missing'))).toBeUndefined();
  });
});
