import { realpath } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import { findTool } from '../process/environment.ts';
import { usualPlaces, versionOf, type ToolPlaces } from './tools.ts';

/** PostgreSQL's server programs of one major version, as absolute paths. */
export interface ServerPrograms {
  readonly major: number;
  /** "15.18" */
  readonly version: string;
  readonly postgres: string;
  readonly initdb: string;
  readonly pgControldata: string;
  readonly pgVerifybackup: string;
  /** undefined before PostgreSQL 17, which brought it. */
  readonly pgCombinebackup: string | undefined;
  /** Where this PostgreSQL looks for libraries such as those in shared_preload_libraries. */
  readonly libraryDirectories: readonly string[];
}

/** From this major version on there are incremental backups, and a program that puts them together. */
const combinesSince = 17;

/**
 * Server programs of exactly the major version asked for: a data directory is read by no other. They are looked for in
 * the directory that the configuration names for this version, in the usual places, and along PATH.
 *
 * Fails with ToolMissing, which names what is missing and the Debian package that has it.
 */
export async function findServerPrograms(versionNum: number, places: ToolPlaces): Promise<ServerPrograms> {
  const major = Math.floor(versionNum / 10_000);
  const configured = places.configured[String(major)];
  const directories = [
    ...(configured === undefined ? [] : [configured]),
    ...usualPlaces(major),
    ...places.path.split(delimiter).filter(isAbsolute),
  ];
  let nearest: readonly string[] | undefined;
  for (const directory of directories) {
    const missing = missingIn(directory, major);
    if (missing.length === 0) {
      const found = await programsIn(directory, major);
      if (found !== undefined) return found;
    } else if (missing.length < namesOf(major).length && !missing.includes('postgres')) nearest ??= missing;
  }
  throw nothingFound(major, nearest);
}

const namesOf = (major: number) => [
  'postgres',
  'initdb',
  'pg_controldata',
  'pg_verifybackup',
  ...(major >= combinesSince ? ['pg_combinebackup'] : []),
];

const missingIn = (directory: string, major: number) =>
  namesOf(major).filter((name) => findTool(join(directory, name)) === undefined);

/** undefined where they are of another version, or don't run here. */
async function programsIn(directory: string, major: number): Promise<ServerPrograms | undefined> {
  const version = await versionOf(join(directory, 'postgres'));
  if (version === undefined || Number.parseInt(version, 10) !== major) return undefined;
  const base = dirname(await realpath(directory));
  return {
    major,
    version,
    postgres: join(directory, 'postgres'),
    initdb: join(directory, 'initdb'),
    pgControldata: join(directory, 'pg_controldata'),
    pgVerifybackup: join(directory, 'pg_verifybackup'),
    pgCombinebackup: major >= combinesSince ? join(directory, 'pg_combinebackup') : undefined,
    // Debian and Red Hat; self-built; Alpine.
    libraryDirectories: [
      join(base, 'lib'),
      join(base, 'lib', 'postgresql'),
      join(dirname(base), 'lib', `postgresql${String(major)}`),
    ],
  };
}

function nothingFound(major: number, nearest: readonly string[] | undefined): HoldfastError {
  const debian = `Debian: postgresql-${String(major)}`;
  return new HoldfastError(
    'ToolMissing',
    `${(nearest ?? namesOf(major)).join(', ')} of PostgreSQL ${String(major)} ${nearest?.length === 1 ? 'is' : 'are'} not installed on the worker`,
    `install PostgreSQL ${String(major)} itself on the worker, not only its client tools (${debian}), or name its directory of programs as tools.postgres."${String(major)}" in the configuration`,
  );
}
