/** Bringing the bed up, asking how it is, taking it down. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  statfsSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lock, lockCache } from '../../../../scripts/setup/lock.mjs';
import { cacheDirectory, findVersitygw } from '../../../../scripts/setup/places.mjs';
import { say, step } from '../../../../scripts/setup/progress.mjs';
import { run, Unavailable } from '../../../../scripts/setup/run.mjs';
import { binariesMissing, installBinaries } from './binaries.mjs';
import { imageReferences, imagesDigest, imagesExcused, imagesMissing, installImages } from './images.mjs';
import { installManifests, manifestsDigest, manifestsMissing } from './manifests.mjs';
import { besideTheBed, endHolder, findHolder, inTheBed, startHolder } from './namespaces.mjs';
import { bedName, places } from './places.mjs';
import * as versions from './versions.mjs';

const NODE_IP = '10.250.0.1';
const UP_TIMEOUT_MS = 600_000;
const STATUS_TIMEOUT_MS = 20_000;
const CGROUPS_PATIENCE_MS = 20_000;
const BUILD_BYTES = 20e9;
const RUN_BYTES = 4e9;

/** What tests have to know, in the file that HOLDFAST_E2E_CLUSTER names. */
const factsFile = join(places.run, 'cluster.json');
const kubeconfig = join(places.state, 'kubeconfig', 'admin');

/** Locked, shared, by every run that uses the cluster. Nobody waits for it: whoever wants it alone has the cache's lock. */
const inUse = join(places.top, 'in-use.lock');

/** While this process makes a cluster, which would be half of one if it ended now. */
let isStarting = false;
const locks = [];

/**
 * Builds what is missing and brings the cluster up; one that is up, whole and made of the same parts is used as it is.
 * Answers as `connection` does, with `letGo`, until which (or the end of this process) nobody else takes it down.
 */
export async function bringUp() {
  refuseWhatCannotWork();
  const joined = await takePart();
  if (joined !== undefined) return joined;
  const release = await held(lockCache());
  try {
    await install();
    await makeWay();
    const letGo = await held(lock(inUse, { shared: true }));
    try {
      await start();
    } catch (error) {
      await letGo();
      throw error;
    }
    return { ...connection(), letGo };
  } finally {
    await release();
  }
}

/** The cluster that is up as it is wanted, if there is one: that needs no wait for another set-up of this cache. */
async function takePart() {
  const holder = findHolder();
  if (holder === undefined) return undefined;
  const letGo = await held(lock(inUse, { shared: true, wait: false }));
  if (letGo === undefined) return undefined;
  if (isAsWanted() && (await isWhole(holder))) {
    say(`the cluster is up (${places.top})`);
    return { ...connection(), letGo };
  }
  await letGo();
  return undefined;
}

const isAsWanted = () => read(join(places.run, 'made-of')) === madeOf();

/** For a bring-up that will never come to its end: what it began goes, and its locks are given back. */
export async function abandon() {
  if (isStarting) await clear();
  for (const release of locks) await release?.();
}

async function held(locking) {
  const release = await locking;
  locks.push(release);
  return release;
}

/** Takes down what is of no use: a cluster of other parts, and what is left of one whose processes are gone. */
async function makeWay() {
  const isUp = findHolder() !== undefined;
  if (isUp && isAsWanted()) return;
  const unlock = await lock(inUse, { wait: false });
  if (unlock === undefined) {
    throw new Unavailable('a run uses a cluster that was made of other parts. Wait for its end, then run this again');
  }
  try {
    if (isUp) await step('taking down a cluster that was made of other parts', clear);
    else await clear();
  } finally {
    await unlock();
  }
}

/** Starts whatever of the cluster doesn't run; with nothing to do that takes a few seconds. */
async function start() {
  let holder = findHolder();
  if (holder === undefined) {
    isStarting = true;
    rmSync(places.log, { recursive: true, force: true });
    writeRunFiles();
    await startHolder();
    holder = findHolder();
  }
  const [command, ...args] = inTheBed(holder, script('up.sh'));
  await step('bringing the cluster up', async () => {
    const said = await run(command, args, { env: environment(), timeoutMs: UP_TIMEOUT_MS });
    writeFileSync(join(places.log, 'up.log'), said);
  });
  isStarting = false;
}

/**
 * How to get at the cluster that is up; nothing where none is. `kubeconfig` is an administrator's, `facts` the file
 * that tells tests the rest, and `command` turns a command line into one that runs beside the cluster, where pods and
 * Services are reached by name.
 */
export function connection() {
  const holder = findHolder();
  if (holder === undefined) return undefined;
  return { kubeconfig, facts: factsFile, command: (...command) => besideTheBed(holder, ...command) };
}

/**
 * Ends all processes of the bed and forgets what its cluster held; what was built stays. Answers whether that was done:
 * a cluster that a run uses is left alone, and, without `wait`, also one while a set-up works on the cache.
 */
export async function takeDown({ wait = true } = {}) {
  const release = await lockCache({ wait });
  if (release === undefined) return false;
  try {
    const unlock = await lock(inUse, { wait: false });
    if (unlock === undefined) return false;
    await step('taking the cluster down', clear);
    await unlock();
    return true;
  } finally {
    await release();
  }
}

