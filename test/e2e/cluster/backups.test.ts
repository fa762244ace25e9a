import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import type { BackupResult, CnpgBackupResult } from '../../../src/workflows/backup.ts';
import { failureOf, start } from '../runs.ts';
import { plainPostgres } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const password = "it's no secret";
const backups = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Backup' } as const;

describe('clusters in Kubernetes', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('backups'),
      startWorld(),
      kubernetes.s3.makeBucket('backups'),
    ]);
    const { endpoint, accessKeyId, secretAccessKey } = kubernetes.s3;
    await namespace.apply([
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 's3' },
        stringData: { ACCESS_KEY_ID: accessKeyId, ACCESS_SECRET_KEY: secretAccessKey },
      },
      {
        apiVersion: 'postgresql.cnpg.io/v1',
        kind: 'Cluster',
        metadata: { name: 'logto' },
        spec: {
          instances: 1,
          imageName: kubernetes.image('postgresql-17'),
          enableSuperuserAccess: true,
          storage: { size: '1Gi' },
          backup: {
            retentionPolicy: '30d',
            barmanObjectStore: {
              destinationPath: `s3://${bucket.name}/`,
              endpointURL: endpoint,
              s3Credentials: {
                accessKeyId: { name: 's3', key: 'ACCESS_KEY_ID' },
                secretAccessKey: { name: 's3', key: 'ACCESS_SECRET_KEY' },
              },
            },
          },
        },
      },
      ...plainPostgres(kubernetes, 'infra', {
        layout: 'docker',
        major: 17,
        password,
        environment: { POSTGRES_USER: 'admin' },
      }),
    ]);
    await namespace.waitUntilHealthy('logto');
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'infra' },
      ({ status }: Seen) => status?.['readyReplicas'] === 1,
      { what: 'its pod is ready' },
    );
    const fill = 'CREATE TABLE kept AS SELECT n, md5(n::text) AS t FROM generate_series(1, 5000) n';
    await namespace.psql({ pod: 'logto-1', database: 'app', sql: fill });
    await namespace.psql({ pod: 'infra-0', container: 'postgresql', user: 'admin', database: 'admin', sql: fill });
    const at = namespace.name;
    const found = findPostgres(17);
    await world.configure({
      clusters: {
        logto: { cnpg: { namespace: at, name: 'logto' } },
        infra: {
          statefulset: { namespace: at, name: 'infra', secret: 'infra', user: 'admin' },
        },
      },
      policies: {
        'logto-daily': { cluster: 'logto', method: 'cnpg', window: '30d' },
        'logto-snapshot': { cluster: 'logto', method: 'cnpg', cnpg: { method: 'volumeSnapshot' } },
        'logto-dump': { cluster: 'logto', method: 'pg_dumpall', repository: 'nas' },
        'infra-dump': { cluster: 'infra', method: 'pg_dump', repository: 'nas' },
      },
      ...(found === undefined ? {} : { tools: { postgres: { '17': found.binDir } } }),
    });
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  const serve = (failpoints?: string) =>
    world.startWorker({
      environment: { KUBECONFIG: kubernetes.kubeconfigFile },
      ...(failpoints === undefined ? {} : { failpoints }),
    });
  const ofPolicy = (policy: string) => namespace.list({ ...backups, labels: `holdfast/policy=${policy}` });

  test('a Backup that a killed worker asked for is watched to its end by another, and is the only one', async () => {
    const doomed = await serve('cnpg:created=kill');
    const run = await start(world, 'backup', { policy: 'logto-daily' });
    await doomed.ended();
    await serve();
    const result = (await run.result()) as CnpgBackupResult;
    expect(result).toMatchObject({
      name: expect.stringMatching(/^logto-daily-\d{8}-\d{6}$/),
      method: 'barmanObjectStore',
      beginWal: expect.stringMatching(/^[0-9A-F]{24}$/),
      endWal: expect.stringMatching(/^[0-9A-F]{24}$/),
      instance: expect.stringMatching(/^logto-\d$/),
      pruned: [],
    });
    expect((await ofPolicy('logto-daily')).map(({ metadata }) => metadata?.name)).toEqual([result.name]);
  });

  test('whose way the Cluster has not is refused before anything is asked for', async () => {
    const run = await start(world, 'backup', { policy: 'logto-snapshot' });
    expect(await failureOf(run)).toMatchObject({
      type: 'ConfigurationInvalid',
      message: expect.stringContaining('not set up for volumeSnapshot; it has barmanObjectStore'),
    });
    expect(await ofPolicy('logto-snapshot')).toEqual([]);
  });

  test.each([
    ['logto-dump', 'logto', 'app'],
    ['infra-dump', 'infra', 'admin'],
  ])('a dump by policy %s over the network restores with every row', async (policy, cluster, database) => {
    const taken = (await (await start(world, 'backup', { policy })).result()) as BackupResult;
    expect(taken).toMatchObject({ status: 'complete' });
    const restore = await start(world, 'restore', { cluster, backup: taken.id, database, into: 'again' });
    expect(await restore.result()).toMatchObject({ outcome: 'created' });
    const inPod = cluster === 'logto' ? { pod: 'logto-1' } : { pod: 'infra-0', container: 'postgresql', user: 'admin' };
    const sum = 'SELECT count(*), sum(hashtext(t)) FROM kept';
    expect(await namespace.psql({ ...inPod, database: 'again', sql: sum })).toBe(
      await namespace.psql({ ...inPod, database, sql: sum }),
    );
  });

  test('no password is in what Temporal remembers of the runs', async () => {
    const { password: superuser = '' } = await namespace.secret('logto-superuser');
    for await (const { workflowId } of world.client.workflow.list()) {
      const history = JSON.stringify(await world.client.workflow.getHandle(workflowId).fetchHistory());
      expect(history).not.toContain(superuser);
      expect(history).not.toContain(password);
    }
  });
});
