import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { rendered } from '../../deploy/kustomize/render.mjs';
import { parseConfiguration } from '../../src/cli/configuration.ts';
import { expectGolden } from '../golden.ts';
import { kustomize, objectsIn, top } from './rendering.ts';

const here = join(top, 'deploy/kustomize');

test('what is made from the chart is as the chart is now (else: node deploy/kustomize/render.mjs)', async () => {
  for (const [file, text] of Object.entries(await rendered()))
    expect([file, readFileSync(join(here, file), 'utf8')]).toEqual([file, text]);
});

describe.each(['base', 'overlays/dev', 'overlays/prod'])('the kustomization %s', (name) => {
  test('builds what is written here', () => {
    expectGolden(import.meta.url, `kustomize-${name.replace('overlays/', '')}.yaml`, kustomize(name));
  });

  test('has a configuration that this version takes, under the name that pods mount', () => {
    const map = objectsIn(kustomize(name)).find(({ kind }) => kind === 'ConfigMap');
    expect(map?.metadata).toMatchObject({ name: 'holdfast', namespace: 'holdfast' });
    const config = parseConfiguration(map?.data?.['holdfast.yaml'] ?? '', 'holdfast.yaml');
    expect(Object.keys(config.clusters)).toHaveLength(name === 'base' ? 0 : 1);
  });

  test('leaves rights in the namespaces of the clusters, and everything else in its own', () => {
    for (const { kind, metadata } of objectsIn(kustomize(name))) {
      if (kind === 'Namespace' || kind === 'PersistentVolume') expect(metadata.namespace).toBeUndefined();
      else if (kind === 'Role' || kind === 'RoleBinding') expect(metadata.namespace).toMatch(/^shop/);
      else expect([kind, metadata.namespace]).toEqual([kind, 'holdfast']);
    }
  });
});
