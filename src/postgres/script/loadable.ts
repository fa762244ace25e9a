import { HoldfastError } from '../../domain/errors.ts';
import { LoadableScript, type LoadableOptions } from './loadable-script.ts';
import { Scanner } from './scan.ts';

export type { LoadableOptions };

/**
 * What of one database's contents may be fed to `psql -d <a fresh copy of template0>`. Every statement is read and
 * judged before its bytes are given out, the rows of a COPY flow through. What comes out holds no psql command but the
 * fence of ours, nothing about the database or the cluster as a whole, no comment, and the same line feeds as what
 * went in: lines that psql names are the input's, counted from 1, plus one with `restrictKey`.
 *
 * Where a quoted text would end elsewhere if standard_conforming_strings or the client's encoding had been changed
 * behind our back (by a default, a trigger, a function), the statement is preceded by a SET of what it was read with.
 *
 * Fails with DumpRefused (what, line, database, and what to do) on what isn't allowed, with ObjectDamaged where the
 * contents end inside a statement, rows or a fence; what was given out before is then of no use.
 */
export async function* loadable(
  plain: AsyncIterable<Uint8Array>,
  options: LoadableOptions,
): AsyncGenerator<Uint8Array> {
  const script = new LoadableScript(options, (standardStrings) => {
    scanner.standardStrings = standardStrings;
  });
  const scanner: Scanner = new Scanner(script, { line: options.firstLine ?? 1 });
  if (options.restrictKey !== undefined) {
    if (!/^[A-Za-z0-9]+$/.test(options.restrictKey)) throw new TypeError('a fence needs a key of letters and digits');
    yield Buffer.from(`\\restrict ${options.restrictKey}\n`);
  }
  for await (const chunk of plain) {
    scanner.push(chunk);
    yield* script.take();
  }
  const unfinished = scanner.end() ?? script.unfinished();
  if (unfinished !== null) {
    throw new HoldfastError(
      'ObjectDamaged',
      `the contents of database '${options.database}' are not whole: ${unfinished}`,
      'restore from another backup: this one is cut off or damaged',
    );
  }
  yield* script.take();
}
