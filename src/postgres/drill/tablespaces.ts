import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { quoteIdent, quoteLiteral, type Session } from '../connection.ts';
import { whomToBecome, type RunAs } from '../instance/run-as.ts';
import { hasWords, isStatement, nameAt, type MetaCommand, type Statement } from '../restore/statements.ts';
import { placeError, type DrillPlace } from './place.ts';

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
  place: DrillPlace,
  runAs: RunAs | undefined,
): Promise<void> {
  const owner = whomToBecome(runAs);
  for (const [index, name] of names.entries()) {
    const directory = join(place.tablespaces, String(index + 1));
    try {
      await mkdir(directory, { mode: 0o700 });
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    } catch (error) {
      throw placeError(error, directory);
    }
    await session.query(`CREATE TABLESPACE ${quoteIdent(name)} LOCATION ${quoteLiteral(directory)}`);
  }
}

/** Fails with Unexpected where a tablespace of the copy lies outside the drill's own place. */
export async function assertInside(session: Session, { tablespaces }: DrillPlace): Promise<void> {
  const rows = await session.query<{ readonly name: string; readonly location: string }>(
    `SELECT spcname::text AS name, pg_tablespace_location(oid) AS location FROM pg_tablespace
      WHERE spcname NOT IN ('pg_default', 'pg_global')`,
  );
  const outside = rows.find(({ location }) => !location.startsWith(`${tablespaces}/`));
  if (outside === undefined) return;
  throw new HoldfastError(
    'Unexpected',
    `tablespace '${outside.name}' of the drill lies in ${outside.location}, outside its own place`,
    'report this as a bug; nothing of it was removed',
  );
}
