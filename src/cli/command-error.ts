import { HoldfastError, messageOf } from '../domain/errors.ts';
import { exitCodeOf, exitCodes, type CommandErrorType, type ExitCode } from './exit-codes.ts';

/** How a command ended without a failure of the engine: the run was cancelled, somebody typed Ctrl-C. */
export class CommandError extends Error {
  readonly type: CommandErrorType;
  readonly hint: string;

  constructor(type: CommandErrorType, message: string, hint: string) {
    super(message);
    this.name = type;
    this.type = type;
    this.hint = hint;
  }
}

export interface Reported {
  readonly type: string;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: ExitCode;
}

/** What is said about anything that was thrown. */
export function reported(error: unknown): Reported {
  if (error instanceof HoldfastError || error instanceof CommandError) {
    const { type, message, hint } = error;
    return { type, message, hint, exitCode: exitCodeOf(type) };
  }
  return {
    type: 'Unexpected',
    message: messageOf(error),
    hint: 'this is a bug, or something Holdfast has no name for; with HOLDFAST_DEBUG=1 it says where it comes from',
    exitCode: exitCodes.failed,
  };
}
