import { z } from 'zod';
import type { CnpgBase, CnpgSnapshot } from '../../domain/barman.ts';
import type { Kubernetes } from '../connection.ts';
import { asked } from '../failures.ts';
import { readItems } from '../read-object.ts';
import { cnpgApi, type ClusterName } from './cluster.ts';
import { labels } from './backup.ts';
import { removingLabel } from './snapshots.ts';

const backupSchema = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).optional() }),
  spec: z.object({ cluster: z.object({ name: z.string() }), method: z.string().optional() }),
  status: z
    .object({
      phase: z.string().optional(),
      method: z.string().optional(),
      backupId: z.string().optional(),
      beginWal: z.string().optional(),
      beginLSN: z.string().optional(),
      endLSN: z.string().optional(),
      stoppedAt: z.string().optional(),
      snapshotBackupStatus: z
        .object({
          elements: z
            .array(z.object({ name: z.string(), type: z.string(), tablespaceName: z.string().optional() }))
            .optional(),
        })
        .optional(),
    })
    .default({}),
});

/** Name of the newest completed Backup object that a policy has made; undefined: there is none. */
export async function newestOfPolicy(
  kubernetes: Pick<Kubernetes, 'custom'>,
  cluster: ClusterName,
  policy: string,
): Promise<string | undefined> {
  const bases = await listBases(kubernetes, cluster, `${labels.policy}=${policy}`);
  const newest = [...bases].sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1)).at(-1);
  return newest?.object ?? undefined;
}

/** The completed backups of a Cluster, as far as its Backup objects tell; those whose deletion has begun don't count. */
export async function listBases(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
  labelSelector?: string,
): Promise<readonly CnpgBase[]> {
  const listed: unknown = await asked(
    `list Backups of namespace ${namespace}`,
    custom.listNamespacedCustomObject({
      ...{ ...cnpgApi, plural: 'backups', namespace },
      ...(labelSelector === undefined ? {} : { labelSelector }),
    }),
  );
  return readItems(backupSchema, 'Backup', `the list of Backups of namespace ${namespace}`, listed)
    .filter(({ spec, status }) => spec.cluster.name === name && status.phase === 'completed')
    .filter(({ metadata }) => metadata.labels?.[removingLabel] !== 'true')
    .flatMap((backup) => baseOf(backup) ?? []);
}

function baseOf({ metadata, spec, status }: z.infer<typeof backupSchema>): CnpgBase | undefined {
  const { backupId, beginWal, beginLSN, endLSN, stoppedAt } = status;
  const isSnapshot = (status.method ?? spec.method) === 'volumeSnapshot';
  const timeline = Number.parseInt((beginWal ?? '').slice(0, 8), 16);
  if (beginWal === undefined || beginLSN === undefined || endLSN === undefined || stoppedAt === undefined)
    return undefined;
  if (!Number.isInteger(timeline) || (!isSnapshot && backupId === undefined)) return undefined;
  return {
    id: isSnapshot ? null : (backupId ?? ''),
    object: metadata.name,
    snapshots: isSnapshot ? (status.snapshotBackupStatus?.elements ?? []).map(snapshotOf) : null,
    timeline,
    beginWal,
    beginLsn: beginLSN,
    endLsn: endLSN,
    // CloudNativePG tells whole seconds, cut off.
    finishedAt: new Date(Date.parse(stoppedAt) + 1000).toISOString(),
    systemIdentifier: null,
    segmentBytes: null,
    dataBytes: null,
  };
}

function snapshotOf({
  name,
  type,
  tablespaceName,
}: {
  readonly name: string;
  readonly type: string;
  readonly tablespaceName?: string | undefined;
}): CnpgSnapshot {
  const role = type === 'PG_DATA' ? 'data' : type === 'PG_WAL' ? 'wal' : 'tablespace';
  return { name, role, tablespace: tablespaceName ?? null };
}
