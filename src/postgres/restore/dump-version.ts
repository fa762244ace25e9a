import { HoldfastError } from '../../domain/errors.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { knowsFences } from '../../domain/psql-flaws.ts';
import type { Tools } from '../tools.ts';

/** "17.6" of the pg_dump that wrote a backup's contents. */
export const dumpVersionOf = (manifest: Pick<Manifest, 'tools' | 'server'>) =>
  manifest.tools['pg_dump'] ?? manifest.server.version;

export const majorOf = (version: string) => Number.parseInt(version, 10);

/** ToolTooOld where psql would stop at the first line of such a dump. */
export function assertReadable(tools: Pick<Tools, 'version' | 'psql'>, dumpVersion: string): void {
  if (!knowsFences(dumpVersion) || knowsFences(tools.version)) return;
  throw new HoldfastError(
    'ToolTooOld',
    `${tools.psql} is of version ${tools.version}, and does not know the \\restrict that pg_dump ${dumpVersion} writes`,
    'update the PostgreSQL client tools on the worker to their newest minor version',
  );
}
