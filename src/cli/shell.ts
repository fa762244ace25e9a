import type { Command } from 'commander';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { Output } from './output.ts';

/** One call of the command line: what commands get beside their own arguments. */
export class Shell {
  readonly context: Context;
  exitCode: ExitCode = exitCodes.ok;

  constructor(context: Context) {
    this.context = context;
  }

  /** What the options say that every command has. */
  call(command: Command): { readonly output: Output; readonly configFile: string | undefined } {
    const { json, color, config } = command.optsWithGlobals<GlobalOptions>();
    return { output: this.output(json === true, color), configFile: config };
  }

  output(json: boolean, color = true): Output {
    const { stdout, stderr, environment } = this.context;
    const noColor = environment['NO_COLOR'];
    return new Output({ stdout, stderr, json, plain: !color || (noColor !== undefined && noColor !== '') });
  }
}

interface GlobalOptions {
  readonly json?: boolean;
  readonly color: boolean;
  readonly config?: string;
}

export type Example = readonly [command: string, meaning: string];

const examples = new WeakMap<Command, readonly Example[]>();

/** Shown below a command's help, and in the reference. */
export function withExamples(command: Command, list: readonly Example[]): Command {
  examples.set(command, list);
  const lines = list.map(([text, meaning]) => `  ${text}\n      ${meaning}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export const examplesOf = (command: Command): readonly Example[] => examples.get(command) ?? [];
