/**
 * The worker's image for the cluster of the end-to-end tests: made where it isn't there as it should be, handed to the
 * containerd of the cluster that is up, and named in the facts that its tests read (image `worker`).
 *
 * Usage: node deploy/image/worker.mjs
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { lockCache } from '../../scripts/setup/lock.mjs';
import { step } from '../../scripts/setup/progress.mjs';
import { endAll, run, Unavailable } from '../../scripts/setup/run.mjs';
import { inWorkshop } from '../../scripts/setup/workshop.mjs';
import { isStored, layerOf, storeLayer, writeImage } from '../../test/e2e/cluster/bed/image.mjs';
import { findHolder, inTheBed } from '../../test/e2e/cluster/bed/namespaces.mjs';
import { places } from '../../test/e2e/cluster/bed/places.mjs';
import { buildHoldfast, config, fillHoldfast, fillModules, makeDebian, recipes } from './contents.mjs';

const NAME = 'worker';
const REPOSITORY = 'localhost/holdfast/worker';
const factsFile = join(places.run, 'cluster.json');

/** The most lasting one first. */
const LAYERS = [
  {
    name: 'debian',
    title: "Debian for the worker's image",
    make: async (file) => `PostgreSQL ${(await makeDebian(file)).join(' and ')}`,
  },
  { name: 'modules', title: "npm packages for the worker's image", make: packed(fillModules) },
  { name: 'holdfast', title: "Holdfast for the worker's image", make: packed(fillHoldfast) },
];

/** Makes what is missing and hands it to the cluster, if one is up. Answers with the image's name. */
export async function installWorkerImage() {
  buildHoldfast();
  const release = await lockCache();
  try {
    mkdirSync(join(places.images, 'made'), { recursive: true });
    const layers = [];
    for (const layer of LAYERS) layers.push(madeLayer(layer) ?? (await makeLayer(layer)));
    const digest = createHash('sha256')
      .update(JSON.stringify([layers, config]))
      .digest('hex')
      .slice(0, 12);
    const reference = `${REPOSITORY}:${digest}`;
    writeImage(NAME, reference, layers, config);
    await handOver(reference);
    return reference;
  } finally {
    await release();
  }
}

function madeLayer({ name }) {
  const file = stampOf(name);
  if (!existsSync(file)) return undefined;
  const made = JSON.parse(readFileSync(file, 'utf8'));
  return made.recipe === recipeOf(name) && isStored(made.descriptor) ? made.descriptor : undefined;
}

async function makeLayer({ name, title, make }) {
  await step(title, () =>
    inWorkshop(places.images, async (workshop) => {
      const file = join(workshop, 'layer.tar');
      const recipe = recipeOf(name);
      const words = await make(file, workshop);
      put(stampOf(name), JSON.stringify({ recipe, descriptor: await storeLayer(file) }));
      return words;
    }),
  );
  return madeLayer({ name });
}

/** Fills a directory and packs it. */
function packed(fill) {
  return async (file, workshop) => {
    const usual = process.umask(0o022);
    try {
      await fill(join(workshop, 'top'));
    } finally {
      process.umask(usual);
    }
    await run('chown', ['-hR', '0:0', join(workshop, 'top')]);
    await layerOf(join(workshop, 'top'), file);
  };
}

/** The cluster's containerd takes it, and forgets the ones before; its tests find it. */
async function handOver(reference) {
  const holder = findHolder();
  if (holder === undefined || !existsSync(factsFile)) return;
  const index = join(places.images, `${NAME}.index.json`);
  const imported = join(places.state, 'containerd', `${NAME}.imported`);
  const isThere = existsSync(imported) && readFileSync(imported, 'utf8') === readFileSync(index, 'utf8');
  if (!isThere) {
    const env = { IMAGES: places.images, NAME, REPOSITORY, REFERENCE: reference, CONTAINERD_NAMESPACE: 'k8s.io' };
    await step("the worker's image into the cluster", async () => {
      const [command, ...args] = inTheBed(holder, 'sh', '-euc', HAND_OVER);
      await run(command, args, { env });
      put(imported, readFileSync(index, 'utf8'));
    });
  }
  const facts = JSON.parse(readFileSync(factsFile, 'utf8'));
  if (facts.images[NAME] === reference) return;
  put(factsFile, JSON.stringify({ ...facts, images: { ...facts.images, [NAME]: reference } }, undefined, 2));
}

const HAND_OVER = [
  'cd "$IMAGES"',
  'tar --create --transform="s/^$NAME[.]index/index/" oci-layout "$NAME.index.json" --files-from="$NAME.blobs" | ctr images import - >/dev/null',
  'ctr images ls --quiet | grep "^$REPOSITORY:" | grep -vFx "$REFERENCE" | xargs --no-run-if-empty ctr images rm >/dev/null',
].join('\n');

const recipeOf = (name) => createHash('sha256').update(JSON.stringify(recipes[name]())).digest('hex');

const stampOf = (name) => join(places.images, 'made', `worker-${name}.json`);

function put(file, text) {
  writeFileSync(`${file}.part`, text, { mode: 0o600 });
  renameSync(`${file}.part`, file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.once(signal, () => {
      void endAll().then(() => process.exit(code));
    });
  }
  try {
    process.stdout.write(`${await installWorkerImage()}\n`);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error instanceof Unavailable ? 69 : 1;
  }
}
