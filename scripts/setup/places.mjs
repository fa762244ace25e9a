/**
 * Where set-up puts things and where the demo, the tests and the bench find them: the one source for both.
 * Looking never changes anything and never starts a process.
 */
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';

/** The Debian release whose archive holds this major version of PostgreSQL. */
export const SUITES = { 15: 'bookworm', 17: 'trixie', 18: 'sid' };

/** Everything built or fetched lies here: HOLDFAST_CACHE, else ~/.cache/holdfast (or below XDG_CACHE_HOME). */
export function cacheDirectory() {
  const { HOLDFAST_CACHE: chosen, XDG_CACHE_HOME: caches } = process.env;
  return chosen || join(caches || join(homedir(), '.cache'), 'holdfast');
}

/** The full path of a program on PATH (or in sbin, which a plain user's PATH leaves out). */
export function findProgram(name) {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return directories
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isProgram);
}

/** Where set-up leaves the `temporal` binary that it built or fetched. */
export function cachedTemporal() {
  return join(cacheDirectory(), 'bin', 'temporal');
}

/** The Temporal server to use: one that runs already, or the binary that starts one; nothing: set-up must get it. */
export function findTemporal() {
  const address = process.env.TEMPORAL_ADDRESS;
  const onPath = findProgram('temporal');
  const cached = cachedTemporal();
  const binary = onPath ?? (isProgram(cached) ? cached : undefined);
  if (address) return { source: 'given', address, binary };
  if (binary === undefined) return undefined;
  return { source: onPath === undefined ? 'cache' : 'path', binary };
}

/** Where set-up leaves the `versitygw` binary that it built. */
export function cachedVersitygw() {
  return join(cacheDirectory(), 'bin', 'versitygw');
}

/** The S3 server binary to start, the one on PATH before the built one; nothing: set-up must build it. */
export function findVersitygw() {
  return findProgram('versitygw') ?? [cachedVersitygw()].find(isProgram);
}

/** The `go` command, also where Go's own archive unpacks to, often without being put on PATH. */
export function findGo() {
  return findProgram('go') ?? ['/usr/local/go/bin/go'].find(isProgram);
}

/** A PostgreSQL from another Debian release, unpacked for use without chroot. */
export function postgresRoot(major) {
  return join(cacheDirectory(), 'roots', String(major));
}

/** What set-up writes when an optional major can't be had, so that the next run doesn't try again at once. */
export function postgresRootExcuse(major) {
  return join(cacheDirectory(), 'roots', `${major}.unavailable`);
}

/** The major versions that this machine's own packages brought, newest first. */
export function nativeMajors() {
  const installed = '/usr/lib/postgresql';
  if (!existsSync(installed)) return [];
  return readdirSync(installed)
    .map(Number)
    .filter((major) => Number.isInteger(major) && isProgram(join(binBelow('/', major), 'postgres')))
    .sort((a, b) => b - a);
}

/** The major versions that can be started here, the machine's own and the unpacked ones, oldest first. */
export function availableMajors() {
  const majors = [...nativeMajors(), ...Object.keys(SUITES).map(Number)].filter((major) => findPostgres(major));
  return [...new Set(majors)].sort((a, b) => a - b);
}

/**
 * The server and client tools of one major version, all in one directory and callable as they stand;
 * `root` is where they were unpacked, '/' for the machine's own.
 */
export function findPostgres(major) {
  const root = ['/', postgresRoot(major)].find((each) => isProgram(join(binBelow(each, major), 'postgres')));
  return root === undefined ? undefined : { root, binDir: binBelow(root, major) };
}

/** The directory of the programs below a root, the same on every Debian. */
export function binBelow(root, major) {
  return join(root, 'usr/lib/postgresql', String(major), 'bin');
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
