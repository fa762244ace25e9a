import { z } from 'zod';
import type { CnpgWay } from '../../domain/cnpg-specs.ts';
import type { Kubernetes } from '../connection.ts';
import { found } from '../failures.ts';
import { readObject } from '../read-object.ts';
import type { Cluster } from './cluster.ts';
import { objectStoreOf } from './retention.ts';
import { waysOf } from './ways.ts';

/** From when on CloudNativePG can recover a Cluster, by its own account. Times as ISO; null: it doesn't say. */
export interface Recoverability {
  readonly way: CnpgWay | null;
  readonly since: string | null;
  readonly lastBackupAt: string | null;
  /** Whether WAL arrives in the archive: recovery goes up to what has. */
  readonly archiving: { readonly works: boolean; readonly message: string | null } | null;
}

const recoveryWindowsSchema = z.object({
  status: z
    .object({
      serverRecoveryWindow: z
        .record(
          z.string(),
          z.object({
            firstRecoverabilityPoint: z.string().optional(),
            lastSuccessfulBackupTime: z.string().optional(),
          }),
        )
        .optional(),
    })
    .optional(),
});

/** Clusters with the Barman Cloud plugin leave their own members empty: their ObjectStore has them. */
export async function readRecoverability(
  { custom }: Pick<Kubernetes, 'custom'>,
  cluster: Cluster,
): Promise<Recoverability> {
  const { status } = cluster;
  const [way] = waysOf(cluster);
  const condition = status.conditions?.find(({ type }) => type === 'ContinuousArchiving');
  const archiving =
    condition === undefined ? null : { works: condition.status === 'True', message: condition.message ?? null };
  const store = objectStoreOf(cluster);
  if (way?.method !== 'plugin' || store === undefined)
    return {
      way: way ?? null,
      since: status.firstRecoverabilityPoint ?? null,
      lastBackupAt: status.lastSuccessfulBackup ?? null,
      archiving,
    };
  const { namespace, name } = store.object;
  const what = `ObjectStore ${namespace}/${name}`;
  const object: unknown = await found(`read ${what}`, custom.getNamespacedCustomObject(store.object));
  const windows =
    object === undefined ? undefined : readObject(recoveryWindowsSchema, what, object).status?.serverRecoveryWindow;
  const window = windows?.[store.serverName];
  return {
    way,
    since: window?.firstRecoverabilityPoint ?? null,
    lastBackupAt: window?.lastSuccessfulBackupTime ?? null,
    archiving,
  };
}
