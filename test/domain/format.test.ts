import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  code,
  formatBytes,
  formatCount,
  formatSeconds,
  formatVersion,
  oneLine,
  shellWord,
  wellFormed,
} from '../../src/domain/format.ts';

describe('numbers for people', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1234, '1.2 kB'],
    [12_345, '12 kB'],
    [99_400, '99 kB'],
    [99_500, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [1_510_000_000, '1.5 GB'],
    [84e12, '84 TB'],
    [3e15, '3.0 PB'],
    [5e18, '5000 PB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0, '0.0 s'],
    [9.94, '9.9 s'],
    [10, '10 s'],
    [119, '119 s'],
    [120, '2 min'],
    [7199, '120 min'],
    [7200, '2 h'],
    [172_799, '48 h'],
    [172_800, '2 days'],
    [31_536_000, '365 days'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  test('count in thousands, one and many', () => {
    expect([
      formatCount(0, 'row'),
      formatCount(1, 'row'),
      formatCount(999, 'row'),
      formatCount(1_234_567, 'row'),
    ]).toEqual(['0 rows', '1 row', '999 rows', '1,234,567 rows']);
    expect([formatCount(1, 'copy', 'copies'), formatCount(1000, 'copy', 'copies')]).toEqual(['1 copy', '1,000 copies']);
  });

  test('name a version as PostgreSQL does', () => {
    expect([formatVersion(150_018), formatVersion(170_006), formatVersion(180_000)]).toEqual(['15.18', '17.6', '18.0']);
  });
});

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[`a \n]{0,12}$/),
  fc.string({ unit: fc.constantFrom('`', '\n', '\u202e', '\ud800', 'x') }),
);

describe('a name in Markdown', () => {
  test.each([
    ['gatus', '`gatus`'],
    ['', '`  `'],
    ['a`b', '``a`b``'],
    ['a``b', '```a``b```'],
    ['`', '`` ` ``'],
    ['`a', '`` `a ``'],
    ['a b', '`a b`'],
    [' a', '`  a `'],
    ['two\nlines', '`two\ufffdlines`'],
    ['\u001b[31mred', '`\ufffd[31mred`'],
    ['evil\u202egnp', '`evil\ufffdgnp`'],
    ['sep\u2028arated', '`sep\ufffdarated`'],
    ['half\ud800', '`half\ufffd`'],
    ['日本 🐘', '`日本 🐘`'],
  ])('%p is %s', (name, text) => {
    expect(code(name)).toBe(text);
  });

  test('stays on its line, and nothing of it closes its quotes', () => {
    fc.assert(
      fc.property(nasty, (name) => {
        const text = code(name);
        expect(text).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e]/u);
        const fence = /^`+/.exec(text.replace(/^(`+)\1$/, '$1'))?.[0] ?? '';
        fc.pre(name !== '');
        expect(text.endsWith(fence)).toBe(true);
        expect(text.slice(fence.length, -fence.length).split(/[^`]+/)).not.toContain(fence);
      }),
    );
  });
});

describe('foreign text on a line of ours', () => {
  test.each([
    ['differs', 'differs'],
    ['a\n\n### Approved', 'a ### Approved'],
    ['tabs\t and\r\nmore', 'tabs and more'],
    ['\u001b[2Jcleared', '\ufffd[2Jcleared'],
    ['\u202eevil\ufeff', '\ufffdevil\ufffd'],
  ])('%p becomes %p', (text, line) => {
    expect(oneLine(text)).toBe(line);
  });

  test('has one line, and is the same when it is done again', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        expect(oneLine(text)).not.toMatch(/[\n\r\u2028\u2029\u0085]/);
        expect(oneLine(oneLine(text))).toBe(oneLine(text));
      }),
    );
  });
});

describe('text without half characters', () => {
  test('can be written as UTF-8 and read back the same', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const whole = wellFormed(text);
        expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(whole))).toBe(whole);
      }),
    );
    expect(wellFormed('🐘 stays')).toBe('🐘 stays');
  });
});

describe('a word for the shell', () => {
  test.each(['plain', '', "it's", '$(id)', '`id`', '; rm -rf', 'a\nb', '"', '\\', "''", '-n', '日本'])(
    '%p arrives as it is',
    (word) => {
      expect(execFileSync('/bin/sh', ['-c', `printf %s ${shellWord(word)}`], { encoding: 'utf8' })).toBe(word);
    },
  );
});
