import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  AuthorizationV1Api,
  CoreV1Api,
  V1SubjectAccessReview,
  V1SubjectAccessReviewSpec,
  type V1Pod,
} from '@kubernetes/client-node';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startTemporalServer, type TemporalServer } from '../../../parts/temporal-server.ts';
import { messageOf } from '../../../src/domain/errors.ts';
import { chart, kustomize, objectsIn } from '../../charts/rendering.ts';
import { findChartProgram } from '../../../scripts/setup/chart-programs.mjs';
import { untilProgress } from '../runs.ts';
import { ask, plainPostgres } from './plain-postgres.ts';
import { serveToPods, type ServedToPods } from './serve-to-pods.ts';

const kubernetes = openKubernetes();
const run = promisify(execFile);
const password = "it's no secret";
const release = 'backups';
const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', name: `${release}-holdfast-main` };

let workers: Namespace;
let databases: Namespace;
let temporal: TemporalServer;
let front: ServedToPods;
let connection: Connection;
let directory: string;
let image: string;

/** An error tells what the workers have said last, which Helm doesn't. */
async function helm(...args: readonly string[]): Promise<string> {
  const where = ['--kubeconfig', kubernetes.kubeconfigFile, '--namespace', workers.name];
  const env = { ...process.env, HELM_CACHE_HOME: directory, HELM_CONFIG_HOME: directory, HELM_DATA_HOME: directory };
  try {
    return (await run(findChartProgram('helm'), [...args, ...where], { env })).stdout;
  } catch (error) {
    const core = kubernetes.config.makeApiClient(CoreV1Api);
    const said = (await pods()).map(({ metadata }) =>
      core.readNamespacedPodLog({ name: metadata?.name ?? '', namespace: workers.name, tailLines: 10 }),
    );
    throw new Error(`${messageOf(error)}\n${(await Promise.all(said)).join('\n')}`, { cause: error });
  }
}

interface Changes {
  readonly worker?: object;
  readonly policies?: object;
}

/** What a user's own values file says. */
function valuesFile({ worker = {}, policies = {} }: Changes = {}): string {
  const [repository, tag] = splitImage(image);
  const daily = { cluster: 'shop', method: 'pg_dumpall', repository: 'disk', schedule: '0 2 * * *' };
  const values = {
    image: { repository, tag },
    temporal: { address: front.address },
    worker: {
      graceSeconds: 5,
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '1Gi' } },
      ...worker,
    },
    apply: { resources: { requests: { cpu: '10m', memory: '64Mi' } } },
    directories: { disk: { mountPath: '/backup', newClaim: { size: '1Gi', storageClass: kubernetes.storageClass } } },
    config: {
      installation: 'chart',
      repositories: { disk: { directory: '/backup' } },
      clusters: {
        shop: { statefulset: { namespace: databases.name, name: 'shop', secret: 'shop' }, drill: { on: 'worker' } },
      },
      policies: { 'shop-daily': daily, ...policies },
    },
    networkPolicy: { enabled: true, ports: [5432, 443, 6443] },
  };
  const file = join(directory, 'values.json');
  writeFileSync(file, JSON.stringify(values));
  return file;
}

function splitImage(reference: string): readonly [string, string] {
  const colon = reference.lastIndexOf(':');
  return [reference.slice(0, colon), reference.slice(colon + 1)];
}

async function pods(): Promise<readonly V1Pod[]> {
  const all = await workers.list<V1Pod>({
    apiVersion: 'v1',
    kind: 'Pod',
    labels: `app.kubernetes.io/instance=${release},app.kubernetes.io/component=worker`,
  });
  return all.filter(({ metadata, status }) => metadata?.deletionTimestamp === undefined && status?.phase === 'Running');
}

async function inPod(...command: readonly string[]) {
  const [pod] = await pods();
  return await workers.exec({ pod: pod?.metadata?.name ?? '', container: 'worker', command });
}

