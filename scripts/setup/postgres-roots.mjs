/**
 * PostgreSQL of other major versions, out of other Debian releases' packages, next to the machine's own.
 *
 * Only the server, its tools and the libraries they need are unpacked; nothing is configured, no chroot and no root
 * rights are needed. Each program is a small script that starts the real one with the libraries it was built for, so
 * servers and tools of every major run side by side on one machine, see its files and run its commands
 * (archive_command, restore_command).
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { aptHabits } from './debian-archive.mjs';
import { binBelow, findPostgres, findProgram, postgresRoot, postgresRootExcuse, SUITES } from './places.mjs';
import { say, step } from './progress.mjs';
import { run } from './run.mjs';
import { inWorkshop } from './workshop.mjs';

/** `npm test` without these means nothing. */
const REQUIRED = [15, 17];
/** Taken along where they can be had. */
const OPTIONAL = [18];
const TRY_AGAIN_AFTER_MS = 24 * 3_600_000;
const BUILD_TIMEOUT_MS = 600_000;

/** The majors that are neither the machine's own nor unpacked yet, without those that could not be had today. */
export function rootsMissing() {
  return [...REQUIRED, ...OPTIONAL].filter((major) => findPostgres(major) === undefined && !isExcused(major));
}

/** Optional majors that this run goes without. */
export function rootsExcused() {
  return OPTIONAL.filter((major) => findPostgres(major) === undefined && isExcused(major));
}

/** Unpacks each; a required one that fails ends set-up, an optional one is noted and left out for a day. */
export async function installRoots(majors) {
  for (const major of majors) {
    try {
      await step(`PostgreSQL ${major}, from Debian ${SUITES[major]}`, () => makeRoot(major));
    } catch (error) {
      if (REQUIRED.includes(major)) throw error;
      writeFileSync(postgresRootExcuse(major), `${error.message}\n`);
      say(
        `PostgreSQL ${major} can't be had from here; its tests are left out. The reason is in ${postgresRootExcuse(major)}`,
      );
    }
  }
}

function isExcused(major) {
  const excuse = postgresRootExcuse(major);
  return OPTIONAL.includes(major) && existsSync(excuse) && Date.now() - statSync(excuse).mtimeMs < TRY_AGAIN_AFTER_MS;
}

async function makeRoot(major) {
  const target = postgresRoot(major);
  return await inWorkshop(dirname(target), async (workshop) => {
    const archive = join(workshop, 'packages.tar');
    await run(findProgram('mmdebstrap'), await recipe(major, archive), {
      cwd: '/',
      env: { TMPDIR: workshop },
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    const root = join(workshop, 'root');
    mkdirSync(root);
    await run('tar', ['-xf', archive, '-C', root, '--no-same-owner', '--wildcards', ...selection(major)]);
    gatherLibraries(root);
    standIn(root, major);
    const says = await run(join(binBelow(root, major), 'postgres'), ['--version']);
    rmSync(target, { recursive: true, force: true });
    renameSync(root, target);
    rmSync(postgresRootExcuse(major), { force: true });
    return says.trim();
  });
}

/** Packages are downloaded and unpacked, not installed; nothing is mounted, which a killed mmdebstrap would leave so. */
async function recipe(major, archive) {
  const { mirror, options } = await aptHabits();
  return [
    '--variant=extract',
    '--mode=chrootless',
    `--include=postgresql-${major}`,
    ...['APT::Install-Recommends "false"', ...options].map((option) => `--aptopt=${option}`),
    SUITES[major],
    archive,
    ...mirror,
  ];
}

/** No manuals, no headers, and no just-in-time compiler: its libraries are larger than all the rest. */
function selection(major) {
  return [
    ...['*/bitcode', '*llvm*', '*LLVM*', '*libz3*', '*libperl*', '*/pgxs', '*/man', '*/gconv'].map(
      (name) => `--exclude=${name}`,
    ),
    `./usr/lib/postgresql/${major}`,
    `./usr/share/postgresql/${major}`,
    '--no-wildcards-match-slash',
    './usr/lib/*-linux-gnu*/*.so*',
  ];
}

/** Libraries and their loader under a name that doesn't depend on the machine's architecture. */
function gatherLibraries(root) {
  const triplet = readdirSync(join(root, 'usr/lib')).find((name) => name.includes('-linux-gnu'));
  renameSync(join(root, 'usr/lib', triplet), join(root, 'libraries'));
  const loader = readdirSync(join(root, 'libraries')).find((name) => name.startsWith('ld-linux'));
  symlinkSync(loader, join(root, 'libraries/loader'));
}

/**
 * Puts the real programs aside and a script in the place of each. PostgreSQL finds its other programs and its files
 * from the name it was called by, which the script passes on; so the tree may be moved, copied or hard-linked.
 * A loader per program gives each process its own name in `ps`.
 */
function standIn(root, major) {
  const bin = binBelow(root, major);
  renameSync(bin, join(root, 'programs'));
  mkdirSync(bin);
  mkdirSync(join(root, 'loaders'));
  for (const name of readdirSync(join(root, 'programs'))) {
    writeFileSync(join(bin, name), STAND_IN);
    chmodSync(join(bin, name), 0o755);
    symlinkSync('../libraries/loader', join(root, 'loaders', name));
  }
}

const STAND_IN = `#!/bin/sh
# Starts the program of the same name with the libraries it was built for.
self=$0
case $self in /*/usr/lib/postgresql/*/bin/*) ;; *) self=$(readlink -f -- "$self") ;; esac
root=\${self%/usr/lib/postgresql/*}
name=\${self##*/}
exec "$root/loaders/$name" --library-path "$root/libraries" --argv0 "$self" "$root/programs/$name" "$@"
`;