async function install() {
  const binaries = binariesMissing();
  if (binaries.length > 0) {
    refuseWithout(BUILD_BYTES, 'build the cluster’s programs and images');
    await installBinaries(binaries);
  }
  const images = imagesMissing();
  if (images.length > 0) await installImages(images);
  const excused = imagesExcused();
  if (excused.length > 0) say(`without the images ${excused.join(', ')}`);
  const manifests = manifestsMissing();
  if (manifests.length > 0) await installManifests(manifests);
  refuseWithout(RUN_BYTES, 'run the cluster');
}

/** Before anything is built: what this machine must be and have. */
function refuseWhatCannotWork() {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    throw new Unavailable(
      'a Kubernetes of its own needs root on Linux.\nRun this as root; or let HOLDFAST_E2E_KUBECONFIG name a cluster of yours (docs/contributing.md)',
    );
  }
  mkdirSync(places.top, { recursive: true });
  if (statfsSync(places.top).type === 0x794c7630) {
    throw new Unavailable(
      `${places.top} lies on an overlay file system, on which containers can't be stacked.\nSet HOLDFAST_CACHE to a directory on a disk or a volume`,
    );
  }
  const cgroups = '/sys/fs/cgroup';
  try {
    accessSync(cgroups, constants.W_OK);
  } catch {
    throw new Unavailable(
      `${cgroups} can't be written: containers need control groups.\nRun this on a machine, or in a container that may make them (--privileged)`,
    );
  }
}

function refuseWithout(bytes, purpose) {
  const { bavail, bsize } = statfsSync(places.top);
  if (bavail * bsize >= bytes) return;
  const [free, wanted] = [bavail * bsize, bytes].map((each) => `${(each / 1e9).toFixed(1)} GB`);
  throw new Unavailable(
    `${places.top} has ${free} free, and to ${purpose} takes ${wanted}.\nMake room, or set HOLDFAST_CACHE to a directory elsewhere`,
  );
}

function writeRunFiles() {
  mkdirSync(places.run, { recursive: true, mode: 0o700 });
  const s3 = {
    endpoint: `http://${NODE_IP}:7070`,
    region: 'us-east-1',
    accessKeyId: `key${randomBytes(8).toString('hex')}`,
    secretAccessKey: randomBytes(20).toString('hex'),
  };
  const facts = { s3, images: imageReferences(), storageClass: 'local-path' };
  writeFileSync(factsFile, JSON.stringify(facts, undefined, 2), { mode: 0o600 });
  const search = 'search svc.cluster.local cluster.local';
  writeFileSync(join(places.run, 'resolv.conf'), `nameserver ${NODE_IP}\n${search}\noptions ndots:3 timeout:2\n`);
  // A resolver beside DNS would ask the host's network.
  const nsswitch = read('/etc/nsswitch.conf') ?? '';
  writeFileSync(join(places.run, 'nsswitch.conf'), nsswitch.replace(/^hosts:.*$/m, 'hosts: files dns'));
  writeFileSync(join(places.run, 'made-of'), madeOf());
}

/** The parts and the scripts of a cluster: with others, it isn't the one that is wanted. */
function madeOf() {
  const here = dirname(fileURLToPath(import.meta.url));
  const scripts = readdirSync(here).filter((name) => name.endsWith('.sh'));
  return JSON.stringify([versions, imagesDigest(), manifestsDigest(), scripts.map((name) => read(join(here, name)))]);
}

async function isWhole(holder) {
  const [command, ...args] = inTheBed(holder, script('status.sh'));
  try {
    await run(command, args, { env: environment(), timeoutMs: STATUS_TIMEOUT_MS });
    return true;
  } catch {
    return false;
  }
}

function environment() {
  const { s3 } = JSON.parse(read(factsFile));
  return {
    BED: bedName,
    CACHE: cacheDirectory(),
    TOP: places.top,
    S3_PROGRAM: findVersitygw(),
    S3_ID: s3.accessKeyId,
    S3_SECRET: s3.secretAccessKey,
  };
}

/** Leaves nothing that runs, is mounted or is grouped, and nothing that the cluster held but its images. */
async function clear() {
  await endHolder();
  await removeCgroups();
  for (const name of ['etcd', 'kubelet', 'kubeconfig', 'pki', 's3', 'volumes', 'cni', 'var-lib']) {
    rmSync(join(places.state, name), { recursive: true, force: true, maxRetries: 3 });
  }
  rmSync(places.run, { recursive: true, force: true });
}

/** The kernel lets go of a group some time after its last process has ended. */
async function removeCgroups() {
  const tops = ['/sys/fs/cgroup', ...directoriesIn('/sys/fs/cgroup')];
  const ours = tops.map((top) => join(top, bedName)).filter((path) => existsSync(path));
  for (const deadline = Date.now() + CGROUPS_PATIENCE_MS; ; await sleep(100)) {
    const left = ours.filter((path) => !isRemoved(path));
    if (left.length === 0) return;
    if (Date.now() > deadline) throw new Error(`control groups can't be removed: ${left.join(', ')}`);
  }
}

function isRemoved(group) {
  try {
    for (const child of directoriesIn(group)) isRemoved(child);
    rmdirSync(group);
  } catch {
    // somebody is still in it, or it is gone already
  }
  return !existsSync(group);
}

function directoriesIn(directory) {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name));
}

const script = (name) => fileURLToPath(new URL(name, import.meta.url));

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
