import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parse } from 'yaml';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { parseUsableConfig } from '../../../src/domain/config.ts';
import { locateCluster } from '../../../src/kubernetes/cnpg/locate.ts';
import { connectKubernetes } from '../../../src/kubernetes/connection.ts';
import { locateStatefulSet } from '../../../src/kubernetes/statefulset.ts';
import { holdfast } from '../../cli/command-line.ts';
import { accountKubeconfig } from './kubeconfigs.ts';
import { ask, plainPostgres } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const password = "it's no secret";
let namespace: Namespace;
let directory: string;
const before = process.env['KUBECONFIG'];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'discover-'));
  namespace = await kubernetes.makeNamespace('discover');
  await namespace.apply(`
    apiVersion: postgresql.cnpg.io/v1
    kind: Cluster
    metadata: { name: main }
    spec:
      instances: 1
      imageName: ${kubernetes.image('postgresql-17')}
      enableSuperuserAccess: true
      storage: { size: 1Gi }
  `);
  await namespace.apply(`
    apiVersion: postgresql.cnpg.io/v1
    kind: ScheduledBackup
    metadata: { name: nightly }
    spec: { schedule: '0 0 2 * * *', suspend: true, cluster: { name: main } }
  `);
  await namespace.apply(plainPostgres(kubernetes, 'shop', { layout: 'bitnami', major: 17, password }));
  const environment = { POSTGRES_USER: 'admin', PGDATA: '/var/lib/postgresql/data/pgdata' };
  await namespace.apply(plainPostgres(kubernetes, 'wiki', { layout: 'docker', major: 17, password, environment }));
  for (const name of ['shop', 'wiki'])
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name },
      ({ status }) => status?.['readyReplicas'] === 1,
      { what: 'its pod is ready' },
    );
  await namespace.waitUntilHealthy('main');
});
afterAll(async () => {
  if (before === undefined) delete process.env['KUBECONFIG'];
  else process.env['KUBECONFIG'] = before;
  rmSync(directory, { recursive: true });
  await namespace.remove();
});

/** The library that reads kubeconfigs looks for the variable itself. */
async function discover(kubeconfig: string, ...args: readonly string[]) {
  process.env['KUBECONFIG'] = kubeconfig;
  return await holdfast(['discover', ...args], { environment: { KUBECONFIG: kubeconfig } });
}

/** Of a service account that nothing has been granted. */
async function kubeconfigOf(account: string): Promise<string> {
  const file = join(directory, account);
  await accountKubeconfig(kubernetes, namespace, account, file);
  return file;
}

describe('holdfast discover on a cluster', () => {
  test('prints a configuration by which every PostgreSQL of a namespace is reached', async () => {
    const { code, stdout, stderr } = await discover(kubernetes.kubeconfigFile, '--namespace', namespace.name);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/CloudNativePG Cluster .*\/main: PostgreSQL 17.*, 1 instance with 1Gi\./);
    expect(stdout).toMatch(/Cluster in healthy state, primary main-1\./);
    expect(stdout).toContain('ScheduledBackup nightly: "0 0 2 * * *", in five fields "0 2 * * *"');
    expect(stdout).toMatch(/StatefulSet .*\/shop: PostgreSQL 17.*, uid 1001, data in \/bitnami\/postgresql\/data\./);
    expect(stdout).toContain('Volumes: data-shop-0 1Gi.');
    expect(stdout).not.toContain(password);

    const { clusters, policies } = parseUsableConfig(parse(stdout));
    expect(Object.keys(policies).sort()).toEqual(['main-daily', 'shop-daily', 'wiki-daily']);
    const { main, shop, wiki } = clusters;
    expect(main?.cnpg).toMatchObject({ namespace: namespace.name, name: 'main' });
    expect(shop?.statefulset).toMatchObject({ name: 'shop', secret: 'shop', service: 'shop' });
    // Its user is written in the StatefulSet, not in the Secret.
    expect(wiki?.statefulset).toMatchObject({ secret: 'wiki', user: 'admin', keys: { password: 'postgres-password' } });
    if (main?.cnpg === undefined || shop?.statefulset === undefined || wiki?.statefulset === undefined)
      throw new Error('one of them is not there');

    const apis = await connectKubernetes(kubernetes.config);
    const superuser = 'SELECT current_user AS user, rolsuper AS super FROM pg_roles WHERE rolname = current_user';
    for (const [name, { host, user, password: found }] of [
      ['postgres', await locateCluster(apis, main.cnpg)],
      ['postgres', await locateStatefulSet(apis, shop.statefulset)],
      ['admin', await locateStatefulSet(apis, wiki.statefulset)],
    ] as const)
      expect(await ask(host, { user, password: found, database: 'postgres' }, superuser)).toEqual([
        { user: name, super: true },
      ]);
  });

  test('finds them among everything, where all namespaces may be read', async () => {
    const { code, stdout } = await discover(kubernetes.kubeconfigFile, '--json');
    expect(code).toBe(0);
    const { found, unread } = JSON.parse(stdout) as {
      readonly found: readonly { readonly kind: string; readonly namespace: string; readonly name: string }[];
      readonly unread: readonly unknown[];
    };
    expect(unread).toEqual([]);
    expect(found.filter((one) => one.namespace === namespace.name).map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'cnpg main',
      'statefulset shop',
      'statefulset wiki',
    ]);
  });

  test('tells a service account without rights what it lacks', async () => {
    const { code, stdout, stderr } = await discover(await kubeconfigOf('nobody'));
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).toContain('the credentials may not list namespaces');
    for (const rule of ['statefulsets.apps', 'deployments.apps', 'pods', 'services', 'clusters.postgresql.cnpg.io'])
      expect(stderr).toContain(`the credentials may not list ${rule} there`);
  });

  test('shows a service account what it may read, without any right on Secrets', async () => {
    const kubeconfig = await kubeconfigOf('reader');
    const rule = (apiGroup: string, ...resources: readonly string[]) => ({
      apiGroups: [apiGroup],
      resources,
      verbs: ['list'],
    });
    await namespace.apply([
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'reader' },
        rules: [rule('apps', 'statefulsets'), rule('', 'services')],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'reader' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
        subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: namespace.name }],
      },
    ]);
    const { code, stdout, stderr } = await discover(kubeconfig, '--namespace', namespace.name);
    expect(code).toBe(0);
    expect(Object.keys(parseUsableConfig(parse(stdout)).clusters)).toEqual(['shop', 'wiki']);
    expect(stderr).toContain('Clusters of CloudNativePG in namespace');
    expect(stderr).toContain('PersistentVolumeClaims in namespace');
    expect(stderr).not.toMatch(/StatefulSets in namespace|Services in namespace/);
  });
});
