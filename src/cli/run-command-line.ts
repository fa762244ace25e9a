import { CommanderError, type Command } from 'commander';
import { HoldfastError } from '../domain/errors.ts';
import { reported } from './command-error.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { buildProgram } from './program.ts';
import { Shell } from './shell.ts';
import { visible } from './spans.ts';

/** Runs one command. Never throws: what went wrong is said on stderr and in the exit code. */
export async function runCommandLine(argv: readonly string[], context: Context): Promise<ExitCode> {
  const shell = new Shell(context);
  const program = buildProgram(shell);
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return exitCodes.ok;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return shell.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    const known = error instanceof CommanderError ? usageError(error, program, argv) : error;
    const report = reported(known);
    shell.output(wantsJson(argv), !argv.includes('--no-color')).error(report);
    if (isSet(context.environment['HOLDFAST_DEBUG'])) context.stderr.write(`${trace(known)}\n`);
    return report.exitCode;
  }
}

/** Commander's words as one of Holdfast's errors, naming the command whose help answers. */
function usageError(error: CommanderError, program: Command, argv: readonly string[]): HoldfastError {
  const command = spokenTo(program, argv);
  const path = pathOf(command);
  const help = `'${path} --help' shows what it takes`;
  if (error.code === 'commander.help') {
    const names = command.commands.map((sub) => sub.name()).filter((name) => name !== 'help');
    return new HoldfastError(
      'InvalidArgument',
      `'${path}' needs one of: ${names.join(', ')}`,
      `'${path} --help' says what each does`,
    );
  }
  const message = error.message
    .replace(/^error: /, '')
    .replace(/ is invalid\. (.)/, (_, first: string) => ` is not valid: ${first.toLowerCase()}`)
    .replaceAll('\n', ' ')
    .replace(/[.]+$/, '');
  return new HoldfastError('InvalidArgument', message, help);
}

/** The deepest command that the words name. */
function spokenTo(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const next = command.commands.find((sub) => sub.name() === word);
    if (next) command = next;
  }
  return command;
}

const pathOf = (command: Command): string =>
  command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

const isSet = (value: string | undefined) => value !== undefined && value !== '';

function trace(error: unknown): string {
  const lines: string[] = [];
  for (let current: unknown = error; current instanceof Error; current = current.cause)
    lines.push(...(current.stack ?? current.message).split('\n').map(visible));
  return lines.join('\n');
}
