/** The reference of the command line, as Markdown, from commander's own data. */
import { PassThrough } from 'node:stream';
import type { Argument, Command, Option } from 'commander';
import { exitCodeMeanings } from '../../src/cli/exit-codes.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { examplesOf, Shell } from '../../src/cli/shell.ts';

export function referenceOf(): string {
  const silent = { write: () => undefined };
  const program = buildProgram(
    new Shell({
      environment: {},
      directory: '/',
      userName: undefined,
      stdin: new PassThrough(),
      stdout: silent,
      stderr: silent,
      clock: { now: () => 0, sleep: () => Promise.resolve() },
      onInterrupt: () => () => undefined,
    }),
  );
  return `${[
    '# The command line',
    '',
    '<!-- Made by scripts/cli-reference.ts from what the commands say of themselves. -->',
    '',
    program.description(),
    '',
    'Temporal is found as the `temporal` command finds it: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, TLS and API keys from the environment or `temporal.toml`.',
    '',
    'Every error is two lines on stderr: what is wrong, and what to do next. With `--json` it is `{"error": {"type", "message", "hint"}}` there, and stdout holds exactly one JSON document or nothing.',
    '',
    ...list('Options of every command', [...program.options, helpOption(program)].map(optionLine)),
    '## Exit codes',
    '',
    ...exitCodeMeanings.map(([code, meaning]) => `- \`${String(code)}\` ${escaped(meaning)}`),
    '',
    ...program.commands.flatMap((command) => section(command, ['holdfast'])),
  ]
    .join('\n')
    .trimEnd()}\n`;
}

function section(command: Command, parents: readonly string[]): string[] {
  const path = [...parents, command.name()];
  const subcommands = command.commands;
  const isGroup = subcommands.length > 0 && command.options.length === 0;
  const words = [
    ...path,
    ...(command.options.length > 0 ? ['[options]'] : []),
    ...command.registeredArguments.map((argument) => argumentWord(argument)),
  ];
  const own = isGroup
    ? []
    : [
        `## ${path.join(' ')}`,
        '',
        '```',
        words.join(' '),
        '```',
        '',
        ...command.description().split('\n').map(escaped),
        '',
        ...list('', [...command.registeredArguments.map(argumentLine), ...command.options.map(optionLine)]),
        ...examples(command),
      ];
  return [...own, ...subcommands.flatMap((subcommand) => section(subcommand, path))];
}

function list(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  return [...(title === '' ? [] : [`## ${title}`, '']), ...lines.map((line) => `- ${line}`), ''];
}

function examples(command: Command): string[] {
  const known = examplesOf(command);
  if (known.length === 0) return [];
  return ['```console', ...known.flatMap(([text, meaning]) => [`# ${meaning}`, `$ ${text}`]), '```', ''];
}

const argumentWord = (argument: Argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`);

const argumentLine = (argument: Argument) => `\`${argumentWord(argument)}\` ${escaped(argument.description)}`;

function optionLine({
  flags,
  description,
  mandatory,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): string {
  const shownDefault =
    defaultValueDescription ??
    (typeof defaultValue === 'string' || typeof defaultValue === 'number' ? String(defaultValue) : undefined);
  const more = [
    ...(mandatory ? ['required'] : []),
    ...(argChoices ? [`one of ${argChoices.map((choice) => `\`${choice}\``).join(', ')}`] : []),
    ...(shownDefault === undefined ? [] : [`default \`${shownDefault}\``]),
  ];
  return `\`${flags}\` ${escaped(description)}${more.length === 0 ? '' : ` (${more.join('; ')})`}`;
}

const helpOption = (program: Command): Option => {
  const option = program
    .createHelp()
    .visibleOptions(program)
    .find(({ long }) => long === '--help');
  if (!option) throw new Error('the program has no --help');
  return option;
};

/** What Markdown would take for markup. */
const escaped = (text: string) => text.replace(/[<>*]/g, (character) => `\\${character}`);
