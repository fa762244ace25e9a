import { cnpgApi } from '../cnpg/cluster.ts';
import type { Kubernetes } from '../connection.ts';
import { asked } from '../failures.ts';
import type { Imported } from './imported.ts';

/**
 * Sets spec.suspend of a ScheduledBackup: CloudNativePG starts nothing by it until somebody takes that back. Busy where
 * it has changed since it was read, KubernetesRefused where it is gone. Needs the right to patch it.
 */
export async function suspend(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name, resourceVersion }: Pick<Imported, 'namespace' | 'name' | 'resourceVersion'>,
): Promise<void> {
  const body = [
    { op: 'add', path: '/spec/suspend', value: true },
    // The API server takes it as the version that is meant.
    ...(resourceVersion === undefined
      ? []
      : [{ op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion }]),
  ];
  await asked(
    `suspend ScheduledBackup ${namespace}/${name}`,
    custom.patchNamespacedCustomObject({ ...cnpgApi, plural: 'scheduledbackups', namespace, name, body }),
  );
}
