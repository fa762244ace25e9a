import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { Ending, Exit } from './child.ts';

/** A tool of a chain failed. */
export class ToolFailure extends HoldfastError {
  /** The one that failed first in cause. */
  readonly exit: Exit;
  /** Every member's, in the chain's order. */
  readonly exits: readonly Exit[];

  constructor(message: string, hint: string, exit: Exit, exits: readonly Exit[]) {
    super('ToolFailed', message, hint);
    this.exit = exit;
    this.exits = exits;
  }
}

/** It ended because nobody read what it wrote: the cause lies downstream. (141 is how a shell passes SIGPIPE on.) */
export function lostItsReader({ code, signal, lastLine }: Ending): boolean {
  return (
    signal === 'SIGPIPE' || code === 141 || (code !== null && /broken pipe|connection reset by peer/i.test(lastLine))
  );
}

/**
 * Which member's failure is the cause of the others'; undefined if all is well. One that failed by itself comes
 * before one that lost its reader, that before one that was told to end; among equals the one upstream, since what is
 * missing there makes those below fail.
 */
export function culpritOf(endings: readonly Ending[]): Ending | undefined {
  const bad = endings.filter((ending) => !ending.ok);
  return (
    bad.find((ending) => ending.error !== undefined) ??
    bad.find((ending) => !ending.stopped && !lostItsReader(ending)) ??
    bad.findLast((ending) => lostItsReader(ending)) ??
    bad[0]
  );
}

/** The error of a chain whose culprit is known. */
export function failureOf(culprit: Ending, endings: readonly Ending[]): unknown {
  if (culprit.error !== undefined) return culprit.error;
  const next = endings[endings.indexOf(culprit) + 1];
  const { name, code, signal, lastLine } = culprit;
  const how = signal === null ? `failed with exit code ${String(code)}` : `was ended by ${signal}`;
  const said = lastLine === '' ? '' : `: ${lastLine}`;
  const early =
    (signal === 'SIGPIPE' || code === 141) && next?.ok === true ? ` (${next.name} stopped reading before the end)` : '';
  return new ToolFailure(`${name} ${how}${early}${said}`, hintFor(culprit), exitOnly(culprit), endings.map(exitOnly));
}

function hintFor({ name, signal, stopped, stderr }: Ending): string {
  if (signal === 'SIGKILL' && !stopped) {
    return `somebody killed ${name}: look in the kernel's log whether the machine or its container was out of memory`;
  }
  if (signal === 'SIGSEGV' || signal === 'SIGBUS' || signal === 'SIGABRT')
    return `${name} crashed: try another version of it`;
  if (stderr === '') return `${name} said nothing; run it by hand on the worker to see why`;
  return `correct what ${name} complains about, then run again`;
}

export const exitOnly = ({ file, code, signal, stderr }: Ending): Exit => ({ file, code, signal, stderr });

/** destroy() wants an Error; an abort's reason may be anything. */
export const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(messageOf(reason)));
