import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { found } from '../failures.ts';
import { readObject } from '../read-object.ts';

/** CloudNativePG's API, as of 1.30. */
export const cnpgApi = { group: 'postgresql.cnpg.io', version: 'v1' } as const;
/** Its Barman Cloud plugin's, as of 0.13. */
export const barmanApi = { group: 'barmancloud.cnpg.io', version: 'v1' } as const;

const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
});

/** What Holdfast reads of a Cluster; what it doesn't know stays unread. */
const clusterSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  spec: z.object({
    instances: z.number(),
    enableSuperuserAccess: z.boolean().optional(),
    superuserSecret: z.object({ name: z.string() }).optional(),
    plugins: z
      .array(
        z.object({
          name: z.string(),
          enabled: z.boolean().optional(),
          isWALArchiver: z.boolean().optional(),
          parameters: z.record(z.string(), z.string()).optional(),
        }),
      )
      .optional(),
    backup: z
      .object({
        retentionPolicy: z.string().optional(),
        barmanObjectStore: z.object({ destinationPath: z.string().optional() }).optional(),
        volumeSnapshot: z.object({}).optional(),
      })
      .optional(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      phaseReason: z.string().optional(),
      currentPrimary: z.string().optional(),
      targetPrimary: z.string().optional(),
      readyInstances: z.number().optional(),
      image: z.string().optional(),
      conditions: z.array(conditionSchema).optional(),
      writeService: z.string().optional(),
      firstRecoverabilityPoint: z.string().optional(),
      lastSuccessfulBackup: z.string().optional(),
    })
    .default({}),
});
export type Cluster = z.infer<typeof clusterSchema>;

/** Names one Cluster object. */
export interface ClusterName {
  readonly namespace: string;
  readonly name: string;
}

/** The Cluster as it is now. ConfigurationInvalid where there is none, KubernetesNotUnderstood as readObject says. */
export async function readCluster(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
): Promise<Cluster> {
  const what = `Cluster ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...cnpgApi, plural: 'clusters', namespace, name }),
  );
  if (object === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `there is no Cluster '${name}' of CloudNativePG in namespace ${namespace}`,
      'correct the name in the configuration, or see whether CloudNativePG is installed: kubectl get crd clusters.postgresql.cnpg.io',
    );
  return readObject(clusterSchema, what, object);
}

/** Phases that no waiting ends. */
const dead = [
  'Cluster is unrecoverable and needs manual intervention',
  'Invalid cluster definition',
  'Cluster has incomplete or invalid image catalog',
];

/** Its phase says that only a person can help. */
export const isDead = ({ status }: Pick<Cluster, 'status'>) => dead.includes(status.phase ?? '');

const healthyPhase = 'Cluster in healthy state';

export const isHealthy = ({ spec, status }: Cluster) =>
  status.phase === healthyPhase && status.readyInstances === spec.instances;

/**
 * That somebody may be asked for the primary: PostgresRefused where only a person can help (its phase says that),
 * PostgresUnavailable while there is no primary, or another one is about to take over.
 */
export function assertHasPrimary({ metadata, status }: Cluster): void {
  const { phase = 'no phase yet', phaseReason, currentPrimary, targetPrimary } = status;
  const what = `CloudNativePG cluster ${metadata.namespace}/${metadata.name}`;
  const why = phaseReason === undefined || phaseReason === '' ? phase : `${phase} (${phaseReason})`;
  if (isDead({ status }))
    throw new HoldfastError('PostgresRefused', `${what} is not usable: ${why}`, 'mend the Cluster first');
  if (metadata.annotations?.['cnpg.io/hibernation'] === 'on')
    throw new HoldfastError(
      'PostgresUnavailable',
      `${what} hibernates`,
      'wake it up: kubectl annotate cluster NAME cnpg.io/hibernation=off --overwrite',
    );
  if (currentPrimary === undefined || currentPrimary === '')
    throw new HoldfastError(
      'PostgresUnavailable',
      `${what} has no primary: ${why}`,
      'wait until its operator has made one',
    );
  if (targetPrimary !== undefined && targetPrimary !== currentPrimary)
    throw new HoldfastError(
      'PostgresUnavailable',
      `${what} is switching its primary from ${currentPrimary} to ${targetPrimary}: ${why}`,
      'it is tried again',
    );
}
