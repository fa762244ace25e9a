import { z } from 'zod';
import type { Kubernetes } from '../connection.ts';
import { asked, found } from '../failures.ts';
import { readItems } from '../read-object.ts';
import { cnpgApi } from './cluster.ts';
import type { Backup } from './backup.ts';

const snapshotApi = { group: 'snapshot.storage.k8s.io', version: 'v1', plural: 'volumesnapshots' } as const;
const snapshotSchema = z.object({ metadata: z.object({ name: z.string() }) });

/** Marks a Backup whose deletion has begun: its snapshots may be gone already. */
export const removingLabel = 'holdfast/removing';

/**
 * Deletes a Backup of method volumeSnapshot with its VolumeSnapshots: marked first, so that nobody recovers from one
 * that is half gone, its object last, so that whoever goes on after a crash finds what is left. What is gone already is
 * fine.
 */
export async function removeSnapshotBackup(
  { custom }: Pick<Kubernetes, 'custom'>,
  { metadata: { namespace, name } }: Pick<Backup, 'metadata'>,
): Promise<void> {
  const backup = { ...cnpgApi, plural: 'backups', namespace, name };
  const marked: unknown = await found(
    `mark Backup ${namespace}/${name}`,
    custom.patchNamespacedCustomObject({
      ...backup,
      body: [{ op: 'add', path: `/metadata/labels/${removingLabel.replace('/', '~1')}`, value: 'true' }],
    }),
  );
  if (marked === undefined) return;
  const listed: unknown = await asked(
    `list VolumeSnapshots of namespace ${namespace}`,
    custom.listNamespacedCustomObject({ ...snapshotApi, namespace, labelSelector: `cnpg.io/backupName=${name}` }),
  );
  const items = readItems(
    snapshotSchema,
    'VolumeSnapshot',
    `the list of VolumeSnapshots of namespace ${namespace}`,
    listed,
  );
  for (const item of items)
    await found(
      `delete VolumeSnapshot ${namespace}/${item.metadata.name}`,
      custom.deleteNamespacedCustomObject({ ...snapshotApi, namespace, name: item.metadata.name }),
    );
  await found(`delete Backup ${namespace}/${name}`, custom.deleteNamespacedCustomObject(backup));
}
