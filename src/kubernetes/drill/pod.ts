import { labels } from '../cnpg/backup.ts';
import type { PodPattern } from './pattern.ts';

/** What a drill's pod is made of. Nothing in it is secret: whoever may read pods reads it. */
export interface DrillPodOrder {
  readonly name: string;
  readonly namespace: string;
  readonly installation: string;
  readonly policy: string;
  /** Short id of the run. */
  readonly run: string;
  readonly pattern: PodPattern;
  /** Whether the pattern's pull secrets are in this namespace. */
  readonly isAtHome: boolean;
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where the server's files go; a volume of its own. */
  readonly directory: string;
  readonly socketDirectory: string;
  readonly port: number;
  /** null: the node's own disk. */
  readonly storage: { readonly bytes: number; readonly storageClass: string | null };
  readonly resources: PodResources;
  /** Kubernetes ends it then, whatever it does. */
  readonly deadlineSeconds: number;
}

export interface PodResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** What NetworkPolicies find such pods by. */
export const drillPodName = 'holdfast-drill';
const container = 'postgres';
const passwd = 'holdfast/passwd';

export const drillLabels = (installation: string) => ({
  'app.kubernetes.io/name': drillPodName,
  'app.kubernetes.io/managed-by': 'holdfast',
  [labels.installation]: installation,
});

/**
 * A pod with one container of the cluster's own image, that fits into a namespace with the restricted Pod Security
 * Standard. Its user gets a line in a passwd file, which initdb insists on and not every image has. Pure.
 */
export function drillPod(order: DrillPodOrder) {
  const { pattern, directory, storage } = order;
  const { uid, gid } = pattern;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: order.name,
      namespace: order.namespace,
      labels: {
        ...drillLabels(order.installation),
        [labels.policy]: order.policy,
        [labels.run]: order.run,
      },
      annotations: {
        [passwd]: `root:x:0:0:root:/:/sbin/nologin\npostgres:x:${String(uid)}:${String(gid)}:postgres:${directory}:/bin/sh\n`,
      },
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: order.deadlineSeconds,
      terminationGracePeriodSeconds: 5,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        ...{ runAsUser: uid, runAsGroup: gid, fsGroup: gid },
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(order.isAtHome && pattern.pullSecrets.length > 0
        ? { imagePullSecrets: pattern.pullSecrets.map((name) => ({ name })) }
        : {}),
      nodeSelector: { ...pattern.nodeSelector },
      tolerations: pattern.tolerations.map((toleration) => ({ ...toleration })),
      containers: [
        {
          name: container,
          image: pattern.image,
          ...(pattern.pullPolicy === null ? {} : { imagePullPolicy: pattern.pullPolicy }),
          command: ['/bin/sh', '-c', literal(order.script), drillPodName],
          args: order.args.map(literal),
          env: Object.entries(order.environment).map(([name, value]) => ({ name, value: literal(value) })),
          ports: [{ name: 'postgresql', containerPort: order.port, protocol: 'TCP' }],
          // By the socket: a connection over the network would count as somebody's.
          readinessProbe: {
            exec: { command: ['pg_isready', '-q', '-h', order.socketDirectory, '-p', String(order.port)] },
            periodSeconds: 1,
            timeoutSeconds: 5,
          },
          resources: {
            requests: { ...order.resources.requests, ...diskRequest(storage) },
            limits: { ...order.resources.limits },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          // The end of what it said, where it fails: nobody has to be allowed to read logs.
          terminationMessagePolicy: 'FallbackToLogsOnError',
          volumeMounts: [
            { name: 'data', mountPath: directory },
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'shm', mountPath: '/dev/shm' },
            { name: 'passwd', mountPath: '/etc/passwd', subPath: 'passwd', readOnly: true },
          ],
        },
      ],
      volumes: [
        { name: 'data', ...dataVolume(storage) },
        { name: 'tmp', emptyDir: { sizeLimit: '1Gi' } },
        { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '256Mi' } },
        {
          name: 'passwd',
          downwardAPI: {
            items: [{ path: 'passwd', fieldRef: { fieldPath: `metadata.annotations['${passwd}']` } }],
          },
        },
      ],
    },
  };
}

/** Kubernetes would put variables into what looks like $(NAME). */
const literal = (text: string) => text.replaceAll('$', '$$$$');

/** The scheduler looks for a node that has so much; a volume of its own is found by its claim. */
const diskRequest = ({ bytes, storageClass }: DrillPodOrder['storage']): Readonly<Record<string, string>> =>
  storageClass === null ? { 'ephemeral-storage': String(bytes) } : {};

function dataVolume({ bytes, storageClass }: DrillPodOrder['storage']) {
  if (storageClass === null) return { emptyDir: { sizeLimit: String(bytes) } };
  const spec = {
    accessModes: ['ReadWriteOnce'],
    storageClassName: storageClass,
    resources: { requests: { storage: String(bytes) } },
  };
  return { ephemeral: { volumeClaimTemplate: { spec } } };
}
