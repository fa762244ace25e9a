import { HoldfastError } from '../../domain/errors.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { quoteIdent, quoteLiteral, type Session } from '../connection.ts';
import { hasWords, isStatement, nameAt, type MetaCommand, type Statement } from '../restore/statements.ts';
import type { ScratchServer } from './scratch-server.ts';

/**
 * Every tablespace that a backup's globals would make, or that its manifest tells of. Pure. DumpRefused where it can't
 * be told which one a statement makes: what isn't made beforehand would be made where the source has it.
 */
export function tablespacesOf(
  globals: readonly (Statement | MetaCommand)[],
  { tablespaces }: Pick<Manifest, 'tablespaces'>,
): string[] {
  const names = new Set(tablespaces.map(({ name }) => name));
  for (const { tokens, line } of globals.filter(isStatement)) {
    if (!hasWords(tokens, ['create', 'tablespace'])) continue;
    const name = nameAt(tokens, 2);
    if (name === undefined || name === '')
      throw new HoldfastError(
        'DumpRefused',
        `line ${String(line)} of the backup's globals makes a tablespace whose name can't be read`,
        'restore from another backup: this one was not written by pg_dumpall, or is damaged',
      );
    names.add(name);
  }
  return [...names];
}

/**
 * Makes the tablespaces below the drill's own place. The globals, which name the directories of the source, then find
 * them there and make none: on the source's own machine these are the live server's.
 */
export async function makeTablespaces(
  session: Session,
  names: readonly string[],
  { tablespaceDirectory }: Pick<ScratchServer, 'tablespaceDirectory'>,
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const directory = await tablespaceDirectory(index);
    await session.query(`CREATE TABLESPACE ${quoteIdent(name)} LOCATION ${quoteLiteral(directory)}`);
  }
}
