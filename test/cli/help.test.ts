import { describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { referenceOf } from '../../scripts/reference/render.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { examplesOf, Shell } from '../../src/cli/shell.ts';
import { expectGolden } from '../golden.ts';
import { desk, holdfast } from './command-line.ts';

const program = buildProgram(new Shell(desk()));
const leaves = (command: Command, path: readonly string[]): [string, Command][] => [
  [path.join(' '), command],
  ...command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()])),
];
const commands = leaves(program, []);

describe('help', () => {
  test.each(commands.map(([path]) => path))("'holdfast %s --help' is what it was", async (path) => {
    const words = path.split(' ').filter((word) => word !== '');
    const { code, stdout, stderr } = await holdfast([...words, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectGolden(
      import.meta.url,
      `help/${['holdfast', ...words].join('-')}.txt`,
      stdout.replace(/[0-9]+\.[0-9]+\.[0-9]+/g, 'X.Y.Z'),
    );
  });

  test('every command that does something has an example', () => {
    const doing = commands.filter(([, command]) => command.commands.length === 0 || command.options.length > 0);
    expect(doing.filter(([, command]) => examplesOf(command).length === 0).map(([path]) => path)).toEqual([]);
  });

  test('without arguments it shows the help', async () => {
    const [bare, asked] = await Promise.all([holdfast([]), holdfast(['--help'])]);
    expect(bare).toEqual(asked);
  });

  test('docs/cli.md is what the commands say of themselves', () => {
    expect(readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')).toBe(referenceOf());
  });
});

describe('starting quickly', () => {
  /** What a file imports when it is loaded; `import type` is gone by then. */
  const imports = (file: URL) =>
    [...readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s(?!type\s)[^;]*?from\s+'([^']+)'/gm)].map(
      ([, name = '']) => name,
    );

  test('help loads neither Temporal nor zod nor anything else that is slow', () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: URL) => {
      if (seen.has(file.href)) return;
      seen.add(file.href);
      for (const name of imports(file)) {
        if (name.startsWith('.')) visit(new URL(name, file));
        else packages.add(name);
      }
    };
    visit(new URL('../../src/cli/main.ts', import.meta.url));
    expect(seen.size).toBeGreaterThan(20);
    expect([...packages].filter((name) => !name.startsWith('node:'))).toEqual(['commander']);
  });
});
