import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { CnpgRecoveryPlan } from '../../../src/domain/cnpg-recovery-facts.ts';
import type { RecoverClusterResult } from '../../../src/workflows/recover-cluster.ts';
import { until } from '../recovering.ts';
import { failureOf, start, untilFollowUp, untilProgress } from '../runs.ts';
import { archived, barmanSection, clusterKind, clusterSpec, rowsAroundAMoment } from './cnpg-backed-up.ts';
import { evict } from './evict.ts';
import { storeKeys } from './store-for-pods.ts';

const kubernetes = openKubernetes();
const decision = { by: 'alice', reason: 'looked at it' };

describe('a cluster that CloudNativePG runs', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  /** Behind it 50 of 150 rows were written. */
  let moment: string;
  let backup: string;
  const spec = () =>
    clusterSpec(kubernetes, {
      backup: { retentionPolicy: '30d', barmanObjectStore: barmanSection(kubernetes, bucket.name) },
    });

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('recover'),
      startWorld(),
      kubernetes.s3.makeBucket('recover'),
    ]);
    await namespace.apply([storeKeys(kubernetes), { ...clusterKind, metadata: { name: 'logto' }, spec: spec() }]);
    await namespace.waitUntilHealthy('logto');
    const cnpg = { namespace: namespace.name, name: 'logto' };
    const rows = 'SELECT count(*) FROM kept WHERE n <= 100';
    await world.configure({
      clusters: {
        logto: { cnpg },
        lost: { cnpg: { ...cnpg, name: 'lost', recovery: { spec: { ...spec(), backup: lostBackup() } } } },
      },
      policies: {
        'logto-daily': { cluster: 'logto', method: 'cnpg', checks: [{ database: 'app', sql: rows, expect: '100' }] },
        'logto-dump': { cluster: 'logto', method: 'pg_dumpall', repository: 'nas' },
      },
    });
  });
  beforeAll(async () => {
    const worker = await serve();
    const taken = await start(world, 'backup', { policy: 'logto-daily' });
    backup = ((await taken.result()) as { readonly name: string }).name;
    moment = await rowsAroundAMoment(namespace, 'logto-1');
    await worker.end();
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  /** Of a Cluster that there never was: its archive is the source's, which is what a bucket alone can tell. */
  const lostBackup = () => ({ barmanObjectStore: { ...barmanSection(kubernetes, bucket.name), serverName: 'logto' } });
  const serve = (failpoints?: string) =>
    world.startWorker({
      environment: { KUBECONFIG: kubernetes.kubeconfigFile },
      ...(failpoints === undefined ? {} : { failpoints }),
    });
  const clusters = async () =>
    (await namespace.list({ ...clusterKind })).map(({ metadata }) => metadata?.name ?? '').sort();
  const claims = async () =>
    (await namespace.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' })).map(({ metadata }) => metadata?.name);
  const recover = (target: unknown, more: object = {}) =>
    start(world, 'recover', { cluster: 'logto', target, ...more });
  const count = (cluster: string) =>
    namespace.psql({ pod: `${cluster}-1`, database: 'app', sql: 'SELECT count(*), max(n) FROM kept' });

  let run: WorkflowHandle;
  test('is recovered to a time between two transactions: exactly the first is there, in one Cluster, though a worker was killed', async () => {
    const doomed = await serve('recover-cnpg:created=kill');
    run = await recover({ time: moment }, { into: { name: 'copy' } });
    await doomed.ended();
    await serve();
    const { standing, plan, steps } = await untilFollowUp<CnpgRecoveryPlan>(run);
    expect(steps.map(({ name }) => name)).toEqual(['resolve', 'plan', 'create', 'recover', 'check', 'record']);
    expect(await clusters()).toEqual(['copy', 'logto']);
    expect(plan?.facts.base.object).toBe(backup);
    expect(standing).toContain('### Recovered, as asked');
    expect(standing).toMatch(/reached 0\/[0-9A-F]+ on timeline 1, and was promoted there to timeline 2; .*: before 20/);
    expect(standing).toContain('- check passed: `app: SELECT count(*) FROM kept WHERE n <= 100`');
    expect(standing).toContain(`kubectl -n ${namespace.name} exec -it copy-1 -c postgres -- psql`);
    expect(await count('copy')).toBe('100|100');
    expect(await count('logto')).toBe('150|150');
  });

  test('does not go on from there; promoted it has an archive of its own', async () => {
    await run.signal('go-on', { ...decision, target: 'latest' });
    await untilProgress<CnpgRecoveryPlan>(run, ({ refusals }) => refusals.length === 1);
    await run.signal('promote', decision);
    const result = (await run.result()) as RecoverClusterResult;
    expect(result).toMatchObject({
      outcome: 'promoted',
      cluster: `${namespace.name}/copy`,
      service: `copy-rw.${namespace.name}.svc`,
    });
    expect(result.done.join('\n')).toContain('its WAL is archived under copy');
    const kept = await namespace.get({ ...clusterKind, name: 'copy' });
    expect(kept?.spec).toMatchObject({
      backup: { retentionPolicy: '30d', barmanObjectStore: { serverName: 'copy' } },
      postgresql: { parameters: expect.not.objectContaining({ max_logical_replication_workers: '0' }) },
    });
    await namespace.delete({ ...clusterKind, name: 'copy' });
    // Its volume goes a little later.
    await namespace.delete({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: 'copy-1' });
  });

  test('is not recovered to what lies outside of its archive, nor into what is too small: refused before a Cluster is created', async () => {
    const refused: readonly (readonly [target: unknown, type: string, message: string, more?: object])[] = [
      [{ time: '2020-01-01T00:00:00Z' }, 'PlanHopeless', 'is before the first possible moment'],
      [{ time: '2199-01-01T00:00:00Z' }, 'PlanHopeless', 'is in the future'],
      [{ time: new Date(Date.now() - 50).toISOString() }, 'PlanHopeless', 'is after the last possible moment'],
      [{ lsn: '0/100' }, 'PlanHopeless', 'is before the first possible moment'],
      [{ lsn: 'F/0' }, 'PlanHopeless', 'is not archived'],
      [{ immediate: true, timeline: 7 }, 'PlanHopeless', "the way to timeline 7 of cluster logto isn't known"],
      ['latest', 'PlanHopeless', 'and the volume would have 10Mi', { into: { storage: { size: '10Mi' } } }],
      ['latest', 'PlanHopeless', `there is a Cluster ${namespace.name}/logto already`, { into: { name: 'logto' } }],
      ['latest', 'PlanHopeless', '/copy is not empty', { into: { name: 'copy' } }],
      ['latest', 'NoSuchBackup', "no completed backup 'other'", { backup: 'other' }],
      ['latest', 'InvalidArgument', 'inPlace is not for cluster logto', { inPlace: true }],
    ];
    for (const [target, type, message, more] of refused)
      expect(await failureOf(await recover(target, more))).toMatchObject({
        type,
        message: expect.stringContaining(message),
      });
    expect(await clusters()).toEqual(['logto']);
    expect(await claims()).toEqual(['logto-1']);
  });

  test('whose target turns out not to be in the log fails with that name, and nothing of the new Cluster is left', async () => {
    const after = new Date().toISOString();
    await namespace.psql({ pod: 'logto-1', sql: "SELECT pg_create_restore_point('before-migration')" });
    await archived(namespace, 'logto-1');
    const unreached = await recover({ time: after }, { into: { name: 'unreached' } });
    expect(await failureOf(unreached)).toMatchObject({
      type: 'RestoreFailed',
      message: expect.stringMatching(
        /Cluster .*\/unreached: the recovery target was not reached: .*; the end of its log: /,
      ),
    });
    expect(await clusters()).toEqual(['logto']);
    expect(await claims()).toEqual(['logto-1']);
  });

  test('whose recovery is cancelled leaves nothing of it', async () => {
    const cancelled = await recover('latest', { into: { name: 'cancelled' } });
    await namespace.waitUntil({ ...clusterKind, name: 'cancelled' }, () => true, { what: 'it is there' });
    await cancelled.cancel();
    await expect(cancelled.result()).rejects.toThrow();
    expect(await clusters()).toEqual(['logto']);
    expect(await claims()).toEqual(['logto-1']);
  });

  test('recovered to a restore point, though its pod was evicted, and thrown away leaves nothing, in the bucket neither', async () => {
    const thrown = await recover({ name: 'before-migration' }, { into: { name: 'thrown' } });
    const recovering = () =>
      namespace.list({ apiVersion: 'v1', kind: 'Pod', labels: 'cnpg.io/cluster=thrown,cnpg.io/jobRole=full-recovery' });
    let first: Seen | undefined;
    await until(async () => {
      first = (await recovering()).find(({ status }) => status?.['phase'] === 'Running');
      return first !== undefined;
    });
    await evict(kubernetes, namespace, first ?? {});
    // Once it is over the operator deletes its Job.
    await until(async () => (await recovering()).some(({ metadata }) => metadata?.uid !== first?.metadata?.uid));
    const { standing } = await untilFollowUp<CnpgRecoveryPlan>(thrown);
    expect(standing).toContain('at restore point "before-migration"');
    await thrown.signal('throw-away', decision);
    expect(await thrown.result()).toMatchObject({ outcome: 'thrown away' });
    expect(await clusters()).toEqual(['logto']);
    expect(await claims()).toEqual(['logto-1']);
    const s3 = kubernetes.s3.client();
    const { Contents = [] } = await s3.listObjectsV2({ Bucket: bucket.name });
    s3.destroy();
    expect([...new Set(Contents.map(({ Key = '' }) => Key.split('/')[0]))].sort()).toEqual(['copy', 'logto']);
  });

  test('that is gone is not recovered without a word about what it was', async () => {
    await namespace.delete({ ...clusterKind, name: 'logto' });
    for (const { metadata } of await namespace.list({ apiVersion: 'postgresql.cnpg.io/v1', kind: 'Backup' }))
      await namespace.delete({ apiVersion: 'postgresql.cnpg.io/v1', kind: 'Backup', name: metadata?.name ?? '' });
    expect(await failureOf(await recover('latest'))).toMatchObject({
      type: 'ConfigurationInvalid',
      hint: expect.stringContaining('clusters.logto.cnpg.recovery'),
    });
  });

  test('comes back when it is gone with its volumes, from the bucket and the configuration alone', async () => {
    run = await start(world, 'recover', { cluster: 'lost', target: 'latest' });
    const { plan, planText } = await untilFollowUp<CnpgRecoveryPlan>(run);
    expect(planText).toContain('which is not there: what it was is taken from the configuration');
    const name = plan?.facts.makes.name ?? '';
    expect(name).toMatch(/^lost-recovered-[0-9a-f]{8}$/);
    expect(await count(name)).toBe('150|150');
  });

  test('without a repository has its record on the Cluster that is kept', async () => {
    await run.signal('promote', decision);
    const { cluster, done } = (await run.result()) as RecoverClusterResult;
    expect(done.at(-1)).toContain('its record is annotation holdfast/record of the new Cluster');
    const name = cluster.replace(/^.*\//, '');
    expect((await namespace.get({ ...clusterKind, name }))?.metadata?.annotations?.['holdfast/record']).toContain(
      '"outcome":"promoted"',
    );
  });
});
