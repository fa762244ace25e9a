import { describe, expect, test } from '@jest/globals';
import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { workloadOf, type FoundSet } from '../../src/kubernetes/statefulset-volume.ts';

const place = { namespace: 'infra', name: 'postgres', secret: 's', dataDirectory: undefined };
const bitnami = {
  name: 'postgresql',
  image: 'bitnamilegacy/postgresql:17.5.0',
  volumeMounts: [
    { name: 'data', mountPath: '/bitnami/postgresql' },
    { name: 'shm', mountPath: '/dev/shm' },
  ],
};
const official = {
  name: 'db',
  image: 'postgres:17',
  env: [{ name: 'PGDATA', value: '/var/lib/postgresql/data/pgdata' }],
  volumeMounts: [{ name: 'data', mountPath: '/var/lib/postgresql/data/' }],
};

interface Wishes {
  readonly container?: object;
  readonly set?: object;
  readonly pod?: object;
  readonly claim?: object | undefined;
  readonly annotations?: Record<string, string>;
}

function statefulSet({ container = bitnami, set = {}, pod = {}, annotations = {} }: Wishes): object {
  return {
    metadata: { name: 'postgres', namespace: 'infra', annotations },
    spec: {
      replicas: 1,
      selector: {},
      template: { spec: { containers: [container], ...pod } },
      volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      ...set,
    },
  };
}

const running: object = { spec: { nodeName: 'node-1', containers: [] } };
const claimOfOne: object = { spec: { accessModes: ['ReadWriteOnce'] } };

const found = (wishes: Wishes = {}, more: Partial<FoundSet> = {}) =>
  workloadOf(place, {
    set: statefulSet(wishes),
    pod: running,
    claim: () =>
      Promise.resolve(('claim' in wishes ? wishes.claim : claimOfOne) as V1PersistentVolumeClaim | undefined),
    liveDirectory: null,
    run: 'a1b2c3d4',
    ...more,
  });

describe('the volume of a StatefulSet', () => {
  test("of Bitnami's is found with the user of its image", async () => {
    expect(await found({ pod: { securityContext: { fsGroup: 1001 } } })).toEqual({
      ...{ namespace: 'infra', name: 'postgres', replicas: 1, claim: 'data-postgres-0' },
      ...{ mountPath: '/bitnami/postgresql', subPath: null, dataDirectory: '/bitnami/postgresql/data' },
      ...{ user: { uid: 1001, gid: 1001 }, fsGroup: 1001, node: 'node-1', leftBy: null },
    });
  });

  test("of Docker's image is found by PGDATA, below where it is mounted", async () => {
    expect(await found({ container: official })).toMatchObject({
      mountPath: '/var/lib/postgresql/data',
      dataDirectory: '/var/lib/postgresql/data/pgdata',
      user: { uid: 999, gid: 999 },
    });
  });

  test('is where the running server says, and a claim that its pods share', async () => {
    const container = {
      ...bitnami,
      image: 'example/database',
      volumeMounts: [{ name: 'v', mountPath: '/d', subPath: 'a' }],
    };
    const pod = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'shared' } }] };
    expect(await found({ container, pod }, { liveDirectory: '/d/17' })).toMatchObject({
      ...{ claim: 'shared', mountPath: '/d', subPath: 'a', dataDirectory: '/d/17', user: null },
    });
  });

  test('remembers how many pods it had before a recovery that did not end in order', async () => {
    const note = (run: string) => ({
      'holdfast/recovery': JSON.stringify({ run, workflowId: 'recover/infra/0', replicas: 1 }),
    });
    const set = { replicas: 0 };
    expect(await found({ set, annotations: note('00000000') })).toMatchObject({
      replicas: 1,
      leftBy: 'recover/infra/0',
    });
    expect(await found({ set, annotations: note('a1b2c3d4') })).toMatchObject({ replicas: 1, leftBy: null });
    expect(await found({ set, annotations: { 'holdfast/recovery': 'garbled' } })).toMatchObject({ replicas: 1 });
  });

  test.each<[string, Wishes, string]>([
    ['has several pods', { set: { replicas: 3 } }, 'has 3 pods'],
    ['has no claim', { claim: undefined }, 'claim infra/data-postgres-0 of StatefulSet infra/postgres is not there'],
    [
      'lets one pod only at its claim',
      { claim: { spec: { accessModes: ['ReadWriteOncePod'] } } },
      'claim infra/data-postgres-0 is ReadWriteOncePod',
    ],
    [
      'has its WAL on another volume',
      {
        container: {
          ...bitnami,
          volumeMounts: [...bitnami.volumeMounts, { name: 'wal', mountPath: '/bitnami/postgresql/data/pg_wal' }],
        },
      },
      'a volume of its own at /bitnami/postgresql/data/pg_wal',
    ],
    ['keeps its data in the pod', { container: { ...bitnami, volumeMounts: [] } }, 'lies on no volume'],
    ['keeps its data in an emptyDir', { set: { volumeClaimTemplates: [] } }, 'is no PersistentVolumeClaim'],
  ])('is refused where it %s', async (_, wishes, message) => {
    await expect(found(wishes)).rejects.toMatchObject({
      type: 'PlanHopeless',
      message: expect.stringContaining(message),
    });
  });

  test('is asked for where nothing says where the data lies', async () => {
    const container = {
      ...bitnami,
      image: 'example/postgres-of-ours',
      volumeMounts: [{ name: 'data', mountPath: '/d' }],
    };
    await expect(found({ container })).rejects.toMatchObject({ type: 'ConfigurationInvalid' });
  });
});
