import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { Namespace } from '../../../parts/kubernetes.ts';
import type { World } from '../../../parts/world.ts';
import { start } from '../runs.ts';
import { cnpg } from './cnpg-objects.ts';

export const primaryOf = async (namespace: Namespace, cluster: string): Promise<string> =>
  String((await namespace.get({ apiVersion: cnpg, kind: 'Cluster', name: cluster }))?.status?.['currentPrimary']);

export const backupsOf = (namespace: Namespace, policy: string) =>
  namespace.list({ apiVersion: cnpg, kind: 'Backup', labels: `holdfast/policy=${policy}` });

/**
 * Starts a run and waits until its backup reads the primary. CloudNativePG's backups begin with a checkpoint that takes
 * its time, a tenth of a second for each page: this one has minutes to do, unless it is hurried.
 */
export async function beginSlowly(
  world: World,
  namespace: Namespace,
  { cluster, policy }: { readonly cluster: string; readonly policy: string },
): Promise<WorkflowHandle> {
  const fill = `CREATE TABLE ${policy} AS SELECT n, repeat('x', 1000) FROM generate_series(1, 8000) n`;
  await namespace.psql({ pod: await primaryOf(namespace, cluster), sql: `CHECKPOINT; ${fill}` });
  const run = await start(world, 'backup', { policy });
  while (!(await backupsOf(namespace, policy)).some(({ status }) => status?.['phase'] === 'running')) await sleep(100);
  return run;
}

/** The result of a run whose checkpoints need not take their time any more. */
export async function hurried<T>(namespace: Namespace, cluster: string, run: WorkflowHandle): Promise<T> {
  const over = new AbortController();
  const hurrying = (async () => {
    while (!over.signal.aborted) {
      // There may be no primary right now, or nobody who knows it.
      await primaryOf(namespace, cluster)
        .then((pod) => namespace.psql({ pod, sql: 'CHECKPOINT' }))
        .catch(() => undefined);
      await sleep(1_000);
    }
  })();
  try {
    return (await run.result()) as T;
  } finally {
    over.abort();
    await hurrying;
  }
}