/** What the command says; an error where it fails. */
async function holdfast(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await inPod('holdfast', ...args);
  if (code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${String(code)}:\n${stdout}${stderr}`);
  return stdout;
}

async function schedules(): Promise<readonly string[]> {
  const client = new Client({ connection });
  const found: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) found.push(scheduleId);
  return found.sort();
}

interface Question {
  readonly verb: string;
  readonly resource: string;
  readonly group?: string;
  readonly name?: string;
  readonly subresource?: string;
  readonly namespace?: string;
}

/** As `kubectl auth can-i` asks, in the name of the worker's ServiceAccount. */
async function may({ namespace = databases.name, ...question }: Question): Promise<boolean> {
  const account = `${workers.name}:${deployment.name}`;
  const body = Object.assign(new V1SubjectAccessReview(), {
    spec: Object.assign(new V1SubjectAccessReviewSpec(), {
      user: `system:serviceaccount:${account}`,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${workers.name}`, 'system:authenticated'],
      resourceAttributes: { namespace, ...question },
    }),
  });
  const { status } = await kubernetes.config.makeApiClient(AuthorizationV1Api).createSubjectAccessReview({ body });
  return status?.allowed ?? false;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-chart-'));
  image = kubernetes.image('worker');
  workers = await kubernetes.makeNamespace('chart');
  databases = await kubernetes.makeNamespace('chart-db');
  temporal = await startTemporalServer();
  front = await serveToPods(temporal.address, kubernetes.s3.endpoint);
  connection = await Connection.connect({ address: temporal.address });
  // Pods that need more than the strictest standard allows would be refused.
  await workers.apply([
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: workers.name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
  ]);
  await databases.apply(plainPostgres(kubernetes, 'shop', { layout: 'docker', major: 17, password }));
  await databases.waitUntil(
    { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'shop' },
    (seen: Seen) => seen.status?.['readyReplicas'] === 1,
    { what: 'its pod is ready' },
  );
  const login = { user: 'postgres', password, database: 'postgres' };
  const host = `shop.${databases.name}.svc`;
  await ask(host, login, 'CREATE DATABASE orders');
  await ask(host, { ...login, database: 'orders' }, 'CREATE TABLE sold AS SELECT generate_series(1, 1000) AS id');
});

afterAll(async () => {
  await connection.close();
  await Promise.all([workers.remove(), databases.remove()]);
  front.server.close();
  await temporal.stop();
  rmSync(directory, { recursive: true });
});

