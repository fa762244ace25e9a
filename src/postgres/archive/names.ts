import type { DatabaseEntry } from '../inspect.ts';

/** How pg_dump writes a database: as one file, or as a directory, by several jobs, which is kept as a tar. */
export type ArchiveFormat = 'custom' | 'directory';

const safe = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/**
 * What the object of each database is called behind the backup's id: by its name where that is plain, else by its OID.
 * Pure; no two are alike, also where upper and lower case are the same.
 */
export function archiveSuffixes(
  databases: readonly Pick<DatabaseEntry, 'name' | 'oid'>[],
  format: ArchiveFormat,
): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(
    databases.map(({ name, oid }) => {
      const isPlain = safe.test(name) && !taken.has(name.toLowerCase());
      taken.add(name.toLowerCase());
      return [name, `${isPlain ? name : `_oid${String(oid)}`}.${format === 'custom' ? 'dump' : 'tar'}`];
    }),
  );
}

export const globalsSuffix = (compression: 'gzip' | 'zstd') => `globals.sql.${compression === 'gzip' ? 'gz' : 'zst'}`;

/** An empty database: PostgreSQL's own catalogs, which no archive holds. */
const catalogBytes = 8_000_000;

/**
 * How long an archive may become: half of what the database takes without the catalogs, for its indexes and the
 * compression. A guess that is nearly always too high; data that can't be compressed may exceed it.
 */
export const expectedArchiveBytes = ({ bytes }: Pick<DatabaseEntry, 'bytes'>) =>
  Math.ceil(Math.max(0, bytes - catalogBytes) / 2);
