import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Config } from '../domain/config.ts';
import { controlQueue, walWorkflowId } from '../domain/ids.ts';
import { memoKey } from './schedules.ts';

export interface WalChange {
  readonly cluster: string;
  readonly change: 'started' | 'unchanged' | 'stopped' | 'orphaned';
}

/**
 * Makes the workflows that archive WAL equal to the configuration. Touches only those whose memo names this
 * installation, and stops what no cluster wants any more only when told to: its replication slot goes with it.
 */
export async function applyWalArchives(
  client: Client,
  config: Config,
  options: { readonly prune: boolean },
): Promise<WalChange[]> {
  const changes: WalChange[] = [];
  const wanted = Object.keys(config.clusters).filter((cluster) => config.clusters[cluster]?.wal !== undefined);
  for (const cluster of wanted) changes.push({ cluster, change: await startArchive(client, config, cluster) });
  const query = "WorkflowType = 'archiveWal' AND ExecutionStatus = 'Running'";
  for await (const { workflowId, memo } of client.workflow.list({ query })) {
    const cluster = workflowId.slice(walWorkflowId('').length);
    if (memo?.[memoKey] !== config.installation || workflowId !== walWorkflowId(cluster)) continue;
    if (wanted.includes(cluster)) continue;
    if (options.prune) await retire(client, workflowId);
    changes.push({ cluster, change: options.prune ? 'stopped' : 'orphaned' });
  }
  return changes;
}

async function startArchive(client: Client, config: Config, cluster: string): Promise<WalChange['change']> {
  try {
    await client.workflow.start('archiveWal', {
      workflowId: walWorkflowId(cluster),
      workflowIdConflictPolicy: 'FAIL',
      taskQueue: controlQueue,
      args: [{ cluster }],
      memo: { [memoKey]: config.installation },
      staticSummary: `WAL archive of cluster ${cluster}`,
    });
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'unchanged';
    throw error;
  }
}

async function retire(client: Client, workflowId: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal('retire');
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
