import { describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { workerPodName } from '../../../src/domain/workload.ts';
import { workerJob, type WorkerOrder } from '../../../src/kubernetes/worker-pod/job.ts';
import { templateOfConfig, templateOfPod, type WorkerTemplate } from '../../../src/kubernetes/worker-pod/template.ts';
import { expectGolden } from '../../golden.ts';

const order = (more: Partial<WorkerOrder> = {}): WorkerOrder => ({
  namespace: 'infra',
  name: workerPodName('infra', 'a1b2c3d4', 'work'),
  site: 'main',
  installation: 'homelab',
  cluster: 'infra',
  purpose: 'work',
  run: { short: 'a1b2c3d4', workflowId: 'recover/infra/1', firstExecutionRunId: '0198-run' },
  user: { uid: 1001, gid: 1001 },
  fsGroup: 1001,
  node: null,
  volume: { claim: 'data-postgres-0', mountPath: '/bitnami/postgresql', subPath: null },
  passwordFrom: null,
  ...more,
});

const template: WorkerTemplate = templateOfConfig(
  {
    image: 'images.example.org/holdfast:1.2.3',
    pullSecrets: ['registry-login'],
    env: [{ name: 'S3_SECRET', valueFrom: { secretKeyRef: { name: 's3', key: 'secret' } } }],
    volumes: [{ name: 'nas', persistentVolumeClaim: { claimName: 'backups' } }],
    volumeMounts: [{ name: 'nas', mountPath: '/backup' }],
    resources: { requests: { memory: '512Mi' } },
    securityContext: { runAsUser: 1024, runAsGroup: 100 },
  },
  { address: 'temporal.temporal.svc:7233', namespace: 'default' },
);

describe("a worker's pod", () => {
  test.each<[string, Partial<WorkerOrder>]>([
    ['works-on-a-claim', {}],
    [
      'looks-at-a-claim-in-use',
      {
        purpose: 'look',
        name: workerPodName('infra', 'a1b2c3d4', 'look'),
        node: 'node-1',
        user: null,
        fsGroup: null,
        volume: { claim: 'data', mountPath: '/var/lib/postgresql/data', subPath: 'pgdata' },
      },
    ],
    [
      'dumps',
      {
        purpose: 'dump',
        name: workerPodName('infra', 'a1b2c3d4', 'dump'),
        ...{ user: null, fsGroup: null, volume: null },
        passwordFrom: { secret: 'postgres-admin', key: 'postgres-password' },
      },
    ],
  ])('that %s has nothing that it does not need', (name, more) => {
    expectGolden(import.meta.url, `job-${name}.yaml`, stringify(workerJob(order(more), template)));
  });

  test('has a name that a label takes, with what Kubernetes adds, whatever the cluster is called', () => {
    const name = workerPodName(`${'long-'.repeat(12)}abc`, 'a1b2c3d4', 'look');
    expect(`${name}-x7x7x`.length).toBeLessThanOrEqual(63);
    expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    expect(name).not.toContain('--');
  });
});

const ofPod = (pod: object) => templateOfPod(pod);

describe('what it is made of', () => {
  test('is as the configuration says, and Temporal is where the worker has it unless that says another place', () => {
    expect(template.env.map(({ name }) => name)).toEqual(['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'S3_SECRET']);
    const elsewhere = templateOfConfig(
      {
        ...{ image: 'holdfast', pullSecrets: [], volumes: [], volumeMounts: [] },
        env: [{ name: 'TEMPORAL_ADDRESS', value: 'front:7233' }],
      },
      { address: 'localhost:7233', namespace: 'prod' },
    );
    expect(elsewhere.env).toEqual([
      { name: 'TEMPORAL_NAMESPACE', value: 'prod' },
      { name: 'TEMPORAL_ADDRESS', value: 'front:7233' },
    ]);
  });

  test("is as the worker's own pod is, without its token, its configuration and its room to work in", () => {
    const mount = (name: string, mountPath: string) => ({ name, mountPath });
    expect(
      ofPod({
        metadata: { name: 'holdfast-main-x', namespace: 'infra' },
        spec: {
          imagePullSecrets: [{ name: 'registry-login' }],
          securityContext: { runAsUser: 10001, fsGroup: 10001 },
          containers: [
            { name: 'proxy', image: 'mesh' },
            {
              name: 'worker',
              image: 'holdfast:1.2.3',
              env: [
                { name: 'TEMPORAL_ADDRESS', value: 'temporal:7233' },
                { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              ],
              volumeMounts: [
                mount('config', '/etc/holdfast'),
                mount('instances', '/instances'),
                mount('nas', '/backup'),
                mount('secret-s3', '/var/run/secrets/holdfast/s3'),
                mount('token', '/var/run/secrets/kubernetes.io/serviceaccount'),
              ],
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: 'holdfast' } },
            { name: 'instances', persistentVolumeClaim: { claimName: 'instances' } },
            { name: 'nas', persistentVolumeClaim: { claimName: 'backups' } },
            { name: 'secret-s3', secret: { secretName: 's3' } },
            { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
          ],
        },
      }),
    ).toEqual({
      image: 'holdfast:1.2.3',
      pullSecrets: ['registry-login'],
      env: [{ name: 'TEMPORAL_ADDRESS', value: 'temporal:7233' }],
      envFrom: [],
      volumes: [
        { name: 'nas', persistentVolumeClaim: { claimName: 'backups' } },
        { name: 'secret-s3', secret: { secretName: 's3' } },
      ],
      volumeMounts: [mount('nas', '/backup'), mount('secret-s3', '/var/run/secrets/holdfast/s3')],
      resources: undefined,
      security: { runAsUser: 10001, fsGroup: 10001 },
    });
  });

  test('is nothing where the pod has no container', () => {
    expect(() => ofPod({ metadata: { name: 'x', namespace: 'y' }, spec: { containers: [] } })).toThrow(
      'pod y/x has no container named worker',
    );
  });
});
