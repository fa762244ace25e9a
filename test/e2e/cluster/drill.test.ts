import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World, type WorkerProcess } from '../../../parts/world.ts';
import type { DrillEvidence } from '../../../src/domain/evidence.ts';
import type { DrillResult } from '../../../src/workflows/drill.ts';
import { lentServerPrograms, type LentPrograms } from '../../postgres/instance/programs.ts';
import { backUp, failureOf, start } from '../runs.ts';
import { accountKubeconfig } from './kubeconfigs.ts';
import { ask, plainPostgres } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const pods = { apiVersion: 'v1', kind: 'Pod' } as const;
const account = 'holdfast';
const ofDrills = 'app.kubernetes.io/name=holdfast-drill';
/** Puts some hundred megabytes into a temporary file, and leaves it there until the pod is evicted. */
const devouring = `WITH m AS MATERIALIZED (SELECT repeat(md5(n::text), 100) AS t FROM generate_series(1, 100000) n),
  counted AS MATERIALIZED (SELECT count(*) AS n FROM m)
  SELECT n FROM counted WHERE pg_sleep(3600)::text = ''`;
const counted = (expect: string) => ({ database: 'app', sql: 'SELECT count(*) FROM kept', expect });

/** A cluster like that of examples/jigga, and a StatefulSet, drilled in pods with their own images. */
describe('a drill in Kubernetes', () => {
  let namespace: Namespace;
  /** Takes only pods with nothing special. */
  let restricted: Namespace;
  let world: World;
  let worker: WorkerProcess | undefined;
  let lent: LentPrograms;

  beforeAll(async () => {
    [namespace, restricted, world, lent] = await Promise.all([
      kubernetes.makeNamespace('drills'),
      kubernetes.makeNamespace('drills-apart'),
      startWorld(),
      lentServerPrograms(17),
    ]);
    await namespace.apply([
      {
        apiVersion: 'postgresql.cnpg.io/v1',
        kind: 'Cluster',
        metadata: { name: 'postgres-cluster' },
        spec: {
          instances: 1,
          imageName: kubernetes.image('postgresql-17'),
          enableSuperuserAccess: true,
          storage: { size: '1Gi' },
        },
      },
      ...plainPostgres(kubernetes, 'infra', { layout: 'bitnami', major: 17, password: 'secret' }),
    ]);
    await restricted.apply([
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: restricted.name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      },
    ]);
    await accountKubeconfig(kubernetes, namespace, account, kubeconfig());
    await namespace.apply(rights(namespace.name, ['secrets', 'statefulsets', 'clusters']));
    await restricted.apply(rights(namespace.name, []));
    await namespace.waitUntilHealthy('postgres-cluster');
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'infra' },
      ({ status }: Seen) => status?.['readyReplicas'] === 1,
      { what: 'its pod is ready' },
    );
    const fill = `CREATE TABLE kept AS SELECT n, md5(n::text) AS t FROM generate_series(1, 5000) n`;
    // An extension of the image that wants its library loaded when the server starts, and data that needs another.
    const extended = `CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore;
      CREATE TABLE tagged (id int PRIMARY KEY, tags hstore); INSERT INTO tagged VALUES (1, 'a=>1')`;
    await namespace.psql({ pod: 'postgres-cluster-1', database: 'app', sql: `${fill}; ${extended}` });
    const { name: at } = namespace;
    const superuser = { user: 'postgres', password: 'secret', database: 'postgres' };
    await ask(`infra.${at}.svc`, superuser, 'CREATE TABLE kept AS SELECT 1 AS n');
    const jigga = { cnpg: { namespace: at, name: 'postgres-cluster' } };
    const dump = (cluster: string, more: object = {}) => ({
      ...{ cluster, method: 'pg_dumpall', repository: 'nas', ...more },
    });
    await world.configure({
      clusters: {
        jigga,
        doomed: { ...jigga, site: 'doomed' },
        waiting: { ...jigga, site: 'waiting' },
        nowhere: { ...jigga, drill: { image: 'localhost/holdfast/nowhere:17' } },
        small: { ...jigga, drill: { storage: { size: '1Mi' } } },
        full: { ...jigga, drill: { storage: { size: '150Mi' } } },
        local: { ...jigga, drill: { on: 'worker' } },
        infra: {
          statefulset: { namespace: at, name: 'infra', secret: 'infra' },
          drill: { namespace: restricted.name, storage: { storageClass: kubernetes.storageClass } },
        },
      },
      policies: {
        'jigga-daily': dump('jigga', {
          prefix: 'postgres-backup',
          checks: [
            counted('5000'),
            { database: 'app', sql: "SELECT tags -> 'a' FROM tagged", expect: '1' },
            { database: 'app', sql: 'SELECT count(*) >= 0 FROM pg_stat_statements', expect: 'true' },
          ],
          amcheck: true,
        }),
        'jigga-wrong': dump('jigga', { checks: [counted('5001')] }),
        doomed: dump('doomed', { checks: [counted('5000')] }),
        waiting: dump('waiting', { checks: [counted('5000')] }),
        nowhere: dump('nowhere'),
        small: dump('small'),
        full: dump('full', { checks: [{ database: 'app', sql: devouring, expect: '100000' }] }),
        local: dump('local', { checks: [counted('5000')] }),
        'infra-daily': dump('infra', {
          method: 'pg_dump',
          checks: [{ database: 'postgres', sql: 'SELECT count(*) FROM kept', expect: '1' }],
        }),
      },
      tools: { postgres: { '17': lent.binDir } },
    });
    worker = await serve('main');
  });
  afterAll(async () => {
    await world.stop();
    await lent.giveBack();
    await namespace.remove();
    await restricted.remove();
  });

  const serve = (site: string, failpoints?: string) =>
    world.startWorker({
      args: ['--site', site],
      environment: { KUBECONFIG: kubeconfig() },
      ...(failpoints === undefined ? {} : { failpoints }),
    });
  const kubeconfig = () => join(world.directory, 'kubeconfig');
  const drillPods = () => namespace.list<V1Pod>({ ...pods, labels: ofDrills });
  const nothingLeft = async () => {
    for (const each of [namespace, restricted]) {
      const claims = async () => {
        const all = await each.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' });
        return all.filter(({ metadata }) => metadata?.name?.includes('holdfast-drill'));
      };
      expect(await each.list({ ...pods, labels: ofDrills })).toEqual([]);
      // Kubernetes deletes a claim some time after the pod that it was made for.
      while ((await claims()).length > 0) await sleep(200);
    }
  };
  const evidenceOf = async (cluster: string, id: string): Promise<DrillEvidence[]> => {
    const directory = join(world.repository, cluster, 'evidence', id);
    const names = (await readdir(directory)).filter((name) => name.startsWith('drill-'));
    return Promise.all(
      names.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as DrillEvidence),
    );
  };

  test("restores the newest dump in a pod with the cluster's own image, and nothing of it stays", async () => {
    const { id } = await backUp(world, 'jigga-daily');
    const drill = await start(world, 'drill', { policy: 'jigga-daily' });
    let seen: V1Pod | undefined;
    const looking = (async () => {
      while (seen === undefined) {
        seen = (await drillPods())[0];
        await sleep(100);
      }
    })();
    const result = (await drill.result()) as DrillResult;
    await looking;
    expect(result).toMatchObject({ backup: id, outcome: 'passed' });
    expect(result.checks.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
      'roles and tablespaces: passed',
      'databases: passed',
      'row counts: passed',
      'app: SELECT count(*) FROM kept: passed',
      "app: SELECT tags -> 'a' FROM tagged: passed",
      'app: SELECT count(*) >= 0 FROM pg_stat_statements: passed',
      'amcheck: passed',
    ]);
    expect(seen?.spec?.containers[0]?.image).toBe(kubernetes.image('postgresql-17'));
    expect(seen?.spec?.securityContext).toMatchObject({ runAsUser: 26, runAsNonRoot: true });
    expect(await evidenceOf('jigga', id)).toMatchObject([
      {
        outcome: 'passed',
        toolVersions: { image: kubernetes.image('postgresql-17'), postgres: expect.stringMatching(/^17\.\d+$/) },
      },
    ]);
    await nothingLeft();
  });

  test('whose check fails is evidence against the backup', async () => {
    const { id } = await backUp(world, 'jigga-wrong');
    const failure = await failureOf(await start(world, 'drill', { policy: 'jigga-wrong' }));
    expect(failure.type).toBe('DrillFailed');
    expect((await evidenceOf('jigga', id)).map(({ outcome }) => outcome)).toEqual(['failed']);
    await nothingLeft();
  });

  test('of a StatefulSet runs with its image and user, on a volume of its own', async () => {
    const { id } = await backUp(world, 'infra-daily');
    const result = (await (await start(world, 'drill', { policy: 'infra-daily' })).result()) as DrillResult;
    expect(result).toMatchObject({ backup: id, outcome: 'passed' });
    expect(await evidenceOf('infra', id)).toMatchObject([
      { toolVersions: { image: kubernetes.image('bitnami-postgresql-17') } },
    ]);
    await nothingLeft();
  });

  test('stays on the worker where the configuration says so', async () => {
    const { id } = await backUp(world, 'local');
    const result = (await (await start(world, 'drill', { policy: 'local' })).result()) as DrillResult;
    expect(result).toMatchObject({ backup: id, outcome: 'passed' });
    const [evidence] = await evidenceOf('local', id);
    expect(evidence?.toolVersions['image']).toBeUndefined();
  });

  test('whose worker is killed meanwhile is made again, and nothing of the first stays', async () => {
    const killed = await serve('doomed', 'drill:restored=kill');
    const { id } = await backUp(world, 'doomed');
    const drill = await start(world, 'drill', { policy: 'doomed' });
    await killed.ended();
    expect(await drillPods()).toHaveLength(1);
    const rescuer = await serve('doomed');
    expect(await drill.result()).toMatchObject({ backup: id, outcome: 'passed' });
    expect(await evidenceOf('doomed', id)).toHaveLength(1);
    await rescuer.end();
    await nothingLeft();
  });

  describe('whose pod', () => {
    let waiter: WorkerProcess;
    beforeAll(async () => {
      waiter = await serve('waiting', 'drill:restored=wait');
      await backUp(world, 'waiting');
    });
    afterEach(async () => {
      while ((await drillPods()).length > 0) await sleep(200);
      await nothingLeft();
    });
    afterAll(() => waiter.end());

    const podOf = async (other?: string): Promise<V1Pod> => {
      for (;;) {
        const found = (await drillPods()).find(
          ({ metadata, status }) =>
            metadata?.name !== other &&
            metadata?.deletionTimestamp === undefined &&
            status?.containerStatuses?.[0]?.ready === true,
        );
        if (found !== undefined) return found;
        await sleep(200);
      }
    };

    test('is deleted in the middle is made again, and says so in the end', async () => {
      const drill = await start(world, 'drill', { policy: 'waiting' });
      let last: string | undefined;
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        last = (await podOf(last)).metadata?.name ?? '';
        await namespace.delete({ ...pods, name: last });
      }
      const failure = await failureOf(drill);
      expect(failure.type).toBe('PodUnavailable');
      expect(failure.message).toMatch(/^pod .*holdfast-drill-\w+-3 (was|is being) deleted/);
    });

    test('is in use when the drill is cancelled goes too', async () => {
      const drill = await start(world, 'drill', { policy: 'waiting' });
      await podOf();
      await drill.cancel();
      await expect(drill.result()).rejects.toThrow();
    });
  });

  test.each([
    ['nowhere', 'PodFailed', /image localhost\/holdfast\/nowhere:17 can't be pulled/],
    ['small', 'StoreFull', /a drill's volume has 1\.0 MB, the backup's databases took/],
    ['full', 'StoreFull', /was evicted, because its volume was full: Usage of EmptyDir volume/],
  ])('that can not be made is no evidence, and says why: %s', async (policy, type, message) => {
    const { id } = await backUp(world, policy);
    const failure = await failureOf(await start(world, 'drill', { policy }));
    expect(failure.type).toBe(type);
    expect(failure.message).toMatch(message);
    const evidence = await readdir(join(world.repository, policy, 'evidence', id)).catch(() => []);
    expect(evidence.filter((name) => name.startsWith('drill-'))).toEqual([]);
    await nothingLeft();
  });

  test('no password is in what Temporal remembers of the runs', async () => {
    const { password = '' } = await namespace.secret('postgres-cluster-superuser');
    for await (const { workflowId } of world.client.workflow.list()) {
      const history = JSON.stringify(await world.client.workflow.getHandle(workflowId).fetchHistory());
      expect(history).not.toContain(password);
    }
    expect(worker?.hasEnded()).toBe(false);
  });
});

/** What docs/kubernetes.md says that the worker's ServiceAccount needs, and no more. */
function rights(home: string, reads: readonly string[]): readonly object[] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name: account };
  return [
    {
      ...{ apiVersion, kind: 'Role', metadata },
      rules: [
        { apiGroups: [''], resources: ['pods'], verbs: ['create', 'get', 'list', 'delete'] },
        ...reads.map((resource) => ({
          apiGroups: ['', 'apps', 'postgresql.cnpg.io'],
          resources: [resource],
          verbs: ['get'],
        })),
      ],
    },
    {
      ...{ apiVersion, kind: 'RoleBinding', metadata },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace: home }],
    },
  ];
}
