import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import { startWorld, type World } from '../../../parts/world.ts';
import type { DrillEvidence } from '../../../src/domain/evidence.ts';
import type { DrillResult } from '../../../src/workflows/drill.ts';
import { failureOf, start } from '../runs.ts';
import { archived, barmanSection, clusterKind, clusterSpec } from './cnpg-backed-up.ts';
import { accountKubeconfig } from './kubeconfigs.ts';
import { storeKeys } from './store-for-pods.ts';

const kubernetes = openKubernetes();
const account = 'holdfast';
const copy = { ...clusterKind, name: 'logto-drill' };

describe('a drill of a backup that CloudNativePG took', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  let backup: string;
  let other: string;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('drill-cnpg'),
      startWorld(),
      kubernetes.s3.makeBucket('drill-cnpg'),
    ]);
    const spec = clusterSpec(kubernetes, { backup: { barmanObjectStore: barmanSection(kubernetes, bucket.name) } });
    await namespace.apply([storeKeys(kubernetes), { ...clusterKind, metadata: { name: 'logto' }, spec }, ...rights()]);
    const kubeconfig = join(world.directory, 'kubeconfig');
    await accountKubeconfig(kubernetes, namespace, account, kubeconfig);
    await namespace.waitUntilHealthy('logto');
    const sql = 'SELECT count(*) FROM kept';
    const found = findPostgres(17);
    const policy = { cluster: 'logto', method: 'cnpg', repository: 'nas' };
    await world.configure({
      clusters: { logto: { cnpg: { namespace: namespace.name, name: 'logto' } } },
      policies: {
        daily: { ...policy, drill: '0 5 * * 0', checks: [{ database: 'app', sql, expect: '150' }], amcheck: true },
        wrong: { ...policy, checks: [{ database: 'app', sql, expect: '151' }] },
      },
      ...(found === undefined ? {} : { tools: { postgres: { '17': found.binDir } } }),
    });
    await world.startWorker({ environment: { KUBECONFIG: kubeconfig } });
  });
  beforeAll(async () => {
    const psql = (text: string) => namespace.psql({ pod: 'logto-1', database: 'app', sql: text });
    await psql('CREATE TABLE kept AS SELECT generate_series(1, 100) AS n');
    // A backup begins with a checkpoint that takes its time where there is much to write.
    await psql('CHECKPOINT');
    backup = await taken('daily');
    other = await taken('wrong');
    // What only WAL holds.
    await psql('INSERT INTO kept SELECT generate_series(101, 150)');
    await archived(namespace, 'logto-1');
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  const taken = async (policy: string) =>
    ((await (await start(world, 'backup', { policy })).result()) as { readonly name: string }).name;

  /** As the chart grants them, and nothing more: not even the keys of the object store. */
  const rights = (): readonly object[] => {
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const [cnpg, core] = ['postgresql.cnpg.io', ''];
    const rule = (group: string, resource: string, verbs: string, ...resourceNames: readonly string[]) => ({
      ...{ apiGroups: [group], resources: [resource], verbs: verbs.split(',') },
      ...(resourceNames.length === 0 ? {} : { resourceNames }),
    });
    const rules = [
      rule(cnpg, 'clusters', 'get', 'logto'),
      rule(cnpg, 'backups', 'create,get,list'),
      rule('barmancloud.cnpg.io', 'objectstores', 'get'),
      rule(cnpg, 'clusters', 'create'),
      rule(cnpg, 'clusters', 'delete,get', 'logto-drill'),
      rule(core, 'secrets', 'get', 'logto-drill-superuser', 'logto-drill-app'),
      ...['pods', 'persistentvolumeclaims', 'events'].map((resource) => rule(core, resource, 'list')),
      rule(core, 'pods/log', 'get'),
    ];
    return [
      { ...{ apiVersion, kind: 'Role', metadata: { name: account } }, rules },
      {
        ...{ apiVersion, kind: 'RoleBinding', metadata: { name: account } },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
        subjects: [{ kind: 'ServiceAccount', name: account, namespace: namespace.name }],
      },
    ];
  };

  async function evidenceOf(name: string): Promise<readonly DrillEvidence[]> {
    const directory = join(world.repository, 'logto', 'evidence', name);
    const files = await readdir(directory).catch(() => []);
    const texts = await Promise.all(files.sort().map((file) => readFile(join(directory, file), 'utf8')));
    return texts.map((text) => JSON.parse(text) as DrillEvidence);
  }

  async function expectNothingLeft(): Promise<void> {
    expect(await namespace.get(copy)).toBeUndefined();
    for (const kind of ['Pod', 'PersistentVolumeClaim'])
      expect(await namespace.list({ apiVersion: 'v1', kind, labels: 'cnpg.io/cluster=logto-drill' })).toEqual([]);
  }

  test('replays what came after it, asks the checks, is measured and leaves nothing', async () => {
    const run = await start(world, 'drill', { policy: 'daily' });
    const result = (await run.result()) as DrillResult;
    expect(result).toMatchObject({ backup, outcome: 'passed' });
    expect(result.checks.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['recovery', 'passed'],
      ['app: SELECT count(*) FROM kept', 'passed'],
      ['amcheck', 'passed'],
    ]);
    expect(result.restoreSeconds).toBeGreaterThan(1);
    expect(result.dataAgeSeconds).toBeGreaterThanOrEqual(0);
    await expectNothingLeft();
    expect(await evidenceOf(backup)).toEqual([
      expect.objectContaining({ kind: 'drill', policy: 'daily', cluster: 'logto', outcome: 'passed' }),
    ]);
  });

  test('that was terminated is cleaned up by the next, which fails where a check does', async () => {
    const doomed = await start(world, 'drill', { policy: 'wrong' });
    while ((await namespace.get(copy)) === undefined) await sleep(200);
    await doomed.terminate('out of patience');
    const left = (await namespace.get(copy))?.metadata?.uid;
    const run = await start(world, 'drill', { policy: 'wrong' });
    expect(await failureOf(run)).toMatchObject({
      type: 'DrillFailed',
      message: expect.stringContaining("answered '150', expected '151'"),
    });
    expect(left).toEqual(expect.any(String));
    await expectNothingLeft();
    expect((await evidenceOf(other)).map(({ outcome }) => outcome)).toEqual(['failed']);
  });

  test('whose files are gone from the object store fails, with evidence', async () => {
    const client = kubernetes.s3.client();
    const { Contents = [] } = await client.listObjectsV2({ Bucket: bucket.name, Prefix: 'logto/base/' });
    for (const { Key = '' } of Contents) await client.deleteObject({ Bucket: bucket.name, Key });
    client.destroy();
    const run = await start(world, 'drill', { policy: 'daily' });
    expect((await failureOf(run)).type).toBe('DrillFailed');
    await expectNothingLeft();
    expect((await evidenceOf(backup)).map(({ outcome }) => outcome).sort()).toEqual(['failed', 'passed']);
  });
});
