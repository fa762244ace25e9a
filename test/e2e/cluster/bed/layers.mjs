/**
 * The layers that the images are made of. Each has a recipe, plain data that says what it is made from: a layer whose
 * recipe is the same as when it was made stays.
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { run } from '../../../../scripts/setup/run.mjs';
import { binary, MODULES } from './binaries.mjs';
import { layerOf } from './image.mjs';
import { makeTree, unpack, versionIn } from './rootfs.mjs';
import { POSTGRES } from './versions.mjs';

const entrypoint = new URL('postgres-entrypoint.sh', import.meta.url);

/** Who runs PostgreSQL in each kind of image. */
export const UIDS = { cnpg: 26, bitnami: 1001, docker: 999 };

/** Name → recipe and how to make it: `make(directory)` leaves a tar file there and answers with its path and facts. */
export const LAYERS = {
  pause: {
    recipe: { program: 'pause', revision: 1 },
    make: (directory) => packed(directory, (top) => program(top, 'pause', 'pause')),
  },
  tools: {
    recipe: { packages: ['busybox-static'], suite: 'trixie', localPath: MODULES.localPath.version },
    make: makeTools,
  },
  'cloudnative-pg': {
    recipe: { module: MODULES.cnpg, revision: 1 },
    make: (directory) =>
      packed(directory, (top) => {
        users(top);
        const name = `manager_${{ x64: 'amd64' }[process.arch] ?? process.arch}`;
        program(top, 'cnpg-manager', `operator/${name}`);
        // Instances fetch their own program from the operator by its architecture.
        symlinkSync(`operator/${name}`, join(top, 'manager'));
      }),
  },
  'barman-plugin': {
    recipe: { module: MODULES.barman, revision: 1 },
    make: (directory) => packed(directory, (top) => program(top, 'barman-plugin', 'manager')),
  },
  ...Object.fromEntries(POSTGRES.flatMap((each) => [postgresTree(each), bitnamiTop(each), dockerTop(each)])),
};

/**
 * PostgreSQL and Barman's programs as CloudNativePG wants them: uid and gid 26. The locale is there because Bitnami's
 * databases have it.
 */
function postgresTree({ major, suite }) {
  const tree = {
    suite,
    packages: ['ca-certificates', 'locales', 'procps', `postgresql-${major}`, 'barman-cli-cloud', 'python3-boto3'],
    leftOut: ['/usr/lib/python3/dist-packages/botocore/data/*/*'],
    kept: ['s3', 'sts'].map((service) => `/usr/lib/python3/dist-packages/botocore/data/${service}/*`),
    hooks: [
      'chroot "$1" groupmod --gid 1026 tape',
      `chroot "$1" groupmod --gid ${UIDS.cnpg} postgres`,
      `chroot "$1" usermod --uid ${UIDS.cnpg} postgres`,
      'chroot "$1" find / -xdev "(" -path /proc -o -path /sys -o -path /dev ")" -prune -o "(" -nouser -o -nogroup ")" -exec chown -h postgres:postgres {} +',
      'echo "en_US.UTF-8 UTF-8" > "$1/etc/locale.gen" && chroot "$1" locale-gen',
    ],
  };
  const make = async (directory) => {
    const file = await makeTree(tree, join(directory, 'layer.tar'));
    return { file, facts: { version: await versionIn(file, `postgresql-${major}`) } };
  };
  return [`postgres${major}`, { recipe: tree, make, title: `PostgreSQL ${major} for images, from Debian ${suite}` }];
}

