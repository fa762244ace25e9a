/** A row's worker as its README installs it: by the chart, with the row's own values and configuration. */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { V1Pod } from '@kubernetes/client-node';
import type { Kubernetes, Namespace } from '../../../../parts/kubernetes.ts';
import { makeScratch } from '../../../../parts/scratch.ts';
import { findChartProgram } from '../../../../scripts/setup/chart-programs.mjs';
import { chart } from '../../../charts/rendering.ts';
import { examples, partsOf } from './standing-up.ts';

const run = promisify(execFile);

export interface Installation {
  readonly row: string;
  /** host:port, where pods reach it. */
  readonly temporal: string;
  readonly config: object;
  /** What differs from the row's values besides image, address, and sizes. */
  readonly values?: object;
}

/** Installs the row's worker into the namespace, or upgrades it, and waits until it is ready and `apply` has run. */
export async function install(
  kubernetes: Pick<Kubernetes, 'image' | 'kubeconfigFile'>,
  namespace: Namespace,
  { row, temporal, config, values = {} }: Installation,
): Promise<void> {
  const scratch = await makeScratch('chart');
  try {
    const { newName: repository, newTag: tag } = partsOf(kubernetes.image('worker'));
    const files = { config, values, ours: { image: { repository, tag }, temporal: { address: temporal } } };
    for (const [name, content] of Object.entries(files))
      await writeFile(join(scratch, `${name}.json`), JSON.stringify(content));
    await mkdir(join(scratch, 'helm'));
    const home = join(scratch, 'helm');
    const env = { ...process.env, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
    const args = [
      ...['upgrade', '--install', 'holdfast', chart, '--wait', '--timeout', '4m'],
      ...['--kubeconfig', kubernetes.kubeconfigFile, '--namespace', namespace.name],
      ...['--set-file', `config=${join(scratch, 'config.json')}`],
      ...[join(examples, row, 'values.yaml'), join(scratch, 'ours.json'), join(scratch, 'values.json')].flatMap(
        (file) => ['--values', file],
      ),
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
