import { z } from 'zod';
import type { CnpgWay } from '../../domain/cnpg-specs.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found } from '../failures.ts';
import { readItems, readObject } from '../read-object.ts';
import { cnpgApi, type ClusterName } from './cluster.ts';

/** Labels of what Holdfast makes in Kubernetes. */
export const labels = {
  installation: 'holdfast/installation',
  policy: 'holdfast/policy',
  run: 'holdfast/run',
} as const;

const backupSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    labels: z.record(z.string(), z.string()).optional(),
    creationTimestamp: z.string().optional(),
  }),
  spec: z.object({
    cluster: z.object({ name: z.string() }),
    method: z.string().optional(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      error: z.string().optional(),
      method: z.string().optional(),
      backupId: z.string().optional(),
      backupName: z.string().optional(),
      beginWal: z.string().optional(),
      endWal: z.string().optional(),
      beginLSN: z.string().optional(),
      endLSN: z.string().optional(),
      startedAt: z.string().optional(),
      stoppedAt: z.string().optional(),
      serverName: z.string().optional(),
      destinationPath: z.string().optional(),
      instanceID: z.object({ podName: z.string().optional() }).optional(),
    })
    .default({}),
});
/** A Backup object, as far as Holdfast reads it. */
export type Backup = z.infer<typeof backupSchema>;

export interface BackupOrder {
  readonly cluster: ClusterName;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly way: CnpgWay;
  readonly target: 'primary' | 'prefer-standby' | null;
  readonly online: boolean | null;
}

/** The Backup object that asks CloudNativePG for a backup. Its spec can't be changed later. */
export const backupObject = ({ cluster, name, labels: marks, way, target, online }: BackupOrder) => ({
  apiVersion: `${cnpgApi.group}/${cnpgApi.version}`,
  kind: 'Backup',
  metadata: { name, namespace: cluster.namespace, labels: { 'app.kubernetes.io/managed-by': 'holdfast', ...marks } },
  spec: {
    cluster: { name: cluster.name },
    // Left out it would be barmanObjectStore, whatever the Cluster has.
    method: way.method,
    ...(way.method === 'plugin' ? { pluginConfiguration: { name: way.plugin } } : {}),
    ...(target === null ? {} : { target }),
    ...(online === null ? {} : { online }),
  },
});

/**
 * Creates a Backup object; one of the same name and run that is there already is the one that an earlier attempt made.
 * NameTaken where somebody else's has the name; KubernetesRefused where the API server doesn't take it, as it is with a
 * method that this version of CloudNativePG no longer has.
 */
export async function createBackup({ custom }: Pick<Kubernetes, 'custom'>, order: BackupOrder): Promise<Backup> {
  const { namespace } = order.cluster;
  const what = `Backup ${namespace}/${order.name}`;
  const there = await readBackup({ custom }, { namespace, name: order.name });
  if (there === undefined) {
    const made: unknown = await asked(
      `create ${what}`,
      custom.createNamespacedCustomObject({ ...cnpgApi, plural: 'backups', namespace, body: backupObject(order) }),
    );
    return readObject(backupSchema, what, made);
  }
  if (there.metadata.labels?.[labels.run] === order.labels[labels.run]) return there;
  throw new HoldfastError(
    'NameTaken',
    `${what} is there already, and not of this run`,
    'delete it, or wait a second: names hold the time',
  );
}

/** undefined where there is no such Backup object (any more). */
export async function readBackup(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): Promise<Backup | undefined> {
  const what = `Backup ${namespace}/${name}`;
  const object: unknown = await found(
    `read ${what}`,
    custom.getNamespacedCustomObject({ ...cnpgApi, plural: 'backups', namespace, name }),
  );
  return object === undefined ? undefined : readObject(backupSchema, what, object);
}

/** Every Backup object of a Cluster, whoever made it, newest first. */
export async function listBackups(
  { custom }: Pick<Kubernetes, 'custom'>,
  { namespace, name }: ClusterName,
): Promise<readonly Backup[]> {
  const listed: unknown = await asked(
    `list Backups of namespace ${namespace}`,
    custom.listNamespacedCustomObject({ ...cnpgApi, plural: 'backups', namespace }),
  );
  return readItems(backupSchema, 'Backup', `the list of Backups of namespace ${namespace}`, listed)
    .filter(({ spec }) => spec.cluster.name === name)
    .sort((a, b) => begun(b).localeCompare(begun(a)));
}

const begun = ({ metadata, status }: Backup) => status.startedAt ?? metadata.creationTimestamp ?? '';

/** How far a Backup has come. */
export type Standing =
  | { readonly over: false; readonly doing: string }
  | {
      readonly over: true;
      readonly failure: string | null;
      /**
       * A failure that CloudNativePG may still take back: when its primary changes, the old one writes that it failed
       * while the operator has begun the same Backup on the new one, whose end is written over it.
       */
      readonly mayGoOn: boolean;
    };

/** Only completed, failed and an invalid definition are an end; every other phase may stay for ever. */
export function standingOf({ status: { phase, error } }: Backup): Standing {
  switch (phase) {
    case 'completed':
      return { over: true, failure: null, mayGoOn: false };
    case 'failed':
      return { over: true, failure: error ?? 'CloudNativePG says no more than that it failed', mayGoOn: true };
    case 'invalid backup definition':
      return {
        over: true,
        failure: `invalid backup definition: ${error ?? 'see the Backup object'}`,
        mayGoOn: false,
      };
    case 'walArchivingFailing':
      return { over: false, doing: 'waiting, because WAL archiving fails' };
    default:
      return { over: false, doing: phase === undefined || phase === '' ? 'waiting for the operator' : phase };
  }
}