/** What Bitnami's image adds to a PostgreSQL: another user, other places, a configuration outside of the data. */
function bitnamiTop({ major }) {
  const top = '/opt/bitnami/postgresql';
  const make = (directory) =>
    packed(
      directory,
      (root) => {
        users(root, `postgres:x:${UIDS.bitnami}:${UIDS.bitnami}::/bitnami/postgresql:/bin/bash`);
        for (const path of [`${top}/conf`, `${top}/tmp`, '/bitnami/postgresql']) mkdirSync(join(root, path), OPEN);
        for (const path of [`${top}/conf`, `${top}/tmp`, '/bitnami/postgresql']) chmodSync(join(root, path), 0o777);
        symlinkSync(`/usr/lib/postgresql/${major}/bin`, join(root, top, 'bin'));
        script(root, 'opt/bitnami/scripts/postgresql/entrypoint.sh');
      },
      { bitnami: `${UIDS.bitnami}:0` },
    );
  return [`bitnami${major}`, { recipe: { like: 'bitnami', major, revision: 2, script: scriptText() }, make }];
}

/** What Docker's official image adds to a PostgreSQL: its user's number and its entrypoint. */
function dockerTop({ major }) {
  const owner = `${UIDS.docker}:${UIDS.docker}`;
  const make = (directory) =>
    packed(
      directory,
      (root) => {
        users(root, `postgres:x:${owner}::/var/lib/postgresql:/bin/bash`);
        for (const path of ['var/lib/postgresql/data', 'run/postgresql']) mkdirSync(join(root, path), OPEN);
        chmodSync(join(root, 'var/lib/postgresql/data'), 0o1777);
        script(root, 'usr/local/bin/docker-entrypoint.sh');
      },
      { 'var/lib/postgresql': owner, 'run/postgresql': owner },
    );
  return [`docker${major}`, { recipe: { like: 'docker', major, revision: 2, script: scriptText() }, make }];
}

const OPEN = { recursive: true };

async function makeTools(directory) {
  const archive = await unpack(LAYERS.tools.recipe, join(directory, 'packages.tar'));
  const packages = join(directory, 'packages');
  mkdirSync(packages);
  await run('tar', ['--extract', `--file=${archive}`, `--directory=${packages}`, '--wildcards', '*/bin/busybox']);
  const found = (await run('find', [packages, '-name', 'busybox', '-type', 'f'])).trim();
  const names = (await run(found, ['--list'])).trim().split('\n');
  return await packed(directory, (top) => {
    users(top);
    mkdirSync(join(top, 'bin'));
    cpSync(found, join(top, 'bin/busybox'));
    for (const name of names) if (name !== 'busybox') symlinkSync('busybox', join(top, 'bin', name));
    program(top, 'local-path-provisioner', 'bin/local-path-provisioner');
  });
}

/** Makes a directory, lets it be filled, and packs it. */
async function packed(directory, fill, owners) {
  const top = join(directory, 'top');
  const usual = process.umask(0o022);
  try {
    mkdirSync(top);
    fill(top);
  } finally {
    process.umask(usual);
  }
  return { file: await layerOf(top, join(directory, 'layer.tar'), owners), facts: {} };
}

function program(top, name, path) {
  mkdirSync(join(top, path, '..'), OPEN);
  copyFileSync(binary(name), join(top, path));
  chmodSync(join(top, path), 0o755);
}

/** Just enough of a system for a program that asks who it is. */
function users(top, more) {
  // Not bin: below, that is a link.
  for (const name of ['etc', 'tmp']) mkdirSync(join(top, name), OPEN);
  chmodSync(join(top, 'tmp'), 0o1777);
  const [name, , uid, gid] = more?.split(':') ?? [];
  const passwd = ['root:x:0:0:root:/root:/bin/sh', 'nonroot:x:65532:65532:nonroot:/:/bin/sh', more];
  const group = ['root:x:0:', 'nonroot:x:65532:', more === undefined ? undefined : `${name}:x:${gid ?? uid}:`];
  for (const [file, lines] of Object.entries({ passwd, group })) {
    writeFileSync(join(top, 'etc', file), lines.filter((line) => line !== undefined).join('\n') + '\n');
  }
}

function script(root, path) {
  mkdirSync(join(root, path, '..'), OPEN);
  writeFileSync(join(root, path), scriptText());
  chmodSync(join(root, path), 0o755);
}

function scriptText() {
  return readFileSync(entrypoint, 'utf8');
}
