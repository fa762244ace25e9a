import type { V1DeleteOptions } from '@kubernetes/client-node';
import { z } from 'zod';
import { objectAt, textAt, type JsonObject } from '../../domain/cnpg-definition.ts';
import { recoveryMarks } from '../../domain/cnpg-recovery-object.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { RunIdentity } from '../../domain/run.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found } from '../failures.ts';
import { readObject } from '../read-object.ts';
import { cnpgApi, type ClusterName } from './cluster.ts';

/** The Clusters that recoveries make: each is known by its run's ids, and by nothing else is one ever removed. */

const madeSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    annotations: z.record(z.string(), z.string()).optional(),
    deletionTimestamp: z.string().optional(),
  }),
});

export interface MadeCluster {
  readonly uid: string;
  readonly kept: boolean;
  readonly going: boolean;
}

const clusters = { ...cnpgApi, plural: 'clusters' } as const;

/** Whose a Cluster of that name is: this run's, somebody else's, or nobody's: there is none. */
export async function findMade(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
  run: Maker,
): Promise<MadeCluster | 'other' | undefined> {
  const what = `Cluster ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...clusters, namespace, name }),
  );
  if (object === undefined) return undefined;
  const { metadata } = readObject(madeSchema, what, object);
  if (metadata.annotations?.[recoveryMarks.runId] !== run.firstExecutionRunId) return 'other';
  return {
    uid: metadata.uid,
    kept: metadata.annotations[recoveryMarks.kept] !== undefined,
    going: metadata.deletionTimestamp !== undefined,
  };
}

/** The run that has made a Cluster of that name; undefined: there is none. NameTaken where no run of Holdfast's did. */
export async function makerOf(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
): Promise<Maker | undefined> {
  const what = `Cluster ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...clusters, namespace, name }),
  );
  if (object === undefined) return undefined;
  const { annotations = {} } = readObject(madeSchema, what, object).metadata;
  const { [recoveryMarks.workflowId]: workflowId, [recoveryMarks.runId]: firstExecutionRunId } = annotations;
  if (workflowId !== undefined && firstExecutionRunId !== undefined) return { workflowId, firstExecutionRunId };
  throw new HoldfastError(
    'NameTaken',
    `${what} is there, and no run of Holdfast's has made it`,
    'drills of the cluster need that name: delete it, or give it another name',
  );
}

export type Maker = Pick<RunIdentity, 'workflowId' | 'firstExecutionRunId'>;

/**
 * Creates the Cluster of a recovery; one of this run's that is there already was made by an earlier attempt, and is it.
 * NameTaken where somebody else's has the name; KubernetesRefused where the API server or the operator's webhook doesn't
 * take it.
 */
export async function createRecoveryCluster(
  { custom }: Pick<Kubernetes, 'custom'>,
  object: JsonObject,
  { run, plan }: { readonly run: RunIdentity; readonly plan: string },
): Promise<MadeCluster> {
  const name = {
    namespace: textAt(object, 'metadata', 'namespace') ?? '',
    name: textAt(object, 'metadata', 'name') ?? '',
  };
  const what = `Cluster ${name.namespace}/${name.name}`;
  const there = await findMade({ custom }, name, run);
  if (there === 'other' || there?.going === true)
    throw new HoldfastError(
      'NameTaken',
      `${what} is there already, and ${there === 'other' ? 'not of this run' : 'is being deleted'}`,
      'start the recovery again, or give another name: into.name',
    );
  if (there !== undefined) return there;
  const metadata = objectAt(object, 'metadata');
  const body = {
    ...object,
    metadata: {
      ...metadata,
      annotations: {
        ...objectAt(metadata, 'annotations'),
        [recoveryMarks.runId]: run.firstExecutionRunId,
        [recoveryMarks.workflowId]: run.workflowId,
        [recoveryMarks.plan]: plan,
      },
    },
  };
  const made: unknown = await asked(
    `create ${what}`,
    custom.createNamespacedCustomObject({ ...clusters, namespace: name.namespace, body }),
  );
  return { uid: readObject(madeSchema, what, made).metadata.uid, kept: false, going: false };
}

/** Changes members of a Cluster, as a merge patch does; the same again changes nothing. */
export async function patchCluster(
  { custom, mergePatch }: Pick<Kubernetes, 'custom' | 'mergePatch'>,
  { namespace, name }: ClusterName,
  body: JsonObject,
): Promise<void> {
  await asked(
    `change Cluster ${namespace}/${name}`,
    custom.patchNamespacedCustomObject({ ...clusters, namespace, name, body }, mergePatch),
  );
}

/**
 * Deletes the Cluster that a run has made; what belongs to it (pods, volume claims, Secrets) goes with it, by the API
 * server's own doing. One that was kept, or is somebody else's, is left alone: false. Gone already is fine.
 */
export async function deleteMade(
  { custom }: Pick<Kubernetes, 'custom'>,
  name: ClusterName,
  run: Maker,
): Promise<boolean> {
  const there = await findMade({ custom }, name, run);
  if (there === undefined) return true;
  if (there === 'other' || there.kept) return false;
  if (!there.going)
    await found(
      `delete Cluster ${name.namespace}/${name.name}`,
      custom.deleteNamespacedCustomObject({
        ...clusters,
        ...name,
        // Between the look and this one another of the same name may have come.
        body: deletionOf(there.uid),
      }),
    );
  return true;
}

const deletionOf = (uid: string): V1DeleteOptions => ({ preconditions: { uid }, propagationPolicy: 'Background' });

/** Names of what is left of a Cluster: itself, pods and volume claims. */
export async function leftOf(
  { core, custom }: Pick<Kubernetes, 'core' | 'custom'>,
  { namespace, name }: ClusterName,
): Promise<readonly string[]> {
  const labelSelector = `cnpg.io/cluster=${name}`;
  const [cluster, pods, claims] = await Promise.all([
    found<unknown>(
      `read Cluster ${namespace}/${name}`,
      custom.getNamespacedCustomObject({ ...clusters, namespace, name }),
    ),
    asked(`list pods of namespace ${namespace}`, core.listNamespacedPod({ namespace, labelSelector })),
    asked(
      `list volume claims of namespace ${namespace}`,
      core.listNamespacedPersistentVolumeClaim({ namespace, labelSelector }),
    ),
  ]);
  return [
    ...(cluster === undefined ? [] : [`Cluster ${name}`]),
    ...pods.items.map(({ metadata }) => `pod ${metadata?.name ?? ''}`),
    ...claims.items.map(({ metadata }) => `volume claim ${metadata?.name ?? ''}`),
  ];
}
