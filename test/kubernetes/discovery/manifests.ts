import { readdirSync, readFileSync } from 'node:fs';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import type { Listed } from '../../../src/kubernetes/discovery/found.ts';

const fixtures = new URL('fixtures/', import.meta.url);

export const fixtureNames = readdirSync(fixtures)
  .map((name) => name.replace('.yaml', ''))
  .sort();

/** The objects of one fixture, as the API server would answer with them. */
export const objectsOf = (name: string): readonly KubernetesObject[] =>
  parseAllDocuments(readFileSync(new URL(`${name}.yaml`, fixtures), 'utf8')).map(
    (document) => document.toJS() as KubernetesObject,
  );

/** By kind, as listing them would give them. */
export function listedFrom(objects: readonly KubernetesObject[]): Listed {
  const of = (kind: string): readonly unknown[] => objects.filter((object) => object.kind === kind);
  return {
    statefulSets: of('StatefulSet') as Listed['statefulSets'],
    deployments: of('Deployment') as Listed['deployments'],
    pods: of('Pod') as Listed['pods'],
    services: of('Service') as Listed['services'],
    claims: of('PersistentVolumeClaim') as Listed['claims'],
    clusters: of('Cluster'),
    scheduledBackups: of('ScheduledBackup'),
    poolers: of('Pooler'),
    objectStores: of('ObjectStore'),
  };
}

export const namespacesOf = (objects: readonly KubernetesObject[]): readonly string[] =>
  [...new Set(objects.flatMap(({ metadata }) => metadata?.namespace ?? []))].sort();
