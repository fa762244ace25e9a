import { isAbsolute, normalize, sep } from 'node:path';
import type { BaseManifest } from '../../domain/base-manifest.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { refused } from './tar-header.ts';

/** New directories by the tablespace's OID. */
export type TablespaceMapping = Readonly<Record<string, string>>;

/**
 * The mapping, for exactly the tablespaces that the backup has. A copy whose tablespaces lie where the source's lie
 * would share them: a table dropped in the copy is then gone from the source. Fails with InvalidArgument, which names
 * what is missing or can't be.
 */
export function checkTablespaces(
  manifest: BaseManifest,
  mapping: TablespaceMapping,
  dataDirectory: string,
): TablespaceMapping {
  const wanted = manifest.archives.flatMap(({ tablespace }) => (tablespace === null ? [] : [tablespace]));
  const nameOf = (oid: number) => manifest.tablespaces.find((one) => one.oid === oid)?.name ?? String(oid);
  const unmapped = wanted.filter((oid) => mapping[String(oid)] === undefined);
  if (unmapped.length > 0)
    throw new HoldfastError(
      'InvalidArgument',
      `no directory is given for ${unmapped.length === 1 ? 'tablespace' : 'tablespaces'} ${unmapped.map((oid) => `'${nameOf(oid)}'`).join(', ')} of backup ${manifest.id}`,
      'give each tablespace a new directory: a copy must not use those of its source',
    );
  const chosen = wanted.map((oid) => [String(oid), normalize(mapping[String(oid)] ?? '')] as const);
  const places = [['data directory', normalize(dataDirectory)] as const, ...chosen];
  for (const [oid, place] of places) {
    if (!isAbsolute(place) || place === sep || /[\0\r\n\\]/.test(place) || place.endsWith(sep))
      throw new HoldfastError(
        'InvalidArgument',
        `${JSON.stringify(place)} can't be the directory of ${oid}`,
        'give an absolute path without line breaks, backslashes and a slash at its end',
      );
    for (const [other, elsewhere] of places)
      if (other !== oid && (place === elsewhere || place.startsWith(`${elsewhere}${sep}`)))
        throw new HoldfastError(
          'InvalidArgument',
          `${place} lies in ${elsewhere}, which is used already`,
          'give the data directory and each tablespace a directory of its own, side by side',
        );
  }
  return Object.fromEntries(chosen);
}

/** The text of a tablespace_map that leads to the new directories. DumpRefused where it names one that isn't mapped. */
export function remapTablespaces(content: string, mapping: TablespaceMapping, archive: string): string {
  return content
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const oid = /^([0-9]+) /.exec(line)?.[1];
      // A location may hold a line break, written with a backslash before it: the rest of such a line has no OID.
      if (oid === undefined) return '';
      const place = mapping[oid];
      if (place === undefined)
        throw refused(archive, 'tablespace_map', `leads to tablespace ${oid}, of which the backup has no archive`);
      return `${oid} ${place}\n`;
    })
    .join('');
}
