import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { join, normalize } from 'node:path';
import { keyFault, makeStagedName, parseStagedName, splitKey } from '../../src/storage/keys.ts';

describe('a key', () => {
  test('that is accepted never leads out of the repository, and is no staged or hidden name', () => {
    const part = fc.oneof(
      fc.constantFrom('.', '..', '', 'a', '.x', 'b.sql.gz', '\\', '\0'),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const key = parts.join('/');
        if (keyFault(key) !== undefined) return;
        expect(normalize(join('/repository', key))).toBe(`/repository/${key}`);
        expect(key.split('/').every((each) => !each.startsWith('.') && parseStagedName(each) === undefined)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('may be long, but not longer than file systems take', () => {
    expect(keyFault(`${'x'.repeat(180)}/${'y'.repeat(180)}`)).toBeUndefined();
    expect(keyFault('ü'.repeat(90))).toBeUndefined();
    expect(keyFault('ü'.repeat(91))).toContain('longer than 180 bytes');
    expect(keyFault(Array.from({ length: 200 }, () => 'abcdef').join('/'))).toContain('longer than 1024 bytes');
  });

  test('is split at its last slash', () => {
    expect(splitKey('a/b/c')).toEqual({ folder: 'a/b', name: 'c' });
    expect(splitKey('c')).toEqual({ folder: '', name: 'c' });
    expect(splitKey('a/')).toEqual({ folder: 'a', name: '' });
  });
});

describe('a staged name', () => {
  test('tells whose it is, also when the name looks like one itself', () => {
    const name = fc
      .string({ minLength: 1, maxLength: 20 })
      .filter((text) => keyFault(text) === undefined && !text.includes('/'));
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9-]{1,32}$/), fc.nat({ max: 999_999 }), name, (run, attempt, final) => {
        expect(parseStagedName(makeStagedName(final, { run, attempt }))).toEqual({ run, attempt, name: final });
      }),
    );
  });

  test('fits into a directory entry, whatever it is made of', () => {
    const longest = makeStagedName('x'.repeat(180), { run: 'r'.repeat(32), attempt: 999_999 });
    expect(Buffer.byteLength(longest)).toBeLessThanOrEqual(255);
  });

  test('is never the same twice', () => {
    const names = Array.from({ length: 100 }, () => makeStagedName('a', { run: 'r', attempt: 1 }));
    expect(new Set(names).size).toBe(100);
  });

  test.each([
    '',
    'a',
    '.hidden',
    '.holdfast-staged.',
    '.holdfast-staged.run.1.0123abcd.',
    '.holdfast-staged.run.x.0123abcd.a',
    '.holdfast-staged.a/b.1.0123abcd.a',
    '.holdfast-staged.run.1.0123abcd.../x',
    '.holdfast-staged.run.1.0123abcd..x',
  ])('is not %j', (file) => {
    expect(parseStagedName(file)).toBeUndefined();
  });
});