describe('the chart', () => {
  let said: string;
  beforeAll(async () => {
    said = await helm('install', release, chart, '--wait', '--timeout', '3m', '--values', valuesFile());
  });

  test('installs workers that become ready, and schedules that follow the configuration', async () => {
    expect(said).toContain('repositories init disk');
    expect((await pods()).map(({ spec }) => spec?.serviceAccountName)).toEqual([deployment.name]);
    expect(await schedules()).toEqual(['chart/shop-daily']);
  });

  test('runs them as nobody in particular, on a root that nobody writes to', async () => {
    expect((await inPod('id', '--user')).stdout.trim()).toBe('10001');
    expect(await inPod('touch', '/opt/holdfast/x')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Read-only file system'),
    });
    expect(await inPod('cat', '/proc/1/comm')).toMatchObject({ stdout: 'tini\n' });
  });

  test('lets them back up a StatefulSet, and prove by a drill that the backup restores', async () => {
    await holdfast('repositories', 'init', 'disk');
    await holdfast('backup', 'shop-daily');
    expect(await holdfast('drill', 'shop-daily')).toContain('passed');
  });

  test('gives them the rights that their configuration needs, and no others', async () => {
    const secret = { verb: 'get', resource: 'secrets', name: 'shop' };
    expect(await may(secret)).toBe(true);
    expect(await may({ verb: 'get', resource: 'statefulsets', group: 'apps', name: 'shop' })).toBe(true);
    const refused: readonly Question[] = [
      { ...secret, name: 'another' },
      { ...secret, namespace: workers.name },
      { ...secret, namespace: 'default' },
      { ...secret, verb: 'update' },
      { ...secret, verb: 'delete' },
      { verb: 'list', resource: 'secrets' },
      { verb: 'watch', resource: 'secrets' },
      { verb: 'patch', resource: 'statefulsets', group: 'apps', name: 'shop' },
      { verb: 'list', resource: 'statefulsets', group: 'apps' },
      { verb: 'create', resource: 'pods', subresource: 'exec' },
      { verb: 'get', resource: 'pods', subresource: 'exec' },
      { verb: 'create', resource: 'pods' },
      { verb: 'list', resource: 'pods' },
      { verb: 'get', resource: 'clusters', group: 'postgresql.cnpg.io', name: 'shop' },
      { verb: 'list', resource: 'namespaces' },
      { verb: 'create', resource: 'roles', group: 'rbac.authorization.k8s.io' },
    ];
    const granted: Question[] = [];
    for (const question of refused) if (await may(question)) granted.push(question);
    expect(granted).toEqual([]);
  });

  test('is upgraded with other values while a restore waits for a person, and the new worker finishes that', async () => {
    const client = new Client({ connection });
    const handle = await client.workflow.start('restore', {
      workflowId: 'restore-orders',
      taskQueue: 'holdfast',
      args: [{ cluster: 'shop', database: 'orders' }],
    });
    await untilProgress(handle, ({ waitingFor }) => waitingFor === 'decision');
    const [before] = await pods();

    const another = { cluster: 'shop', method: 'pg_dump', repository: 'disk', schedule: '0 4 * * *' };
    const changes = { worker: { slots: 3 }, policies: { 'shop-archives': another } };
    await helm('upgrade', release, chart, '--wait', '--timeout', '3m', '--values', valuesFile(changes));
    expect(await schedules()).toEqual(['chart/shop-archives', 'chart/shop-daily']);
    await workers.waitUntil(deployment, (seen) => seen.status?.['replicas'] === 1, { what: 'the old pod is gone' });
    const [after] = await pods();
    expect(after?.metadata?.uid).not.toBe(before?.metadata?.uid);
    expect(after?.spec?.containers[0]?.args).toContain('--slots=3');

    const person = { by: 'alice', reason: 'the report is good' };
    await handle.signal('approve', person);
    await untilProgress(handle, ({ waitingFor }) => waitingFor === 'follow-up');
    await handle.signal('release', person);
    expect(await handle.result()).toMatchObject({ outcome: 'released', database: 'orders' });
  });

  test('is uninstalled with nothing left but the claim that holds the backups', async () => {
    await helm('uninstall', release, '--wait', '--timeout', '3m');
    const kinds = {
      v1: ['Pod', 'ConfigMap', 'Secret', 'Service', 'ServiceAccount', 'PersistentVolumeClaim'],
      'apps/v1': ['Deployment', 'ReplicaSet'],
      'batch/v1': ['Job'],
      'networking.k8s.io/v1': ['NetworkPolicy'],
      'rbac.authorization.k8s.io/v1': ['Role', 'RoleBinding'],
    };
    // Helm waits for Deployments, not for their pods.
    for (const { metadata } of await workers.list<V1Pod>({ apiVersion: 'v1', kind: 'Pod' }))
      await workers.delete({ apiVersion: 'v1', kind: 'Pod', name: metadata?.name ?? '' });
    const left: string[] = [];
    for (const [apiVersion, names] of Object.entries(kinds))
      for (const kind of names)
        for (const namespace of [workers, databases])
          for (const { metadata } of await namespace.list({ apiVersion, kind }))
            if (metadata?.name?.includes(release) === true) left.push(`${kind} ${metadata.name}`);
    expect(left).toEqual([`PersistentVolumeClaim ${release}-holdfast-disk`]);
  });
});

describe.each(['overlays/dev', 'overlays/prod'])('the kustomization %s', (name) => {
  test('is taken by the API server as it is', async () => {
    const objects = objectsIn(kustomize(name))
      // No operator of Prometheus is here.
      .filter(({ kind }) => !['PodMonitor', 'PrometheusRule', 'Namespace'].includes(kind))
      .map((object) => {
        const { namespace } = object.metadata;
        if (namespace === undefined) return object;
        const ours = namespace === 'holdfast' ? workers.name : databases.name;
        return { ...object, metadata: { ...object.metadata, namespace: ours } };
      });
    const file = join(directory, 'objects.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    const args = ['apply', '--dry-run=server', '--server-side', '--kubeconfig', kubernetes.kubeconfigFile, '-f', file];
    const { stdout, stderr } = await run('kubectl', args);
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toHaveLength(objects.length);
  });
});
