/** What runs in the cluster, as Kubernetes objects: the modules' own manifests, pointed at the bed's images. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { step } from '../../../../scripts/setup/progress.mjs';
import { run } from '../../../../scripts/setup/run.mjs';
import { inWorkshop } from '../../../../scripts/setup/workshop.mjs';
import { binary, MODULES, sourcesOf } from './binaries.mjs';
import { imageReferences } from './images.mjs';
import { places } from './places.mjs';

/**
 * `copied`: what is taken from the module's sources; `top`: where below them the kustomization of ours lies.
 * Images are never pulled: nowhere could they be pulled from.
 */
function recipes() {
  const images = imageReferences();
  return {
    'local-path-storage': {
      module: MODULES.localPath,
      copied: ['deploy'],
      top: 'deploy',
      kustomization: {
        resources: ['local-path-storage.yaml'],
        images: [replaced('rancher/local-path-provisioner', images.tools)],
        patches: [
          {
            patch: JSON.stringify({
              apiVersion: 'v1',
              kind: 'ConfigMap',
              metadata: { name: 'local-path-config', namespace: 'local-path-storage' },
              data: {
                'config.json': JSON.stringify({
                  nodePathMap: [{ node: 'DEFAULT_PATH_FOR_NON_LISTED_NODES', paths: [join(places.state, 'volumes')] }],
                }),
                'helperPod.yaml': JSON.stringify({
                  apiVersion: 'v1',
                  kind: 'Pod',
                  metadata: { name: 'helper-pod' },
                  spec: {
                    containers: [{ name: 'helper-pod', image: images.tools, imagePullPolicy: 'IfNotPresent' }],
                  },
                }),
              },
            }),
          },
          {
            target: { kind: 'StorageClass', name: 'local-path' },
            // A volume of type `local` heeds fsGroup, one of type `hostPath` doesn't.
            patch: operations({
              '/metadata/annotations': {
                'storageclass.kubernetes.io/is-default-class': 'true',
                defaultVolumeType: 'local',
              },
            }),
          },
        ],
      },
    },
    'cloudnative-pg': {
      module: MODULES.cnpg,
      copied: ['config'],
      top: 'config',
      kustomization: {
        resources: ['default'],
        images: [replaced('controller', images['cloudnative-pg'])],
        patches: [
          {
            target: { kind: 'Deployment', name: 'cnpg-controller-manager' },
            patch: operations({
              '/spec/template/spec/containers/0/imagePullPolicy': 'IfNotPresent',
              '/spec/template/spec/containers/0/resources': {
                requests: { cpu: '50m', memory: '100Mi' },
                limits: { memory: '400Mi' },
              },
            }),
          },
        ],
      },
    },
    'barman-plugin': {
      module: MODULES.barman,
      copied: ['config', 'kubernetes'],
      top: 'kubernetes',
      kustomization: {
        namespace: 'cnpg-system',
        // Without its certificates, which cert-manager would make: certificates.sh does.
        resources: ['deployment.yaml', 'service.yaml', '../config/crd', '../config/rbac'],
        images: [replaced('plugin-barman-cloud', images['barman-plugin'])],
        secretGenerator: [{ name: 'plugin-barman-cloud', literals: [`SIDECAR_IMAGE=${images['barman-sidecar']}`] }],
        patches: [
          {
            target: { kind: 'Deployment', name: 'barman-cloud' },
            patch: operations({
              '/spec/template/spec/containers/0/imagePullPolicy': 'IfNotPresent',
              '/spec/template/spec/containers/0/readinessProbe/initialDelaySeconds': 1,
              '/spec/template/spec/containers/0/readinessProbe/periodSeconds': 2,
            }),
          },
        ],
      },
    },
  };
}

/** The manifests that aren't there, or were rendered from something else than what is wanted now. */
export function manifestsMissing() {
  return Object.entries(recipes())
    .filter(([name, recipe]) => !existsSync(manifest(name)) || read(stamp(name)) !== JSON.stringify(recipe))
    .map(([name]) => name);
}

/** Renders them into the cache. */
export async function installManifests(missing) {
  await step(`manifests of ${missing.join(', ')}`, async () => {
    for (const name of missing) await render(name, recipes()[name]);
  });
}

/** All that is applied to a fresh cluster, as text. */
export function manifestsDigest() {
  return JSON.stringify(recipes());
}

async function render(name, recipe) {
  const sources = await sourcesOf(recipe.module);
  await inWorkshop(places.manifests, async (workshop) => {
    await run('cp', ['-r', ...recipe.copied.map((directory) => join(sources, directory)), workshop]);
    await run('chmod', ['-R', 'u+w', workshop]);
    // JSON is YAML.
    writeFileSync(join(workshop, recipe.top, 'kustomization.yaml'), JSON.stringify(recipe.kustomization));
    const rendered = await run(binary('kubectl'), ['kustomize', join(workshop, recipe.top)]);
    mkdirSync(dirname(manifest(name)), { recursive: true });
    writeFileSync(join(workshop, 'rendered.yaml'), rendered);
    renameSync(join(workshop, 'rendered.yaml'), manifest(name));
    writeFileSync(stamp(name), JSON.stringify(recipe));
  });
}

/** A JSON patch that sets each path. */
const operations = (values) =>
  JSON.stringify(Object.entries(values).map(([path, value]) => ({ op: 'add', path, value })));

function replaced(name, reference = '') {
  const colon = reference.lastIndexOf(':');
  return { name, newName: reference.slice(0, colon), newTag: reference.slice(colon + 1) };
}

const manifest = (name) => join(places.manifests, `${name}.yaml`);

const stamp = (name) => join(places.manifests, `${name}.from.json`);

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
