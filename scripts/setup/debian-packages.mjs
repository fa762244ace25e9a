/** Programs of the operating system: looked for by name, installed with apt-get when missing and allowed. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { findProgram, nativeMajors } from './places.mjs';
import { step } from './progress.mjs';
import { run, Unavailable } from './run.mjs';

/** The packages that a purpose lacks here. */
export function debianPackagesMissing(purpose) {
  const wanted = [
    ['postgresql', nativeMajors().length > 0],
    ['isal', findProgram('igzip') !== undefined],
    ['zstd', findProgram('zstd') !== undefined],
  ];
  if (purpose !== 'demo') {
    wanted.push(
      ['mmdebstrap', findProgram('mmdebstrap') !== undefined],
      ['strace', findProgram('strace') !== undefined],
      ['e2fsprogs', findProgram('mkfs.ext4') !== undefined],
      ['perl', findProgram('perl') !== undefined],
      ['debian-archive-keyring', existsSync('/usr/share/keyrings/debian-archive-keyring.gpg')],
    );
  }
  if (purpose === 'bench') {
    wanted.push(
      ['pgbackrest', findProgram('pgbackrest') !== undefined],
      ['barman-cli-cloud', findProgram('barman-cloud-backup') !== undefined],
      // Only recommended by that, and of no use without.
      ['python3-boto3', existsSync('/usr/lib/python3/dist-packages/boto3')],
    );
  }
  // A cluster that is given brings its own.
  if (purpose === 'e2e' && !process.env.HOLDFAST_E2E_KUBECONFIG) {
    wanted.push(
      ['containerd', findProgram('containerd') !== undefined && findProgram('ctr') !== undefined],
      ['runc', findProgram('runc') !== undefined],
      ['containernetworking-plugins', existsSync('/usr/lib/cni/ptp')],
      ['nftables', findProgram('nft') !== undefined],
      ['conntrack', findProgram('conntrack') !== undefined],
      ['iproute2', findProgram('ip') !== undefined],
      ['openssl', findProgram('openssl') !== undefined],
    );
  }
  return wanted.filter(([, there]) => !there).map(([name]) => name);
}

/** Installs them, or stops with the command to type where this process may not. */
export async function installDebianPackages(names) {
  const apt = findProgram('apt-get');
  const list = names.join(' ');
  if (apt === undefined) {
    throw new Unavailable(
      `missing: ${list}\nthis machine has no apt-get. Install the packages' equivalents (postgres, igzip, zstd must be found), then run this again`,
    );
  }
  if (process.getuid() !== 0) {
    throw new Unavailable(
      `missing: ${list}\nonly root may install them. Type:\n\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${list}\n\nthen run this again`,
    );
  }
  // In runlevel 1 init scripts start no service that a package brings.
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  await step(`Debian packages ${list}`, () =>
    withoutDefaultCluster(async () => {
      await run(apt, ['update', '-q'], { env });
      await run(apt, ['install', '-q', '-y', '--no-install-recommends', ...names], { env });
    }),
  );
}

/**
 * Debian's postgresql packages create and start a cluster when they are installed. A snippet in their own
 * configuration directory says no, and goes away again.
 */
async function withoutDefaultCluster(work) {
  const directory = '/etc/postgresql-common/createcluster.d';
  const snippet = `${directory}/holdfast-setup.conf`;
  const remove = () => rmSync(snippet, { force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(snippet, '# only while set-up installs the package\ncreate_main_cluster = false\n');
  process.once('exit', remove);
  try {
    await work();
  } finally {
    remove();
    process.removeListener('exit', remove);
  }
}
