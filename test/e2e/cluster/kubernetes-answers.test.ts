import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { startKubernetesFront, type KubernetesFront } from '../../../parts/kubernetes-front.ts';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { startWorld, type WorkerProcess, type World } from '../../../parts/world.ts';
import type { CnpgBackupResult } from '../../../src/workflows/backup.ts';
import { failureOf, start } from '../runs.ts';
import { cnpg, inTreeCluster, storeSecret } from './cnpg-objects.ts';
import { holdBackups, untilSeen } from './held-backup.ts';
import { accountKubeconfig, untilAllowed } from './kubeconfigs.ts';

const kubernetes = openKubernetes();
const backups = /\/backups$/;
const oneBackup = /\/backups\/[^/]+$/;

describe('a backup by CloudNativePG', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  let front: KubernetesFront;
  let worker: WorkerProcess | undefined;

  beforeAll(async () => {
    [namespace, world, bucket, front] = await Promise.all([
      kubernetes.makeNamespace('answers'),
      startWorld(),
      kubernetes.s3.makeBucket('answers'),
      startKubernetesFront(kubernetes.config),
    ]);
    await namespace.apply([storeSecret(kubernetes), inTreeCluster(kubernetes, 'db', { bucket })]);
    await namespace.waitUntilHealthy('db');
    await world.configure({
      clusters: { db: { cnpg: { namespace: namespace.name, name: 'db' } } },
      policies: {
        ...Object.fromEntries(
          ['unlucky', 'lost', 'cut', 'busy', 'withdrawn'].map((name) => [name, { cluster: 'db', method: 'cnpg' }]),
        ),
        stuck: { cluster: 'db', method: 'cnpg', cnpg: { deadline: '10s' } },
      },
    });
  });
  afterEach(async () => {
    await worker?.end();
    front.behave();
  });
  afterAll(async () => {
    await world.stop();
    await front.stop();
    await namespace.remove();
    await bucket.remove();
  });

  /** A worker that asks the front, in the name of a ServiceAccount or an administrator's. */
  const serve = async (token?: string) => {
    const file = join(world.directory, 'front.kubeconfig');
    await front.writeKubeconfig(file, token);
    worker = await world.startWorker({ environment: { KUBECONFIG: file } });
  };
  const ofPolicy = async (policy: string) =>
    (await namespace.list({ apiVersion: cnpg, kind: 'Backup', labels: `holdfast/policy=${policy}` })).map(
      ({ metadata }) => metadata?.name,
    );
  const run = async (policy: string) =>
    (await start(world, 'backup', { policy })).result() as Promise<CnpgBackupResult>;
  const answers = (status: number, message: string) => ({ kind: 'answer', status, message }) as const;

  test('is taken once, though the API server is busy, in conflict and has forgotten what was asked', async () => {
    await serve();
    front.misbehave({ method: 'POST', path: backups, times: 2, does: answers(429, 'too many requests') });
    front.misbehave({ method: 'POST', path: backups, times: 1, does: answers(409, 'the object has been modified') });
    const after = /^POST .*: 201$/;
    front.misbehave({ method: 'GET', path: oneBackup, after, times: 2, does: answers(410, 'too old') });
    front.misbehave({ method: 'GET', path: oneBackup, after, times: 2, does: answers(429, 'too many requests') });
    front.misbehave({ method: 'GET', path: backups, times: 1, does: answers(410, 'the list has expired') });
    const { name } = await run('unlucky');
    expect(await ofPolicy('unlucky')).toEqual([name]);
    const became = (method: string, path: RegExp) =>
      front.seen.filter((line) => line.startsWith(`${method} `) && path.test(line.replace(/: \w+$/, '')));
    expect(became('POST', backups).map((line) => line.slice(-3))).toEqual(['429', '429', '409', '201']);
    expect(became('GET', oneBackup).filter((line) => /4(10|29)$/.test(line))).toHaveLength(4);
    expect(became('GET', backups).map((line) => line.slice(-3))).toEqual(['410', '200']);
  });

  test('is taken once, though the answer that it was begun got lost, and then was a lie', async () => {
    await serve();
    front.misbehave({ method: 'POST', path: backups, times: 1, does: { kind: 'lose the answer' } });
    const lost = await run('lost');
    expect(await ofPolicy('lost')).toEqual([lost.name]);
    expect(front.seen.filter((line) => line.startsWith('POST'))).toEqual([expect.stringMatching(/: lost$/)]);

    const belied = { kind: 'belie', status: 409, message: 'it is there already' } as const;
    front.misbehave({ method: 'POST', path: backups, times: 1, does: belied });
    const again = await run('lost');
    expect((await ofPolicy('lost')).sort()).toEqual([lost.name, again.name].sort());
  });

  test('is taken once, and watched to its end, though connections break in the middle of what is said', async () => {
    await serve();
    const after = /^POST .*: 201$/;
    front.misbehave({ method: 'GET', path: /\/clusters\/db$/, times: 1, does: { kind: 'cut' } });
    front.misbehave({ method: 'GET', path: oneBackup, after, times: 2, does: { kind: 'cut' } });
    front.misbehave({ method: 'GET', path: oneBackup, after, times: 2, does: { kind: 'lose the answer' } });
    const { name } = await run('cut');
    expect(await ofPolicy('cut')).toEqual([name]);
    expect(front.seen.map((line) => /: (cut|lost)$/.exec(line)?.[1]).filter((end) => end !== undefined)).toEqual([
      'cut',
      'cut',
      'cut',
      'lost',
      'lost',
    ]);
  });

  test('fails at its deadline where nobody ever says that it is over, and is left to be looked at', async () => {
    await serve();
    holdBackups(front);
    expect(await failureOf(await start(world, 'backup', { policy: 'stuck' }))).toMatchObject({
      type: 'BackupStuck',
      message: expect.stringMatching(/^Backup .*stuck-.* is not over after its deadline; it is running/),
    });
    expect(await ofPolicy('stuck')).toHaveLength(1);
  });

  test('fails and asks for nothing where the API server stays busy, and is taken by the next run', async () => {
    await serve();
    front.misbehave({ method: 'GET', path: /\/clusters\/db$/, does: answers(429, 'too many requests, really') });
    expect(await failureOf(await start(world, 'backup', { policy: 'busy' }))).toMatchObject({
      type: 'KubernetesUnavailable',
      message: expect.stringContaining(`can't read Cluster ${namespace.name}/db: too many requests, really`),
    });
    expect(await ofPolicy('busy')).toEqual([]);
    front.behave();
    const { name } = await run('busy');
    expect(await ofPolicy('busy')).toEqual([name]);
  });

  test('fails by name where the right to look at it is taken away meanwhile, and is taken by the next run', async () => {
    const file = join(world.directory, 'worker.kubeconfig');
    await accountKubeconfig(kubernetes, namespace, 'worker', file);
    const account = new KubeConfig();
    account.loadFromFile(file);
    const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', name: 'worker' };
    const bind = () =>
      namespace.apply([
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'RoleBinding',
          metadata: { name: 'worker' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'worker' },
          subjects: [{ kind: 'ServiceAccount', name: 'worker', namespace: namespace.name }],
        },
      ]);
    const rule = (resource: string, ...verbs: readonly string[]) => ({
      apiGroups: ['postgresql.cnpg.io'],
      resources: [resource],
      verbs,
    });
    await namespace.apply([
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'worker' },
        rules: [rule('clusters', 'get'), rule('backups', 'create', 'get', 'list')],
      },
    ]);
    await bind();
    const question = { namespace: namespace.name, group: 'postgresql.cnpg.io', resource: 'backups', verb: 'get' };
    await untilAllowed(kubernetes, `${namespace.name}:worker`, question, true);
    await serve(account.getCurrentUser()?.token ?? '');
    holdBackups(front);
    const handle = await start(world, 'backup', { policy: 'withdrawn' });
    await untilSeen(front, /^GET .*\/backups\/[^/]+: 200$/, handle);
    await namespace.delete(binding);
    expect(await failureOf(handle)).toMatchObject({
      type: 'KubernetesRefused',
      message: expect.stringMatching(/can't read Backup .*withdrawn-.* is forbidden: User "system:serviceaccount:/),
      hint: expect.stringContaining('grant it in a Role'),
    });

    front.behave();
    await bind();
    await untilAllowed(kubernetes, `${namespace.name}:worker`, question, true);
    const { name } = await run('withdrawn');
    const [left, ...others] = (await ofPolicy('withdrawn')).sort();
    expect([left === name, others]).toEqual([false, [name]]);
  });
});
