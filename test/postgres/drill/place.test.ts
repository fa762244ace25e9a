import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { assertOurs, makePlace, removePlace, sweepPlaces } from '../../../src/postgres/drill/place.ts';
import { isRunning, ownIdentity } from '../../../src/postgres/drill/process-identity.ts';

const { signal } = new AbortController();
const host = 'here';
const run = '1a2b3c4d';

describe('the place of a drill', () => {
  let root: string;
  beforeEach(async () => {
    root = join(await makeScratch('drills', { owner: serverUser() }), 'instances');
  });
  afterEach(() => rm(join(root, '..'), { recursive: true, force: true }));

  const make = (attempt: number, more: { run?: string; host?: string } = {}) =>
    makePlace(root, { run, host, attempt, ...more }, serverUser());

  /** As if the worker that made it had been killed. */
  async function orphan(directory: string): Promise<void> {
    const path = join(directory, 'holdfast-drill.json');
    const mark = JSON.parse(await readFile(path, 'utf8')) as { process: { startedAt: string } };
    mark.process.startedAt = '1';
    await writeFile(path, JSON.stringify(mark));
  }

  test('is one for each attempt, and goes with everything in it', async () => {
    const place = await make(1);
    await mkdir(place.dataDirectory);
    await writeFile(join(place.dataDirectory, 'x'), 'x');
    await writeFile(join(root, 'precious'), 'x');
    await symlink(join(root, 'precious'), join(place.tablespaces, 'link'));
    await expect(make(1)).rejects.toMatchObject({ name: 'Busy' });
    await assertOurs(place);
    await removePlace(place, signal);
    await removePlace(place, signal);
    expect(await readdir(root)).toEqual(['precious']);
    await expect(assertOurs(place)).rejects.toMatchObject({ name: 'Unexpected' });
    // It was swept, and went on writing.
    await mkdir(place.dataDirectory, { recursive: true });
    await removePlace(place, signal);
    expect(await readdir(root)).toEqual(['precious']);
    const next = await make(1);
    await removePlace(place, signal);
    await assertOurs(next);
  });

  test('is swept when its worker has died, or its run goes on elsewhere, and never otherwise', async () => {
    const earlier = await make(1);
    const dead = await make(1, { run: 'dddddddd' });
    const living = await make(1, { run: 'aaaaaaaa' });
    const elsewhere = await make(1, { run: 'eeeeeeee', host: 'there' });
    await orphan(dead.directory);
    await orphan(elsewhere.directory);
    const { removed, left } = await sweepPlaces(root, { run, host }, signal);
    expect([...removed].sort()).toEqual([earlier.directory, dead.directory].sort());
    expect(left).toEqual([]);
    expect((await readdir(root)).map((name) => join(root, name)).sort()).toEqual(
      [living.directory, elsewhere.directory].sort(),
    );
  });

  test('that bears no mark of a drill is left alone, unless it is empty and old', async () => {
    const names = ['drill-1a2b3c4d-1', 'drill-1a2b3c4d-2', 'drill-1a2b3c4d-3', 'drill-others', 'jigga-1a2b3c4d'];
    for (const name of names) await mkdir(join(root, name), { recursive: true });
    await writeFile(join(root, 'drill-1a2b3c4d-2', 'somebodys'), 'x');
    for (const name of names.slice(1, 3)) await utimes(join(root, name), 1000, 1000);
    await sweepPlaces(root, { run, host }, signal);
    expect((await readdir(root)).sort()).toEqual(names.filter((name) => name !== 'drill-1a2b3c4d-3').sort());
  });

  test('is made in no directory of somebody else', async () => {
    await mkdir(root);
    await chown(root, 54_321, 54_321);
    await expect(make(1)).rejects.toMatchObject({ name: 'InvalidArgument' });
  });

  test('needs no directory to be there before', async () => {
    expect(await sweepPlaces(join(root, 'nowhere'), { host }, signal)).toEqual({ removed: [], left: [] });
  });
});

describe('a process', () => {
  test('is told from a later one with the same number', async () => {
    const own = await ownIdentity();
    expect(await isRunning(own)).toBe(true);
    expect(await isRunning({ ...own, startedAt: '1' })).toBe(false);
    expect(await isRunning({ ...own, boot: 'another' })).toBe(false);
    const child = spawn('true');
    await new Promise((resolve) => child.once('close', resolve));
    expect(await isRunning({ ...own, pid: child.pid ?? 1 })).toBe(false);
  });

  test('whose name holds spaces and parentheses is recognised', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '-e',
      `process.title = 'a) b (c'; console.log(require('fs').readFileSync('/proc/self/stat', 'utf8'))`,
    ]);
    expect(stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')[19]).toMatch(/^\d+$/);
  });
});
