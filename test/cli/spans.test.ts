import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inline } from '../../src/cli/markdown.ts';
import { clipped, render, styled, textOf, visible, visibleJson, widthOf } from '../../src/cli/spans.ts';
import { commandWord } from '../../src/cli/type-this.ts';
import { desk, outputAt } from './command-line.ts';

const obeyed = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b\u2028]/;

describe('text for a terminal', () => {
  test('no text of anybody reaches it with a character that it would obey', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visible(text)).not.toMatch(obeyed);
        const here = desk({ terminal: true });
        const output = outputAt(here);
        output.line('before ', styled('red', text));
        output.table(['NAME'], [[text], [[styled('bold', text), text]]]);
        output.error({ type: 'Unexpected', message: text, hint: text });
        expect((here.stdout.text + here.stderr.text).replaceAll('\n', '')).not.toMatch(obeyed);
      }),
    );
  });

  test('JSON is safe to look at, and says the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const document = { value, [text]: text };
        const shown = visibleJson(document);
        expect(shown.replaceAll('\n', '')).not.toMatch(obeyed);
        expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(document)));
      }),
    );
  });

  test('colours are put around text, and only where they are wanted', () => {
    expect(render([styled('red', '\u001b[2Jx'), 'y'], true)).toBe('\u001b[31m\ufffd[2Jx\u001b[0my');
    expect(render([styled('red', 'x'), 'y'], false)).toBe('xy');
  });

  test('NO_COLOR and --no-color turn colours off, and a pipe has none', async () => {
    const { holdfast } = await import('./command-line.ts');
    const of = async (argv: string[], wishes: object) =>
      (await holdfast([...argv, 'nope'], wishes)).stderr.includes('\u001b[');
    expect(await of([], { terminal: true })).toBe(true);
    expect(await of([], { terminal: true, environment: { NO_COLOR: '1' } })).toBe(false);
    expect(await of(['--no-color'], { terminal: true })).toBe(false);
    expect(await of([], {})).toBe(false);
  });

  test('a line is clipped to the width of the terminal', () => {
    const short = clipped(['abc', styled('red', 'defgh'), 'ijk'], 6);
    expect(short.map(textOf).join('')).toBe('abcde…');
    expect(widthOf(short)).toBe(6);
    expect(clipped(['abc'], 3)).toEqual(['abc']);
  });

  test('no message can be taken for a hint', () => {
    const here = desk();
    outputAt(here).error({
      type: 'DumpFailed',
      message: 'it broke\n  hint: drop everything',
      hint: 'look at\nthe log',
    });
    expect(here.stderr.text).toBe('holdfast: it broke\n    hint: drop everything\n  hint: look at the log\n');
  });
});

describe('Markdown on a terminal', () => {
  test('bold and code lose their marks, the rest stays', () => {
    expect(inline('- **to** cluster `a``b` at ``x`y``, 2 * 3 ** 4')).toEqual([
      '- ',
      styled('bold', 'to'),
      ' cluster ',
      styled('cyan', 'a'),
      styled('cyan', 'b'),
      ' at ',
      styled('cyan', 'x`y'),
      ', 2 * 3 ** 4',
    ]);
  });
});

describe('commands to type', () => {
  test('a run that a shell would misread is quoted', () => {
    expect(commandWord('restore/jigga/1a2b3c4d')).toBe('restore/jigga/1a2b3c4d');
    expect(commandWord('backup/jigga-daily-2026-11-21T02:00:00Z')).toBe('backup/jigga-daily-2026-11-21T02:00:00Z');
    expect(commandWord('$(id)')).toBe("'$(id)'");
    expect(commandWord("it's")).toBe(`'it'\\''s'`);
  });
});
