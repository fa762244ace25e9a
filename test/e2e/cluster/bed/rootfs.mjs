/** Debian trees for the images, made by mmdebstrap. */
import { findProgram } from '../../../../scripts/setup/places.mjs';
import { aptHabits } from '../../../../scripts/setup/debian-archive.mjs';
import { run } from '../../../../scripts/setup/run.mjs';

const TIMEOUT_MS = 1_800_000;

/** Read by nobody in a container. PostgreSQL does without its just-in-time compiler when all of it is missing. */
const LEFT_OUT = [
  ...['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'],
  ...['/usr/lib/postgresql/*/lib/bitcode/*', '/usr/lib/postgresql/*/lib/llvmjit*', '*/libLLVM*', '*/libz3.so*'],
];

/**
 * A whole Debian of a release with the packages given, as a tar file. `hooks` are shell commands at the end of the
 * installation, with the tree's place in `$1`; `leftOut` and `kept` are dpkg's path patterns, the later ones win.
 */
export async function makeTree({ suite, packages, hooks = [], leftOut = [], kept = [] }, file) {
  const { mirror, options } = await aptHabits();
  const args = [
    ...['--mode=root', '--variant=minbase', '--format=tar', `--include=${packages.join(',')}`],
    ...['APT::Install-Recommends "false"', ...options].map((option) => `--aptopt=${option}`),
    ...[...LEFT_OUT, ...leftOut].map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...kept.map((pattern) => `--dpkgopt=path-include=${pattern}`),
    '--essential-hook=mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
    ...[...hooks, 'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*'].map(
      (hook) => `--customize-hook=${hook}`,
    ),
    ...[suite, file, ...mirror],
  ];
  // What it mounts goes away with it, however it ends.
  await run('unshare', ['--mount', findProgram('mmdebstrap'), ...args], { cwd: '/', timeoutMs: TIMEOUT_MS });
  return file;
}

/** The packages alone, unpacked as they are: for a program that needs nothing around it. */
export async function unpack({ suite, packages }, file) {
  const { mirror, options } = await aptHabits();
  const args = [
    ...['--variant=extract', '--mode=chrootless', `--include=${packages.join(',')}`],
    ...['APT::Install-Recommends "false"', ...options].map((option) => `--aptopt=${option}`),
    ...[suite, file, ...mirror],
  ];
  await run(findProgram('mmdebstrap'), args, { cwd: '/', timeoutMs: TIMEOUT_MS });
  return file;
}

/** The upstream version of a package in such a tree, such as 17.6. */
export async function versionIn(file, name) {
  const status = await run('tar', ['--extract', '--to-stdout', `--file=${file}`, './var/lib/dpkg/status']);
  const paragraph = status.split('\n\n').find((each) => each.startsWith(`Package: ${name}\n`)) ?? '';
  const version = /^Version: (?:\d+:)?([^-\n]+)/m.exec(paragraph)?.[1];
  if (version === undefined) throw new Error(`${file} holds no package ${name}`);
  return version;
}
