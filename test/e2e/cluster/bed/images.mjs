/**
 * The bed's images. A further one (that of a worker, say) is an entry in `IMAGES` and its layers in layers.mjs; up.sh
 * hands every image to containerd that it doesn't have yet.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { say, step } from '../../../../scripts/setup/progress.mjs';
import { inWorkshop } from '../../../../scripts/setup/workshop.mjs';
import { forgetImage, isStored, storeLayer, sweepBlobs, writeImage } from './image.mjs';
import { LAYERS, UIDS } from './layers.mjs';
import { places } from './places.mjs';
import { BARMAN_PLUGIN, CLOUDNATIVE_PG, POSTGRES } from './versions.mjs';

const TRY_AGAIN_AFTER_MS = 24 * 3_600_000;

/** Every image's name starts so, which no registry answers to. */
const REPOSITORY = 'localhost/holdfast';
const UTF8 = { LANG: 'C.UTF-8' };

/**
 * `layers`: names in LAYERS, the lowest first. `tag`: a function of what is known of the lowest layer (`version`: the
 * PostgreSQL's; CloudNativePG reads the major from the tag). `config`: see `writeImage`.
 */
const IMAGES = [
  { name: 'pause', layers: ['pause'], tag: () => '1', config: { user: '65535:65535', entrypoint: ['/pause'] } },
  { name: 'tools', layers: ['tools'], tag: () => '1', config: { environment: { PATH: '/bin' }, command: ['/bin/sh'] } },
  {
    name: 'cloudnative-pg',
    layers: ['cloudnative-pg'],
    tag: () => CLOUDNATIVE_PG.slice(1),
    config: { user: '65532:65532', entrypoint: ['/manager'] },
  },
  {
    name: 'barman-plugin',
    layers: ['barman-plugin'],
    tag: () => BARMAN_PLUGIN.slice(1),
    config: { user: '65532:65532', entrypoint: ['/manager'] },
  },
  {
    // Beside PostgreSQL in every pod of a cluster with the plugin: Barman's programs lie in PostgreSQL's tree.
    name: 'barman-sidecar',
    layers: [`postgres${POSTGRES[0].major}`, 'barman-plugin'],
    tag: () => BARMAN_PLUGIN.slice(1),
    config: { user: `${UIDS.cnpg}:${UIDS.cnpg}`, environment: UTF8, entrypoint: ['/manager'] },
  },
  ...POSTGRES.flatMap(({ major, optional }) => {
    const PATH = `/usr/lib/postgresql/${major}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const tag = ({ version }) => version;
    return [
      {
        name: `postgresql-${major}`,
        layers: [`postgres${major}`],
        tag,
        config: { user: String(UIDS.cnpg), environment: { PATH, ...UTF8 } },
      },
      {
        name: `bitnami-postgresql-${major}`,
        layers: [`postgres${major}`, `bitnami${major}`],
        tag,
        config: {
          user: String(UIDS.bitnami),
          environment: {
            PATH: `/opt/bitnami/postgresql/bin:${PATH}`,
            LANG: 'en_US.UTF-8',
            LAYOUT: 'bitnami',
            PGDATA: '/bitnami/postgresql/data',
          },
          entrypoint: ['/opt/bitnami/scripts/postgresql/entrypoint.sh'],
        },
      },
      {
        name: `docker-postgresql-${major}`,
        layers: [`postgres${major}`, `docker${major}`],
        tag,
        config: {
          environment: { PATH, LANG: 'en_US.utf8', LAYOUT: 'docker', PGDATA: '/var/lib/postgresql/data' },
          entrypoint: ['docker-entrypoint.sh'],
          command: ['postgres'],
        },
      },
    ].map((image) => ({ ...image, optional }));
  }),
];

/** The images that aren't there, or were made from something else than what is wanted now. */
export function imagesMissing() {
  return IMAGES.filter((image) => !isReady(image) && !isExcused(image));
}

/** The optional images that could not be made today. */
export function imagesExcused() {
  return IMAGES.filter((image) => !isReady(image) && isExcused(image)).map(({ name }) => name);
}

/** Such as `{'postgresql-17': 'localhost/holdfast/postgresql:17.6'}`: all that are there. */
export function imageReferences() {
  return Object.fromEntries(IMAGES.filter(isReady).map((image) => [image.name, stampOf(image).reference]));
}

/** What the cluster that runs was made with; another text, and it is not the cluster that is wanted now. */
export function imagesDigest() {
  return JSON.stringify(IMAGES.filter(isReady).map(indexText));
}

/** Makes them, each layer once; what an optional one lacks is noted, and it is left out for a day. */
export async function installImages(missing) {
  mkdirSync(join(places.images, 'made'), { recursive: true });
  for (const image of missing) {
    try {
      await install(image);
    } catch (error) {
      if (image.optional !== true) throw error;
      writeFileSync(excuseOf(image), `${error.message}\n`);
      say(`image ${image.name} can't be made here; its tests are left out. The reason is in ${excuseOf(image)}`);
    }
  }
  sweepBlobs(Object.keys(LAYERS).flatMap((name) => madeLayer(name)?.descriptor ?? []));
}

async function install(image) {
  forgetImage(image.name);
  rmSync(fileOf(image.name), { force: true });
  const layers = [];
  for (const name of image.layers) layers.push(madeLayer(name) ?? (await makeLayer(name)));
  const reference = `${REPOSITORY}/${image.name.replace(/-\d+$/, '')}:${image.tag(layers[0].facts)}`;
  const descriptors = layers.map(({ descriptor }) => descriptor);
  writeImage(image.name, reference, descriptors, image.config);
  writeFileSync(fileOf(image.name), JSON.stringify({ recipe: recipeOf(image), reference }));
  rmSync(excuseOf(image), { force: true });
}

/** A layer that is there as it should be. */
function madeLayer(name) {
  const made = readJson(layerFile(name));
  const isCurrent = made?.recipe === JSON.stringify(LAYERS[name].recipe) && isStored(made.descriptor);
  return isCurrent ? made : undefined;
}

async function makeLayer(name) {
  const { recipe, make, title = `image layer ${name}` } = LAYERS[name];
  await step(title, () =>
    inWorkshop(places.images, async (workshop) => {
      const { file, facts } = await make(workshop);
      const made = { recipe: JSON.stringify(recipe), descriptor: await storeLayer(file), facts };
      writeFileSync(layerFile(name), JSON.stringify(made));
      return Object.values(facts).join();
    }),
  );
  return madeLayer(name);
}

function isReady(image) {
  return stampOf(image)?.recipe === recipeOf(image) && image.layers.every((name) => madeLayer(name) !== undefined);
}

function isExcused(image) {
  const excuse = excuseOf(image);
  return image.optional === true && existsSync(excuse) && Date.now() - statSync(excuse).mtimeMs < TRY_AGAIN_AFTER_MS;
}

const recipeOf = ({ layers, config }) => JSON.stringify([layers.map((name) => LAYERS[name].recipe), config]);

const stampOf = ({ name }) => readJson(fileOf(name));

const fileOf = (name) => join(places.images, 'made', `${name}.image.json`);

const layerFile = (name) => join(places.images, 'made', `${name}.layer.json`);

const excuseOf = ({ name }) => join(places.images, 'made', `${name}.unavailable`);

const indexText = ({ name }) => readFileSync(join(places.images, `${name}.index.json`), 'utf8');

function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}
