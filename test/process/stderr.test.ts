import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { redactor, StderrKeeper } from '../../src/process/stderr.ts';

describe('a redactor', () => {
  test('takes out the longer of two secrets first, every line of one, and nothing for an empty one', () => {
    const redact = redactor(['pass', 'password', 'first line\nsecond line', '']);
    expect(redact('password pass first line, second line, end')).toBe('*** *** ***, ***, end');
  });

  test('takes a secret for text, not for a pattern', () => {
    expect(redactor(['a.c$&'])('abc a.c$& $&')).toBe('abc *** $&');
  });
});

describe('a stderr keeper', () => {
  test('hands on the same lines however the text was cut into pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b\n', '\n', 'secret', 'se', 'cret\r\n', 'ü')), (pieces) => {
        const linesOf = (parts: readonly string[]) => {
          const lines: string[] = [];
          const keeper = new StderrKeeper(['secret'], (line) => lines.push(line));
          for (const part of parts) keeper.push(part);
          keeper.end();
          return { lines, text: keeper.text };
        };
        expect(linesOf(pieces)).toEqual(linesOf([pieces.join('')]));
        expect(linesOf(pieces).text).not.toContain('secret');
      }),
    );
  });

  test('keeps the beginning and the end of a flood and says how much is missing, read line by line or not', () => {
    for (const onLine of [undefined, () => undefined]) {
      const keeper = new StderrKeeper([], onLine);
      keeper.push('first\n');
      for (let i = 0; i < 1_000; i += 1) keeper.push('0123456789abcde\n'.repeat(4_096));
      keeper.push('last\n');
      keeper.end();
      expect(keeper.text).toMatch(/^first\n0123[^]*\[\.\.\. \d+ characters left out \.\.\.\][^]*abcde\nlast$/);
      expect(keeper.text.length).toBeLessThan(10_000);
      expect(Number(/(\d+) characters/.exec(keeper.text)?.[1])).toBe(1_000 * 65_536 + 11 - 2 * 4_096);
    }
  });

  test('leaves no half of a secret at the place where a long line is cut', () => {
    const secret = 'correct horse battery staple';
    for (const before of [65_536 - 5, 65_536 - secret.length, 65_536 - 1]) {
      const lines: string[] = [];
      const keeper = new StderrKeeper([secret], (line) => lines.push(line));
      keeper.push(`${'x'.repeat(before)}${secret} and more\n`);
      const rest = (lines[0] ?? '').replace(/^x+/, '');
      expect('*** and more'.startsWith(rest)).toBe(true);
      expect((lines[0] ?? '').length).toBeLessThanOrEqual(65_536);
    }
  });

  test('knows the last line that says something', () => {
    const keeper = new StderrKeeper();
    keeper.push('warning\nerror: it broke\n\n  \n');
    keeper.end();
    expect(keeper.lastLine).toBe('error: it broke');
  });
});
