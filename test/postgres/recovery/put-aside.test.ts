import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { claimDirectory } from '../../../src/postgres/recovery/owned-directory.ts';
import { putAside, putBack, releaseAside } from '../../../src/postgres/recovery/put-aside.ts';

const run = promisify(execFile);
const owner = serverUser();

describe('what lies in the place of a recovery', () => {
  let scratch: string;
  let data: string;
  let space: string;

  beforeEach(async () => {
    scratch = await makeScratch('aside', { inMemory: true });
    data = join(scratch, 'data');
    space = join(scratch, 'space');
    for (const directory of [data, space]) {
      await mkdir(directory);
      await writeFile(join(directory, 'old'), directory);
      await mkdir(join(directory, 'base'));
      await chmod(directory, 0o750);
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    }
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));

  const input = () => ({ id: 'r1', dataDirectory: data, tablespaceDirectories: [space] });

  test('is put beside, leaves an empty directory of the same owner, and comes back over what was recovered', async () => {
    const asides = await putAside(input());
    expect(await readdir(data)).toEqual([]);
    const left = await stat(data);
    expect([left.mode & 0o777, left.uid]).toEqual([0o750, owner?.uid ?? process.getuid?.()]);
    expect(await putAside(input())).toEqual(asides);
    for (const directory of [data, space]) {
      await claimDirectory(directory, 'fetch', owner);
      await writeFile(join(directory, 'new'), 'x');
    }
    await putBack(asides);
    await putBack(asides);
    expect(await readdir(data)).toEqual(['base', 'old']);
    expect(await readFile(join(space, 'old'), 'utf8')).toBe(space);
    expect((await readdir(scratch)).sort()).toEqual(['data', 'space']);
  });

  test('is released for good, and nothing else is', async () => {
    const asides = await putAside(input());
    await writeFile(join(data, 'new'), 'x');
    await releaseAside(asides);
    await releaseAside(asides);
    expect((await readdir(scratch)).sort()).toEqual(['data', 'space']);
    expect(await readdir(data)).toEqual(['new']);
  });

  test('never makes room for itself where somebody put something', async () => {
    const asides = await putAside(input());
    await writeFile(join(data, 'precious'), 'x');
    await expect(putBack(asides)).rejects.toMatchObject({ type: 'TargetNotEmpty' });
    expect(await readdir(data)).toEqual(['precious']);
  });

  test('stays where a server may run on it', async () => {
    await writeFile(join(data, 'postmaster.pid'), '4194304\n');
    await expect(putAside(input())).rejects.toMatchObject({ type: 'Busy' });
    expect((await readdir(data)).sort()).toEqual(['base', 'old', 'postmaster.pid']);
  });

  test('at a mount point is moved into a hidden directory inside it', async () => {
    const mounted = join(scratch, 'mounted');
    await mkdir(mounted);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mounted]);
    try {
      await writeFile(join(mounted, 'old'), 'x');
      const asides = await putAside({ id: 'r2', dataDirectory: mounted, tablespaceDirectories: [] });
      expect(asides).toMatchObject([{ isInside: true }]);
      expect(await readdir(mounted)).toEqual(['.holdfast-aside-r2']);
      // a recovery takes the place for empty
      await claimDirectory(mounted, 'fetch', owner);
      await writeFile(join(mounted, 'new'), 'x');
      await putBack(asides);
      expect(await readdir(mounted)).toEqual(['old']);
      const again = await putAside({ id: 'r3', dataDirectory: mounted, tablespaceDirectories: [] });
      await releaseAside(again);
      expect(await readdir(mounted)).toEqual([]);
    } finally {
      await run('umount', [mounted]);
    }
  });
});
