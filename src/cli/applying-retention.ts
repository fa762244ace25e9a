import { cnpgSpec } from '../domain/cnpg-specs.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { readCluster } from '../kubernetes/cnpg/cluster.ts';
import { readRetention, writeRetention } from '../kubernetes/cnpg/retention.ts';
import { wayFor } from '../kubernetes/cnpg/ways.ts';
import { openKubernetes, type Kubernetes } from '../kubernetes/connection.ts';

/** What became of a policy's window, where CloudNativePG keeps the backups. */
export interface RetentionChange {
  readonly policy: string;
  readonly window: string;
  readonly change: 'updated' | 'unchanged' | 'failed';
  /** Which member of which object; null where it wasn't found out. */
  readonly place: string | null;
  readonly before: string | null;
  /** Why it failed, and what to do. */
  readonly reason: string | null;
}

/**
 * Writes the window of every policy of method cnpg whose backups lie in an object store to where CloudNativePG reads
 * it. One that can't be written is told, and the others go on: whoever applies may have no rights in Kubernetes.
 */
export async function applyRetention(
  environment: Readonly<Record<string, string | undefined>>,
  config: Config,
): Promise<readonly RetentionChange[]> {
  const changes: RetentionChange[] = [];
  let kubernetes: Kubernetes | undefined;
  for (const [policy, { method, window }] of Object.entries(config.policies)) {
    if (method !== 'cnpg' || window === undefined) continue;
    try {
      kubernetes ??= await openKubernetes(environment);
      changes.push(...(await applyOne(kubernetes, config, policy, window)));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      const reason = `${error.message} (${error.hint})`;
      changes.push({ policy, window, change: 'failed', place: null, before: null, reason });
    }
  }
  return changes;
}

async function applyOne(
  kubernetes: Kubernetes,
  config: Config,
  policy: string,
  window: string,
): Promise<readonly RetentionChange[]> {
  const { source, way } = cnpgSpec(config, policy);
  const cluster = await readCluster(kubernetes, source.cnpg);
  const there = await readRetention(kubernetes, cluster, wayFor(cluster, way));
  if (there === null) return [];
  const { place, retention: before } = there;
  if (before === window) return [{ policy, window, change: 'unchanged', place, before, reason: null }];
  await writeRetention(kubernetes, there, window);
  return [{ policy, window, change: 'updated', place, before, reason: null }];
}
