/**
 * Container images without a container program. All images share one OCI layout, so that a layer that several of them
 * have lies there once; `NAME.index.json` is an image's own index, `NAME.blobs` lists what it leads to.
 *
 * A layer is a tar file: a Debian tree that mmdebstrap made (rootfs.mjs), or a directory packed by `layerOf`.
 */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '../../../../scripts/setup/run.mjs';
import { places } from './places.mjs';

const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Packs a directory into a layer file: owned by root except where `owners` says otherwise (`{'data': '999:999'}`, by
 * path from the top), the same bytes for the same content.
 */
export async function layerOf(directory, file, owners = {}) {
  for (const [path, owner] of Object.entries(owners)) await run('chown', ['-hR', owner, join(directory, path)]);
  const order = ['--sort=name', '--mtime=@0', '--format=posix', '--pax-option=delete=atime,delete=ctime'];
  await run('tar', [...order, '--numeric-owner', `--directory=${directory}`, '--create', `--file=${file}`, '.']);
  return file;
}

/**
 * Takes a layer file into the layout (the file is moved away, or, with `copy`, left) and answers with its descriptor,
 * which is what `writeImage` wants.
 */
export async function storeLayer(file) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  const digest = `sha256:${hash.digest('hex')}`;
  const { size } = statSync(file);
  mkdirSync(join(places.images, 'blobs', 'sha256'), { recursive: true });
  renameSync(file, join(places.images, blobOf({ digest })));
  return { mediaType: TYPES.layer, digest, size };
}

/**
 * Writes the image `reference` of layers that are in the layout, the lowest first. Its index comes last: without it
 * there is no image.
 *
 * @param name the name of its files here
 * @param config `user`, `environment`, `entrypoint`, `command`, `workingDirectory`: as a Dockerfile's words of the same
 *   meaning, each optional
 */
export function writeImage(name, reference, layers, config = {}) {
  const { user, environment = {}, entrypoint, command, workingDirectory = '/' } = config;
  const description = {
    architecture: { x64: 'amd64' }[process.arch] ?? process.arch,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: {
      WorkingDir: workingDirectory,
      Env: Object.entries({ PATH, ...environment }).map(([key, value]) => `${key}=${value}`),
      ...(user === undefined ? {} : { User: user }),
      ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
      ...(command === undefined ? {} : { Cmd: command }),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  };
  const configBlob = storeJson(TYPES.config, description);
  const manifest = storeJson(TYPES.manifest, {
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: configBlob,
    layers,
  });
  const annotations = { 'io.containerd.image.name': reference };
  const index = { schemaVersion: 2, mediaType: TYPES.index, manifests: [{ ...manifest, annotations }] };
  put(join(places.images, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  put(
    join(places.images, `${name}.blobs`),
    [manifest, configBlob, ...layers].map((blob) => `${blobOf(blob)}\n`).join(''),
  );
  put(join(places.images, `${name}.index.json`), JSON.stringify(index));
}

/** Removes an image's files here; its blobs go with the next `sweepBlobs`. */
export function forgetImage(name) {
  for (const suffix of ['index.json', 'blobs']) rmSync(join(places.images, `${name}.${suffix}`), { force: true });
}

/** Removes the blobs that no image has and that aren't among the layers given. */
export function sweepBlobs(layers) {
  const directory = join(places.images, 'blobs', 'sha256');
  if (!existsSync(directory)) return;
  const lists = readdirSync(places.images).filter((name) => name.endsWith('.blobs'));
  const wanted = new Set([
    ...lists.flatMap((name) => readFileSync(join(places.images, name), 'utf8').trim().split('\n')),
    ...layers.map(blobOf),
  ]);
  for (const name of readdirSync(directory)) {
    if (!wanted.has(join('blobs', 'sha256', name))) rmSync(join(directory, name));
  }
}

/** Whether a layer's bytes are there. */
export const isStored = (blob) => existsSync(join(places.images, blobOf(blob)));

const blobOf = ({ digest }) => join('blobs', 'sha256', digest.replace('sha256:', ''));

function storeJson(mediaType, value) {
  const text = JSON.stringify(value);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  put(join(places.images, blobOf({ digest })), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

function put(file, text) {
  writeFileSync(`${file}.part`, text);
  renameSync(`${file}.part`, file);
}
