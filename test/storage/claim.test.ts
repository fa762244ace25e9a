import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { link } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { claim } from '../../src/storage/claim.ts';
import { makeScratch, type Scratch } from './scratch.ts';

const failing = (errno: number, code: string) => () => Promise.reject(Object.assign(new Error(code), { errno, code }));

describe('claiming a name', () => {
  let scratch: Scratch;
  let staged: string;
  let final: string;
  beforeEach(() => {
    scratch = makeScratch();
    staged = join(scratch.directory, '.staged');
    final = join(scratch.directory, 'final');
    writeFileSync(staged, 'ours');
  });
  afterEach(() => {
    scratch.close();
  });

  test.each([
    ['by a hard link', link],
    ['by renaming where hard links are not allowed', failing(-1, 'EPERM')],
    ['by renaming where there are no hard links', failing(-95, 'EOPNOTSUPP')],
  ])('%s gives it to the file, and never takes it from another', async (_how, makeLink) => {
    expect(await claim(staged, final, makeLink)).toBe(true);
    expect(readFileSync(final, 'utf8')).toBe('ours');
    rmSync(staged, { force: true });
    writeFileSync(staged, 'second');
    expect(await claim(staged, final, makeLink)).toBe(false);
    expect(readFileSync(final, 'utf8')).toBe('ours');
    expect(readFileSync(staged, 'utf8')).toBe('second');
  });

  test('fails with what the file system says, and leaves everything as it was', async () => {
    await expect(claim(staged, final, failing(-116, 'Unknown system error -116'))).rejects.toMatchObject({
      errno: -116,
    });
    expect(existsSync(final)).toBe(false);
    expect(readFileSync(staged, 'utf8')).toBe('ours');
  });
});
