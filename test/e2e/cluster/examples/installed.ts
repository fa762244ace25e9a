/** A row's worker as its README installs it: by the chart, with the row's own values and configuration. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { V1Pod } from '@kubernetes/client-node';
import { parse } from 'yaml';
import type { Kubernetes, Namespace } from '../../../../parts/kubernetes.ts';
import { makeScratch } from '../../../../parts/scratch.ts';
import { findChartProgram } from '../../../../scripts/setup/chart-programs.mjs';
import { chart } from '../../../charts/rendering.ts';
import { examples, partsOf } from './standing-up.ts';

const run = promisify(execFile);

export interface Installation {
  /** host:port, where pods reach it. */
  readonly temporal: string;
  readonly config: object;
  /** The row's, with what a reader of it replaces besides image and address. */
  readonly values: object;
}

/** As much of a row's values.yaml as its tests replace. */
export interface ExampleValues {
  readonly worker: object;
}

export const valuesOf = async (row: string): Promise<ExampleValues> =>
  parse(await readFile(join(examples, row, 'values.yaml'), 'utf8')) as ExampleValues;

/** Installs the row's worker into the namespace, or upgrades it, and waits until it is ready and `apply` has run. */
export async function install(
  kubernetes: Pick<Kubernetes, 'image' | 'kubeconfigFile'>,
  namespace: Namespace,
  { temporal, config, values }: Installation,
): Promise<void> {
  const scratch = await makeScratch('chart');
  try {
    const { newName: repository, newTag: tag } = partsOf(kubernetes.image('worker'));
    const ours = { ...values, image: { repository, tag }, temporal: { address: temporal } };
    for (const [name, content] of Object.entries({ config, values: ours }))
      await writeFile(join(scratch, `${name}.json`), JSON.stringify(content));
    await mkdir(join(scratch, 'helm'));
    const home = join(scratch, 'helm');
    const env = { ...process.env, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
    const args = [
      ...['upgrade', '--install', 'holdfast', chart, '--wait', '--timeout', '4m'],
      ...['--kubeconfig', kubernetes.kubeconfigFile, '--namespace', namespace.name],
      ...['--set-file', `config=${join(scratch, 'config.json')}`],
      ...['--values', join(scratch, 'values.json')],
    ];
    await run(findChartProgram('helm'), args, { env });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What a command prints in the worker's pod; an error where it fails. */
export async function inWorker(namespace: Namespace, ...command: readonly string[]): Promise<string> {
  const pods = await namespace.list<V1Pod>({
    apiVersion: 'v1',
    kind: 'Pod',
    labels: 'app.kubernetes.io/component=worker',
  });
  const pod = pods.find(
    ({ metadata, status }) => metadata?.deletionTimestamp === undefined && status?.phase === 'Running',
  );
  if (pod?.metadata?.name === undefined) throw new Error(`no worker runs in namespace ${namespace.name}`);
  const { code, stdout, stderr } = await namespace.exec({ pod: pod.metadata.name, container: 'worker', command });
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code)}:\n${stdout}${stderr}`);
  return stdout.trimEnd();
}
