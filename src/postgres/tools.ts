import { readdir, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { capture } from '../process/chain.ts';
import { findTool } from '../process/environment.ts';

/** PostgreSQL's client tools of one version, as absolute paths. */
export interface Tools {
  readonly major: number;
  /** "15.18" */
  readonly version: string;
  readonly pgDump: string;
  readonly pgDumpall: string;
  readonly pgRestore: string;
  readonly psql: string;
}

export interface ToolPlaces {
  /** Directories by major version ("17"), from the configuration. */
  readonly configured: Readonly<Record<string, string>>;
  /** The worker's PATH. */
  readonly path: string;
}

/** Where distributions put the tools of one major version: Debian, Red Hat, Alpine. */
export const usualPlaces = (major: number) => [
  `/usr/lib/postgresql/${String(major)}/bin`,
  `/usr/pgsql-${String(major)}/bin`,
  `/usr/libexec/postgresql${String(major)}`,
];

/** How far ahead a newer major is looked for. */
const newestLookedFor = 5;

/**
 * Client tools for a server: those of its own major version; only where these are missing, the nearest newer ones
 * (`major` tells; their dumps may hold what the server's own major can't read back). Never older ones: pg_dump
 * refuses a server that is newer than itself.
 *
 * Fails with ToolMissing, or with ToolTooOld where only older ones are installed.
 */
export async function findTools(serverVersionNum: number, places: ToolPlaces): Promise<Tools> {
  const wanted = Math.floor(serverVersionNum / 10_000);
  const onPath = places.path.split(delimiter).filter(isAbsolute);
  for (let major = wanted; major <= wanted + newestLookedFor; major += 1) {
    const configured = places.configured[String(major)];
    if (configured !== undefined) return configuredTools(configured, major);
    for (const directory of usualPlaces(major)) {
      const tools = await toolsIn(directory);
      if (tools?.major === major) return tools;
    }
    // Along PATH any version may lie: only one that is asked for right now is taken.
    for (const directory of onPath) {
      const tools = await toolsIn(directory);
      if (tools?.major === major) return tools;
    }
  }
  throw await nothingFound(wanted, onPath);
}

/** All client tools that are here, one of each major version, newest first. */
export async function listTools(places: ToolPlaces): Promise<Tools[]> {
  const onPath = places.path.split(delimiter).filter(isAbsolute);
  const majors = new Set([...Object.keys(places.configured).map(Number), ...(await installedMajors(onPath))]);
  const found: Tools[] = [];
  for (const major of [...majors].sort((one, other) => other - one))
    found.push(await findTools(major * 10_000, places));
  return found;
}

async function configuredTools(directory: string, major: number): Promise<Tools> {
  const tools = await toolsIn(directory);
  if (tools?.major === major) return tools;
  throw new HoldfastError(
    'ToolMissing',
    tools === undefined
      ? `${directory} doesn't hold ${toolNames.join(', ')} that run here`
      : `the tools in ${directory} are of PostgreSQL ${tools.version}, not of ${String(major)}`,
    `correct tools.postgres."${String(major)}" in the configuration, or leave it out: the usual places are looked at then`,
  );
}

const toolNames = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'] as const;

/** The tools in a directory, if all four are there and the first tells its version. */
async function toolsIn(directory: string): Promise<Tools | undefined> {
  const [pgDump, pgDumpall, pgRestore, psql] = toolNames.map((name) => findTool(join(directory, name)));
  if (pgDump === undefined || pgDumpall === undefined || pgRestore === undefined || psql === undefined)
    return undefined;
  // Debian's wrapper takes whatever version a local cluster has: the real ones lie in the usual places.
  if (basename(await realpath(pgDump)) === 'pg_wrapper') return undefined;
  const version = await versionOf(pgDump);
  if (version === undefined) return undefined;
  return { major: Number.parseInt(version, 10), version, pgDump, pgDumpall, pgRestore, psql };
}

/** What a program of PostgreSQL says of its version, such as "15.18"; undefined where it can't be run, or is another. */
export async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await capture(
      { file: program, args: ['--version'] },
      { signal: AbortSignal.timeout(30_000), maxBytes: 10_000 },
    );
    return parseVersion(stdout);
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw new HoldfastError(
      'ToolFailed',
      `${program} doesn't tell its version: ${messageOf(error)}`,
      'run it by hand to see why',
    );
  }
}

/** "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" is 15.18; betas and the like ("19beta1") are kept whole. */
export function parseVersion(text: string): string | undefined {
  return /\(PostgreSQL\) (\d+[\w.]*)/.exec(text)?.[1];
}

async function nothingFound(wanted: number, onPath: readonly string[]): Promise<HoldfastError> {
  const hint = `install the client tools of PostgreSQL ${String(wanted)} (Debian: postgresql-client-${String(wanted)}), or name their directory as tools.postgres."${String(wanted)}" in the configuration`;
  const older = await installedMajors(onPath);
  if (older.length === 0)
    return new HoldfastError(
      'ToolMissing',
      `pg_dump, pg_dumpall, pg_restore and psql of PostgreSQL ${String(wanted)} are not installed`,
      hint,
    );
  return new HoldfastError(
    'ToolTooOld',
    `the server is PostgreSQL ${String(wanted)}, and the newest client tools here are of ${String(Math.max(...older))}: they refuse a newer server`,
    hint,
  );
}

/** Majors of all tools in the usual places and along PATH. */
async function installedMajors(onPath: readonly string[]): Promise<number[]> {
  const debian = dirname(dirname(usualPlaces(0)[0] ?? ''));
  const versions = await readdir(debian).catch(() => []);
  const found: number[] = [];
  for (const directory of [...versions.map((version) => join(debian, version, 'bin')), ...onPath]) {
    const tools = await toolsIn(directory);
    if (tools !== undefined) found.push(tools.major);
  }
  return found;
}
