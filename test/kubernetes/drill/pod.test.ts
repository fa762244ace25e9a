import { describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { patternOfCluster, patternOfStatefulSet } from '../../../src/kubernetes/drill/pattern.ts';
import { drillPod, type DrillPodOrder } from '../../../src/kubernetes/drill/pod.ts';
import { expectGolden } from '../../golden.ts';

const order: DrillPodOrder = {
  name: 'holdfast-drill-1a2b3c4d-1',
  namespace: 'postgres',
  installation: 'jigga',
  policy: 'jigga-daily',
  run: '1a2b3c4d',
  pattern: {
    ...{ image: 'ghcr.io/cloudnative-pg/postgresql:18.1', pullPolicy: 'IfNotPresent', pullSecrets: ['registry'] },
    ...{ uid: 26, gid: 26 },
    nodeSelector: { disk: 'fast' },
    tolerations: [{ key: 'postgres', operator: 'Exists' }],
  },
  isAtHome: true,
  script: 'echo "$HOME" $(date)',
  args: ['-c', 'listen_addresses=*'],
  environment: { VERIFIER: 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy', SUPERUSER: '$(HOSTNAME)' },
  directory: '/drill',
  socketDirectory: '/drill/run',
  port: 5432,
  storage: { bytes: 3 * 1024 ** 3, storageClass: null },
  resources: { requests: { cpu: '100m', memory: '512Mi' }, limits: { memory: '2Gi' } },
  deadlineSeconds: 172_800,
};

describe("a drill's pod", () => {
  test("is the cluster's own image, restricted, with nothing but what the drill needs", () => {
    expectGolden(import.meta.url, 'node-disk.yaml', stringify(drillPod(order)));
  });

  test('has a volume of its own where a storage class is named', () => {
    const storage = { ...order.storage, storageClass: 'fast' };
    expectGolden(import.meta.url, 'own-volume.yaml', stringify(drillPod({ ...order, storage }).spec.volumes));
  });

  test('pulls without the Secrets that another namespace has not', () => {
    expect(drillPod({ ...order, isAtHome: false }).spec.imagePullSecrets).toBeUndefined();
  });
});

describe('what such a pod takes from the cluster that it stands for', () => {
  test('of a Cluster: the image that it runs, its user, where its pods may go', () => {
    expect(patternOfCluster({ spec: {}, status: { image: 'i:17.6' } })).toEqual({
      ...{ image: 'i:17.6', pullPolicy: null, pullSecrets: [], uid: 26, gid: 26 },
      ...{ nodeSelector: {}, tolerations: [] },
    });
    const spec = {
      ...{ postgresUID: 70, postgresGID: 71, imagePullPolicy: 'Always', imagePullSecrets: [{ name: 'r' }, {}] },
      affinity: { nodeSelector: { a: 'b' }, tolerations: [{ key: 'k' }] },
    };
    expect(patternOfCluster({ spec })).toEqual({
      ...{ image: null, pullPolicy: 'Always', pullSecrets: ['r'], uid: 70, gid: 71 },
      ...{ nodeSelector: { a: 'b' }, tolerations: [{ key: 'k' }] },
    });
  });

  const setOf = (pod: object) =>
    patternOfStatefulSet({ spec: { template: { spec: { containers: [{ image: 'p:17' }], ...pod } } } });

  test.each([
    ['nobody in particular', {}, 999, 999],
    ['root, who steps down by himself', { securityContext: { runAsUser: 0 } }, 999, 999],
    ["the pod's", { securityContext: { runAsUser: 1001, runAsGroup: 0 } }, 1001, 0],
    [
      "the container's, before the pod's",
      { securityContext: { runAsUser: 1 }, containers: [{ securityContext: { runAsUser: 70 } }] },
      ...[70, 70],
    ],
  ] as const)('of a StatefulSet the user: %s', (_, pod, uid, gid) => {
    expect(setOf(structuredClone(pod))).toMatchObject({ uid, gid });
  });

  test('of a StatefulSet with helpers beside it the container that listens for PostgreSQL', () => {
    const containers = [
      { image: 'exporter:1', ports: [{ containerPort: 9187 }] },
      { image: 'postgres:17', imagePullPolicy: 'Never', ports: [{ containerPort: 5432 }] },
    ];
    expect(setOf({ containers })).toMatchObject({ image: 'postgres:17', pullPolicy: 'Never' });
  });
});
