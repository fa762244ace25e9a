import type { V1Pod } from '@kubernetes/client-node';
import type { Kubernetes, Namespace } from '../../../parts/kubernetes.ts';

export interface SizedVolume {
  /** Removes its namespace, too: until then somebody may use it. */
  remove(): Promise<void>;
}

const pods = { apiVersion: 'v1', kind: 'Pod' } as const;

/**
 * A claim whose volume is really as large as it says, and no larger: memory that a pod mounts on its node. (What a
 * local-path provisioner makes has the room of the node's disk, whatever was asked for.) It belongs to root, as a new
 * volume does.
 */
export async function makeSizedVolume(
  kubernetes: Pick<Kubernetes, 'image'>,
  namespace: Namespace,
  { claim, size }: { readonly claim: string; readonly size: string },
): Promise<SizedVolume> {
  const name = `${namespace.name}-${claim}`;
  const path = '/run/holdfast-test';
  const bytes = String(Number.parseInt(size, 10) * 1024 ** 3);
  const holder = `holds-${claim}`;
  const hold = [
    'volume=/node/$1; mkdir -p "$volume" && mount -t tmpfs -o mode=0755,size="$2" holdfast-test "$volume" || exit 1',
    // The node would keep the mount when its pod goes.
    'trap \'umount --lazy "$volume"; rmdir "$volume"; exit 0\' TERM',
    'while :; do sleep 1 & wait $!; done',
  ].join('\n');
  await namespace.apply([
    {
      ...pods,
      metadata: { name: holder },
      spec: {
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: 'holder',
            image: kubernetes.image('postgresql-17'),
            command: ['bash', '-c', hold, 'hold', name, bytes],
            securityContext: { privileged: true, runAsUser: 0 },
            readinessProbe: { exec: { command: ['mountpoint', '-q', `/node/${name}`] }, periodSeconds: 1 },
            volumeMounts: [{ name: 'node', mountPath: '/node', mountPropagation: 'Bidirectional' }],
          },
        ],
        volumes: [{ name: 'node', hostPath: { path, type: 'DirectoryOrCreate' } }],
      },
    },
  ]);
  const { spec } = await namespace.waitUntil<V1Pod>(
    { ...pods, name: holder },
    ({ status }) =>
      status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') === true,
    { what: 'it has mounted the volume' },
  );
  const volume = { apiVersion: 'v1', kind: 'PersistentVolume', name } as const;
  const storage = { accessModes: ['ReadWriteOnce'], storageClassName: '' };
  const onNode = { key: 'metadata.name', operator: 'In', values: [spec?.nodeName ?? ''] };
  await namespace.apply([
    {
      apiVersion: volume.apiVersion,
      kind: volume.kind,
      metadata: { name },
      spec: {
        ...storage,
        capacity: { storage: size },
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path: `${path}/${name}` },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchFields: [onNode] }] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claim },
      spec: { ...storage, volumeName: name, resources: { requests: { storage: size } } },
    },
  ]);
  return {
    async remove() {
      await namespace.delete({ ...pods, name: holder });
      await namespace.remove();
      await namespace.delete(volume);
    },
  };
}
