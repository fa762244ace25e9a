import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { makeScratch } from '../../parts/scratch.ts';
import { findChartProgram } from '../../scripts/setup/chart-programs.mjs';
import { objectsIn, template, top } from './rendering.ts';

const examples = join(top, 'examples');
const namespaces = {
  'infra/kubernetes/overlays/holdfast': 'infra',
  'infra/kubernetes/overlays/today': 'infra',
  'jigga/kubernetes/overlays/homelab': 'postgres',
  'logto/kubernetes/overlays/dev': 'development',
  'logto/kubernetes/overlays/prod': 'production',
  'ovh/kubernetes/overlays/dev': 'example-api-dev',
  'ovh/kubernetes/overlays/prod': 'example-api-prod',
  'ovh/kubernetes/overlays/staging': 'example-api-staging',
};
const filesIn = (directory: string) => readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
const templatesIn = (directory: string) => filesIn(directory).filter((name) => name.endsWith('.env.example'));

describe('the Kubernetes objects of the examples', () => {
  let filledIn: string;
  beforeAll(async () => {
    filledIn = await makeScratch('examples');
    cpSync(examples, filledIn, { recursive: true });
    for (const name of templatesIn(filledIn))
      renameSync(join(filledIn, name), join(filledIn, name.replace(/\.example$/, '')));
  });
  afterAll(() => {
    rmSync(filledIn, { recursive: true });
  });

  test('are in these overlays', () => {
    const overlays = filesIn(examples).filter((name) => /\/overlays\/[^/]+$/.test(name));
    expect(overlays).toEqual(Object.keys(namespaces));
  });

  test.each(Object.entries(namespaces))('%s builds, and all of it lies in namespace %s', (overlay, namespace) => {
    const build = ['build', join(filledIn, overlay)];
    const text = execFileSync(findChartProgram('kustomize'), build, { encoding: 'utf8' });
    for (const { kind, metadata } of objectsIn(text))
      expect([kind, kind === 'Namespace' ? metadata.name : metadata.namespace]).toEqual([kind, namespace]);
  });

  test('can not be applied before their Secrets are filled in, and hold none', () => {
    for (const name of templatesIn(examples)) {
      const build = ['build', join(examples, name, '..')];
      const { status, stderr } = spawnSync(findChartProgram('kustomize'), build, { encoding: 'utf8' });
      expect([status === 0, stderr]).toEqual([false, expect.stringContaining('.env')]);
      expect(readFileSync(join(examples, name), 'utf8')).toMatch(/^[A-Z_a-z]+=$/m);
      expect(readFileSync(join(examples, name), 'utf8')).not.toMatch(/^\w*(password|key)\w*=./im);
    }
    expect(filesIn(examples).filter((name) => name.endsWith('.env'))).toEqual([]);
  });
});

describe('the chart', () => {
  test.each([
    ['infra', 'holdfast.yaml', 'values.yaml'],
    ['jigga', 'holdfast.yaml', 'values.yaml'],
    ['logto', 'holdfast.prod.yaml', 'values.prod.yaml'],
    ['ovh', 'holdfast.yaml', 'values.yaml'],
  ])('takes configuration and values of %s, and grants rights in its namespaces only', (row, config, values) => {
    const file = join(examples, row, config);
    const { clusters } = parse(readFileSync(file, 'utf8')) as {
      readonly clusters: Readonly<Record<string, Readonly<Record<string, { readonly namespace?: string }>>>>;
    };
    const named = Object.values(clusters).flatMap((cluster) =>
      Object.values(cluster).flatMap(({ namespace }) => namespace ?? []),
    );
    const objects = objectsIn(template('--set-file', `config=${file}`, '--values', join(examples, row, values)));
    const granted = objects.flatMap(({ kind, metadata }) => (kind === 'Role' ? (metadata.namespace ?? '') : []));
    expect([...new Set(granted)].sort()).toEqual([...new Set(named)].sort());
    expect(objects.map(({ kind }) => kind)).toContain('NetworkPolicy');
  });
});
