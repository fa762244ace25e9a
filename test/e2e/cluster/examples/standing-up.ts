/**
 * Stands a row of examples/ up as its readers do: they copy the files, fill in the Secrets, and put an overlay of their own
 * over one of the row's (namespace, images, storage class, the store's address).
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import type { Kubernetes, Namespace } from '../../../../parts/kubernetes.ts';
import { makeScratch } from '../../../../parts/scratch.ts';
import { findChartProgram } from '../../../../scripts/setup/chart-programs.mjs';

const run = promisify(execFile);
export const examples = join(import.meta.dirname, '../../../../examples');

/** One change, as JSON Patch has it, to all objects of a kind. */
export interface Change {
  readonly kind: string;
  readonly op: 'add' | 'replace';
  readonly path: string;
  readonly value: unknown;
}

export interface Row {
  /** Such as `logto`, and `prod`. */
  readonly row: string;
  readonly overlay: string;
  /** Files that a reader makes from their `.example`, by name. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Images of the test's cluster, by the name that the row has for each. */
  readonly images?: Readonly<Record<string, string>>;
  readonly changes?: readonly Change[];
}

/** Applies the row to the namespace, whose name takes the place of the row's own. */
export async function standUp(namespace: Namespace, row: Row): Promise<void> {
  await namespace.apply(await render(namespace.name, row));
}

async function render(namespace: string, { row, overlay, secrets = {}, images = {}, changes = [] }: Row) {
  const scratch = await makeScratch('example');
  try {
    const overlays = join(scratch, 'kubernetes/overlays');
    await cp(join(examples, row, 'kubernetes'), join(scratch, 'kubernetes'), { recursive: true });
    for (const [file, values] of Object.entries(secrets)) {
      const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
      await writeFile(join(overlays, overlay, file), lines.join(''));
    }
    const kustomization = {
      namespace,
      resources: [`../${overlay}`],
      images: Object.entries(images).map(([name, image]) => ({ name, ...partsOf(image) })),
      patches: changes.map(({ kind, ...change }) => ({ target: { kind }, patch: JSON.stringify([change]) })),
    };
    await mkdir(join(overlays, 'of-the-test'));
    await writeFile(join(overlays, 'of-the-test/kustomization.yaml'), JSON.stringify(kustomization));
    return (await run(findChartProgram('kustomize'), ['build', join(overlays, 'of-the-test')])).stdout;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Waits until a Cluster of several instances is healthy. Each that joins begins with a checkpoint of the first, which
 * PostgreSQL stretches over minutes; one that is asked for by hand hurries it.
 */
export async function untilAllHaveJoined(namespace: Namespace, cluster: string): Promise<void> {
  const joining = new AbortController();
  const hurrying = hurry(namespace, `${cluster}-1`, joining.signal);
  try {
    await namespace.waitUntilHealthy(cluster, 290_000);
  } finally {
    joining.abort();
    await hurrying;
  }
}

async function hurry(namespace: Namespace, pod: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Its server may not be there yet.
    await namespace.psql({ pod, sql: 'CHECKPOINT' }).catch(() => undefined);
    await sleep(1_000);
  }
}

/** A registry may have a port: the tag stands behind the last colon. */
export function partsOf(image: string) {
  const colon = image.lastIndexOf(':');
  return { newName: image.slice(0, colon), newTag: image.slice(colon + 1) };
}

/** Puts the volumes of a row's Clusters into the storage class of the test's cluster. */
export const storageOfClusters = ({ storageClass }: Pick<Kubernetes, 'storageClass'>): Change => ({
  kind: 'Cluster',
  op: 'add',
  path: '/spec/storage/storageClass',
  value: storageClass,
});

/** Leads a Cluster's own archive, or an ObjectStore's, to a bucket of the test's store. */
export function storeOf({ s3 }: Pick<Kubernetes, 's3'>, kind: 'Cluster' | 'ObjectStore', bucket: string): Change[] {
  const section = kind === 'Cluster' ? '/spec/backup/barmanObjectStore' : '/spec/configuration';
  return [
    { kind, op: 'replace', path: `${section}/endpointURL`, value: s3.endpoint },
    { kind, op: 'replace', path: `${section}/destinationPath`, value: `s3://${bucket}/` },
  ];
}

type Members = Readonly<Record<string, unknown>>;

/** As much of a holdfast.yaml as the tests of the rows look at. */
export interface ExampleConfig extends Members {
  readonly clusters: Readonly<Record<string, Members>>;
  readonly policies?: Readonly<Record<string, Members>>;
  readonly repositories?: Readonly<Record<string, Members>>;
}

/** The row's own configuration, with its clusters in the test's namespace. */
export async function configurationOf(
  row: string,
  namespace: Namespace,
  file = 'holdfast.yaml',
): Promise<ExampleConfig> {
  const config = parse(await readFile(join(examples, row, file), 'utf8')) as ExampleConfig;
  const moved = (members: unknown) =>
    typeof members === 'object' && members !== null && 'namespace' in members
      ? { ...members, namespace: namespace.name }
      : members;
  const clusters = Object.entries(config.clusters).map(([name, cluster]) => {
    const kinds = Object.entries(cluster).map(([kind, members]) => [kind, moved(members)] as const);
    return [name, Object.fromEntries(kinds)] as const;
  });
  return { ...config, clusters: Object.fromEntries(clusters) };
}
