import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import type { BackupResult } from '../../../src/workflows/backup.ts';
import { backUp, failureOf, start } from '../runs.ts';
import { ask, plainPostgres } from './plain-postgres.ts';
import { serveToPods, type ServedToPods } from './serve-to-pods.ts';
import { storeForPods, storeKeys } from './store-for-pods.ts';

const kubernetes = openKubernetes();
const password = "it's no secret";
const jobs = { apiVersion: 'batch/v1', kind: 'Job' } as const;
/** Its name leads to the pod itself. */
const headless = (service: object | undefined) => ({
  ...service,
  spec: { ...(service as { readonly spec: object }).spec, clusterIP: 'None' },
});
const sum = 'SELECT count(*), sum(hashtext(t)) FROM kept';

describe('a dump by a pod beside a database that no worker reaches', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  let front: ServedToPods;
  let spare: PostgresServer;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('in-pod'),
      startWorld(),
      kubernetes.s3.makeBucket('in-pod'),
    ]);
    front = await serveToPods(world.temporal.address, kubernetes.s3.endpoint);
    const [, service, set] = plainPostgres(kubernetes, 'infra', { layout: 'docker', major: 17, password });
    await namespace.apply([
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'infra' },
        // A name that only pods of this namespace complete.
        stringData: { 'postgres-password': password, POSTGRES_HOST: 'infra-0.infra' },
      },
      headless(service),
      set ?? {},
      storeKeys(kubernetes),
      {
        apiVersion: 'postgresql.cnpg.io/v1',
        kind: 'Cluster',
        metadata: { name: 'shop' },
        spec: {
          instances: 1,
          imageName: kubernetes.image('postgresql-17'),
          enableSuperuserAccess: true,
          storage: { size: '1Gi' },
        },
      },
    ]);
    spare = await world.addPostgres('spare', { major: 17 });
    await namespace.waitUntilHealthy('shop');
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'infra' },
      ({ status }: Seen) => status?.['readyReplicas'] === 1,
      { what: 'its pod is ready' },
    );
    const fill = 'CREATE TABLE kept AS SELECT n, md5(n::text) AS t FROM generate_series(1, 50000) n';
    await infra("CREATE DATABASE app TEMPLATE template0 LOCALE 'C'", 'postgres');
    await Promise.all([infra(fill), namespace.psql({ pod: 'shop-1', database: 'app', sql: fill })]);
    await lockOut();
    const { store, workerPod } = storeForPods(kubernetes, world, { bucket: bucket.name, temporal: front });
    const statefulset = { namespace: namespace.name, name: 'infra', secret: 'infra' };
    const cnpg = { namespace: namespace.name, name: 'shop' };
    const policy = { method: 'pg_dumpall', repository: 'store' };
    await world.configure({
      repositories: {
        nas: { directory: world.repository },
        store,
      },
      clusters: {
        spare: {
          server: {
            ...{ host: spare.host, port: spare.port, user: spare.user, sslmode: 'disable' },
            password: { env: 'SPARE' },
          },
        },
        infra: { statefulset, backup: { on: 'pod' } },
        shop: { cnpg, backup: { on: 'pod' } },
        'infra-far': { statefulset },
        'shop-far': { cnpg },
      },
      policies: {
        infra: { ...policy, cluster: 'infra' },
        archives: { ...policy, cluster: 'infra', method: 'pg_dump', format: 'directory' },
        shop: { ...policy, cluster: 'shop' },
        'infra-far': { ...policy, cluster: 'infra-far' },
        'shop-far': { ...policy, cluster: 'shop-far' },
      },
      kubernetes: { workerPod },
    });
    expect(await world.holdfast('repositories', 'init', 'store')).toMatchObject({ code: 0 });
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile, SPARE: spare.password } });
  });
  afterAll(async () => {
    await world.stop();
    front.server.close();
    await namespace.remove();
    await bucket.remove();
  });
  afterEach(async () => {
    await release();
  });

  const infra = (sql: string, database = 'app') =>
    namespace.psql({ pod: 'infra-0', container: 'postgresql', user: 'postgres', database, sql });

  /** The Cluster lets everybody in but whom this process, and so the worker, comes as. */
  async function lockOut(): Promise<void> {
    const { password: superuser = '' } = await namespace.secret('shop-superuser');
    const login = { user: 'postgres', password: superuser, database: 'postgres' };
    const host = `shop-rw.${namespace.name}.svc`;
    const [here] = await ask<{ readonly address: string }>(host, login, 'SELECT host(inet_client_addr()) AS address');
    await namespace.apply([
      {
        apiVersion: 'postgresql.cnpg.io/v1',
        kind: 'Cluster',
        metadata: { name: 'shop' },
        spec: {
          instances: 1,
          imageName: kubernetes.image('postgresql-17'),
          enableSuperuserAccess: true,
          storage: { size: '1Gi' },
          postgresql: { pg_hba: [`host all all ${here?.address ?? ''}/32 reject`] },
        },
      },
    ]);
    while (
      await ask(host, login, 'SELECT 1').then(
        () => true,
        () => false,
      )
    )
      await sleep(200);
  }

  /** Until released, whatever dumps the table waits. */
  async function hold(): Promise<void> {
    void infra('BEGIN; LOCK TABLE kept; SELECT pg_sleep(900)').catch(() => undefined);
    await untilInfra(`SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted`, '1');
  }
  const release = () =>
    infra(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(900)%' AND pid <> pg_backend_pid()`,
    );
  const untilDumping = () =>
    untilInfra(`SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'`, 't');
  async function untilInfra(sql: string, answer: string): Promise<void> {
    while ((await infra(sql)) !== answer) await sleep(200);
  }

  const pods = () =>
    namespace.list({ apiVersion: 'v1', kind: 'Pod', labels: 'app.kubernetes.io/component=worker-pod' });
  async function expectNothingLeft(): Promise<void> {
    expect(await namespace.list(jobs)).toEqual([]);
    expect(await pods()).toEqual([]);
  }

  let copies = 0;
  async function expectRows(cluster: string, { id }: BackupResult, rows: string): Promise<void> {
    copies += 1;
    const into = `again_${String(copies)}`;
    const onto = { onto: 'spare', into, missingRoles: 'create' };
    const restore = await start(world, 'restore', { cluster, backup: id, database: 'app', ...onto });
    expect(await restore.result()).toMatchObject({ outcome: 'created' });
    expect(await spare.psql(into, sum)).toBe(rows);
  }

  test.each(['infra-far', 'shop-far'])('is needed: by the network %s fails', async (policy) => {
    expect((await failureOf(await start(world, 'backup', { policy }))).type).toMatch(/^Postgres/);
  });

  test.each(['infra', 'archives'])('restores with every row, and leaves nothing behind: policy %s', async (policy) => {
    const taken = await backUp(world, policy);
    expect(taken).toMatchObject({ status: 'complete' });
    await expectNothingLeft();
    await expectRows('infra', taken, await infra(sum));
  });

  test('restores a cluster of CloudNativePG with every row', async () => {
    const taken = await backUp(world, 'shop');
    await expectNothingLeft();
    await expectRows('shop', taken, await namespace.psql({ pod: 'shop-1', database: 'app', sql: sum }));
  });

  test('begins anew in another pod where its own is deleted in the middle', async () => {
    await hold();
    const run = await start(world, 'backup', { policy: 'infra' });
    await untilDumping();
    const [first] = await pods();
    await namespace.delete({ apiVersion: 'v1', kind: 'Pod', name: first?.metadata?.name ?? '' });
    await untilDumping();
    const second = (await pods()).map(({ metadata }) => metadata?.uid);
    expect(second).toEqual([expect.any(String)]);
    expect(second).not.toEqual([first?.metadata?.uid]);
    await release();
    const taken = (await run.result()) as BackupResult;
    await expectNothingLeft();
    await expectRows('infra', taken, await infra(sum));
    expect(await unfinishedUploads()).toEqual([]);
  });

  test('leaves no pod where the run is cancelled', async () => {
    await hold();
    const run = await start(world, 'backup', { policy: 'infra' });
    await untilDumping();
    await run.cancel();
    await ended(run);
    await expectNothingLeft();
    await untilInfra(`SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast backup %'`, '0');
  });

  test('of a run that was terminated is swept by the next one', async () => {
    await hold();
    const run = await start(world, 'backup', { policy: 'infra' });
    await untilDumping();
    await run.terminate('out of patience');
    expect(await namespace.list(jobs)).toHaveLength(1);
    await release();
    expect(await backUp(world, 'infra')).toMatchObject({ status: 'complete' });
    await expectNothingLeft();
  });

  test('leaves no password in what Temporal remembers, nor in the Job', async () => {
    for await (const { workflowId } of world.client.workflow.list()) {
      const history = JSON.stringify(await world.client.workflow.getHandle(workflowId).fetchHistory());
      expect(history).not.toContain(password);
      expect(history).not.toContain(Buffer.from(password).toString('base64'));
    }
  });

  const ended = (run: WorkflowHandle) => run.result().catch(() => undefined);

  async function unfinishedUploads(): Promise<readonly unknown[]> {
    const client = kubernetes.s3.client();
    const { Uploads = [] } = await client.listMultipartUploads({ Bucket: bucket.name });
    client.destroy();
    return Uploads;
  }
});
