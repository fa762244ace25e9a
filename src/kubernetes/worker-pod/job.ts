import { basename, dirname } from 'node:path';
import type { V1Job, V1SecurityContext } from '@kubernetes/client-node';
import type { Purpose, VolumeUser } from '../../domain/workload.ts';
import type { Plain } from '../plain.ts';
import type { WorkerTemplate } from './template.ts';

/** A worker's pod of one run, with the claim that it works on, or the login that it dumps with. Plain data from plain data. */
export interface WorkerOrder {
  readonly namespace: string;
  /** Of the Job, and of the host whose work the pod does. */
  readonly name: string;
  readonly site: string;
  readonly installation: string;
  readonly cluster: string;
  readonly purpose: Purpose;
  readonly run: { readonly short: string; readonly workflowId: string; readonly firstExecutionRunId: string };
  /** null: the image's own. */
  readonly user: VolumeUser | null;
  readonly fsGroup: number | null;
  /** Where the claim is in use already; null: anywhere. */
  readonly node: string | null;
  readonly volume: {
    readonly claim: string;
    readonly mountPath: string;
    readonly subPath: string | null;
  } | null;
  /** Of the database's superuser: the password is mounted, and stands nowhere else. */
  readonly passwordFrom: { readonly secret: string; readonly key: string } | null;
}

/** Where a pod that dumps finds the password: read anew for each connection, so it may rotate. */
export const passwordFile = '/etc/holdfast-login/password';

export const labelsOf = ({ installation, cluster }: Pick<WorkerOrder, 'installation' | 'cluster'>) => ({
  'app.kubernetes.io/name': 'holdfast',
  'app.kubernetes.io/component': 'worker-pod',
  'holdfast/installation': installation,
  'holdfast/cluster': cluster,
});

export const workflowAnnotation = 'holdfast/workflow-id';
export const runAnnotation = 'holdfast/run-id';
const configAnnotation = 'holdfast/config';

/** Long enough for a human who thinks it over; a pod that nobody has ended is gone some day. */
const lifetimeSeconds: Readonly<Record<Purpose, number>> = {
  look: 900,
  work: 30 * 86_400,
  dump: 7 * 86_400,
};

const configDirectory = '/etc/holdfast';

const security: Plain<V1SecurityContext> = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/**
 * A Job, because Kubernetes then makes the pod anew when it is evicted or its node goes, and never two of them at once:
 * a worker that is asked to stop ends with an exit code that isn't 0 (`--on`).
 */
export function workerJob(order: WorkerOrder, template: WorkerTemplate): Plain<V1Job> {
  const { namespace, name, run, purpose, user, fsGroup, node, volume, passwordFrom } = order;
  const labels = { ...labelsOf(order), 'holdfast/run': run.short, 'holdfast/purpose': purpose };
  const annotations = { [workflowAnnotation]: run.workflowId, [runAnnotation]: run.firstExecutionRunId };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace, labels, annotations },
    spec: {
      backoffLimit: 1_000,
      podReplacementPolicy: 'Failed',
      activeDeadlineSeconds: lifetimeSeconds[purpose],
      ttlSecondsAfterFinished: 600,
      template: {
        metadata: {
          labels,
          annotations: {
            ...annotations,
            // Its configuration: a run's steps bring everything else along.
            [configAnnotation]: JSON.stringify({ installation: order.installation, clusters: {} }),
            'kubectl.kubernetes.io/default-container': 'worker',
          },
        },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          // Cancelled work cleans up.
          terminationGracePeriodSeconds: 60,
          ...(template.pullSecrets.length === 0
            ? {}
            : { imagePullSecrets: template.pullSecrets.map((secret) => ({ name: secret })) }),
          ...(node === null ? {} : { affinity: onNode(node) }),
          securityContext: {
            ...(volume === null ? template.security : {}),
            runAsNonRoot: true,
            ...(user === null ? {} : { runAsUser: user.uid, runAsGroup: user.gid }),
            // A volume that has the group already is left as it is: PostgreSQL refuses a directory others may write to.
            ...(fsGroup === null ? {} : { fsGroup, fsGroupChangePolicy: 'OnRootMismatch' }),
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: 'worker',
              image: template.image,
              imagePullPolicy: 'IfNotPresent',
              args: [
                ...['worker', `--site=${order.site}`, `--on=${name}`, '--grace=10s'],
                ...['--health=0.0.0.0:8080', '--scratch=/scratch', '--instances=/instances'],
              ],
              env: [
                ...template.env,
                { name: 'HOLDFAST_CONFIG', value: `${configDirectory}/holdfast.yaml` },
                // Whoever the files belong to has no entry in the image's /etc/passwd.
                { name: 'HOME', value: '/tmp' },
              ],
              ...(template.envFrom.length === 0 ? {} : { envFrom: [...template.envFrom] }),
              ports: [{ name: 'http', containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1, timeoutSeconds: 5 },
              // What it said last is in the pod's status then.
              terminationMessagePolicy: 'FallbackToLogsOnError',
              ...(template.resources === undefined ? {} : { resources: template.resources }),
              securityContext: security,
              volumeMounts: [
                { name: 'holdfast-config', mountPath: configDirectory, readOnly: true },
                { name: 'holdfast-tmp', mountPath: '/tmp' },
                { name: 'holdfast-scratch', mountPath: '/scratch' },
                { name: 'holdfast-instances', mountPath: '/instances' },
                { name: 'holdfast-memory', mountPath: '/dev/shm' },
                ...template.volumeMounts,
                ...(volume === null ? [] : [mountOf(volume, purpose)]),
                ...(passwordFrom === null
                  ? []
                  : [{ name: 'holdfast-login', mountPath: dirname(passwordFile), readOnly: true }]),
              ],
            },
          ],
          volumes: [
            {
              name: 'holdfast-config',
              downwardAPI: {
                items: [
                  {
                    path: 'holdfast.yaml',
                    fieldRef: { fieldPath: `metadata.annotations['${configAnnotation}']` },
                  },
                ],
              },
            },
            { name: 'holdfast-tmp', emptyDir: { sizeLimit: '256Mi' } },
            { name: 'holdfast-scratch', emptyDir: {} },
            { name: 'holdfast-instances', emptyDir: { sizeLimit: '256Mi' } },
            { name: 'holdfast-memory', emptyDir: { medium: 'Memory', sizeLimit: '256Mi' } },
            ...template.volumes,
            ...(volume === null ? [] : [{ name: 'holdfast-data', persistentVolumeClaim: { claimName: volume.claim } }]),
            ...(passwordFrom === null ? [] : [loginVolume(passwordFrom)]),
          ],
        },
      },
    },
  };
}

const mountOf = ({ mountPath, subPath }: NonNullable<WorkerOrder['volume']>, purpose: Purpose) => ({
  name: 'holdfast-data',
  mountPath,
  ...(purpose === 'look' ? { readOnly: true } : {}),
  ...(subPath === null ? {} : { subPath }),
});

const loginVolume = ({ secret, key }: NonNullable<WorkerOrder['passwordFrom']>) => ({
  name: 'holdfast-login',
  secret: { secretName: secret, items: [{ key, path: basename(passwordFile) }] },
});

const onNode = (node: string) => ({
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] }],
    },
  },
});
