/**
 * What the worker's image is made of, without a container program: the same as the Dockerfile's, from the same lists. Three
 * layers, the most lasting one lowest: a Debian with PostgreSQL and compressors, the npm packages, Holdfast itself.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { aptHabits } from '../../scripts/setup/debian-archive.mjs';
import { findProgram, SUITES } from '../../scripts/setup/places.mjs';
import { say } from '../../scripts/setup/progress.mjs';
import { run, Unavailable } from '../../scripts/setup/run.mjs';

const top = fileURLToPath(new URL('../../', import.meta.url));
const here = (name) => join(top, 'deploy/image', name);
const TIMEOUT_MS = 1_800_000;

/** As in the Dockerfile. */
const UID = 10001;
export const config = {
  user: `${UID}:${UID}`,
  environment: { NODE_ENV: 'production' },
  workingDirectory: '/var/lib/holdfast',
  entrypoint: ['tini', '--', 'holdfast'],
  command: ['worker'],
};

/**
 * Debian releases that hold these majors of PostgreSQL, the one that the tree is of first; the second try where the first
 * can't be had.
 */
const TRIES = [
  { majors: [17, 18], suites: [SUITES[18], SUITES[17]] },
  { majors: [17], suites: [SUITES[17]] },
];

const lines = (name) =>
  readFileSync(here(name), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

/** The list, with a line for each major. */
export const packagesFor = (majors) =>
  lines('packages').flatMap((name) =>
    name.includes('MAJOR') ? majors.map((major) => name.replaceAll('MAJOR', String(major))) : [name],
  );

/** Plain data: a layer whose recipe is as it was when it was made stays. */
export const recipes = {
  debian: () => ({
    tries: TRIES.map((each) => [each.suites, packagesFor(each.majors)]),
    leftOut: lines('left-out'),
    hooks,
  }),
  modules: () => [
    process.version,
    readFileSync(join(top, 'package-lock.json'), 'utf8'),
    readFileSync(here('trim-modules.sh'), 'utf8'),
  ],
  holdfast: () => readFileSync(join(top, 'dist/.built-from'), 'utf8'),
};

const hooks = [
  `chroot "$1" useradd --system --uid ${UID} --user-group --home-dir /var/lib/holdfast --create-home holdfast`,
  `chroot "$1" install -d -o ${UID} -g ${UID} -m 0700 /backup /scratch /instances`,
  'install -d -m 0755 "$1/etc/holdfast"',
  'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*',
];

/** A whole Debian as a tar file; answers with the majors of PostgreSQL in it. */
export async function makeDebian(file) {
  const [best, fallback] = TRIES;
  try {
    return await makeTree(best, file);
  } catch (error) {
    say(
      `the worker's image goes without PostgreSQL ${best.majors.at(-1)}, which can't be had from here: ${error.message}`,
    );
    return await makeTree(fallback, file);
  }
}

async function makeTree(wanted, file) {
  const { mirror, options } = await aptHabits();
  const [suite, ...more] = wanted.suites;
  const sources = mirror.length > 0 ? wanted.suites.map((each) => `deb ${mirror[0]} ${each} main`) : [];
  if (more.length > 0 && sources.length === 0) throw new Error("this machine's apt names no mirror of Debian");
  const noCluster =
    'mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"';
  const args = [
    ...['--mode=root', '--variant=minbase', '--format=tar', `--include=${packagesFor(wanted.majors).join(',')}`],
    ...['APT::Install-Recommends "false"', ...options].map((option) => `--aptopt=${option}`),
    ...lines('left-out').map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    `--essential-hook=${noCluster}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
    ...[suite, file, ...sources],
  ];
  // What it mounts goes away with it, however it ends.
  await run('unshare', ['--mount', findProgram('mmdebstrap'), ...args], { cwd: '/', timeoutMs: TIMEOUT_MS });
  return wanted.majors;
}

/** Node and the npm packages of production below `directory`, which becomes the image's top. */
export async function fillModules(directory) {
  if (/lib(node|uv|icu)/.test(await run('ldd', [process.execPath])))
    throw new Unavailable(
      `${process.execPath} needs libraries of this machine's Debian, so it runs in no image.\nUse a Node of Node's own making: nodejs.org, or NodeSource's packages`,
    );
  mkdirSync(join(directory, 'usr/local/bin'), { recursive: true });
  cpSync(process.execPath, join(directory, 'usr/local/bin/node'), { dereference: true });
  const place = join(directory, 'opt/holdfast');
  mkdirSync(place, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(top, name), join(place, name));
  const args = ['ci', '--omit=dev', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', args, { cwd: place, timeoutMs: TIMEOUT_MS });
  await run('sh', [here('trim-modules.sh'), place]);
}

/** Holdfast itself, built, below `directory`. */
export function fillHoldfast(directory) {
  const place = join(directory, 'opt/holdfast');
  mkdirSync(place, { recursive: true });
  mkdirSync(join(directory, 'usr/local/bin'), { recursive: true });
  cpSync(join(top, 'dist'), join(place, 'dist'), { recursive: true });
  for (const name of ['package.json', 'LICENSE']) cpSync(join(top, name), join(place, name));
  chmodSync(join(place, 'dist/cli/main.js'), 0o755);
  symlinkSync('/opt/holdfast/dist/cli/main.js', join(directory, 'usr/local/bin/holdfast'));
}

/** Makes dist what the sources are now. */
export function buildHoldfast() {
  execFileSync(process.execPath, [join(top, 'scripts/build.mjs'), '--if-stale'], { stdio: 'inherit' });
}
