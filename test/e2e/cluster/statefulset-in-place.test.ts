import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import type { RecoveryPlan } from '../../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../../src/workflows/recover-run.ts';
import { note, recover, startArchive, until, detailsOf, type Moment } from '../recovering.ts';
import { backUp, failureOf, untilDecision, untilFollowUp, untilProgress } from '../runs.ts';
import { evict } from './evict.ts';
import { plainPostgres, type PlainPostgres } from './plain-postgres.ts';
import { serveToPods, type ServedToPods } from './serve-to-pods.ts';
import { makeSizedVolume, type SizedVolume } from './sized-volume.ts';
import { storeForPods, storeKeys } from './store-for-pods.ts';

const kubernetes = openKubernetes();
const password = "it's no secret";
const jobs = { apiVersion: 'batch/v1', kind: 'Job' } as const;
const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'postgres' } as const;
const failpoints = { name: 'failpoints' } as const;
const words = { by: 'alice', reason: 'a bad day' };

/**
 * Bitnami's keeps its data below the volume's top, Docker's image at the top itself: of a volume here that is no larger
 * than it says.
 */
describe.each<[layout: PlainPostgres['layout'], uid: number]>([
  ['bitnami', 1001],
  ['docker', 999],
])('a recovery in the place of a StatefulSet laid out like %s', (layout, uid) => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;
  let front: ServedToPods;
  let volume: SizedVolume | undefined;
  let first: Moment;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('in-place'),
      startWorld(),
      kubernetes.s3.makeBucket('in-place'),
    ]);
    front = await serveToPods(world.temporal.address, kubernetes.s3.endpoint);
    if (layout === 'docker')
      volume = await makeSizedVolume(kubernetes, namespace, { claim: 'data-postgres-0', size: '1Gi' });
    await namespace.apply([
      ...plainPostgres(kubernetes, 'postgres', { layout, major: 17, password }),
      storeKeys(kubernetes),
    ]);
    await untilServing();
    if (layout === 'docker') {
      const command = ['sh', '-c', 'echo "host replication all all scram-sha-256" >> "$PGDATA/pg_hba.conf"'];
      await namespace.exec({ pod: 'postgres-0', container: 'postgresql', command });
      await server.psql('postgres', 'SELECT pg_reload_conf()');
    }
    const armed = { configMapKeyRef: { ...failpoints, key: 'armed', optional: true } };
    const { store, workerPod } = storeForPods(kubernetes, world, {
      ...{ bucket: bucket.name, temporal: front },
      env: [{ name: 'HOLDFAST_FAILPOINTS', valueFrom: armed }],
    });
    await world.configure({
      repositories: { nas: { directory: world.repository }, store },
      clusters: {
        main: {
          statefulset: { namespace: namespace.name, name: 'postgres', secret: 'postgres', inPlace: {} },
          wal: { repository: 'store', maxAge: '1h' },
        },
      },
      policies: { base: { cluster: 'main', method: 'base', repository: 'store', window: '7d' } },
      kubernetes: { workerPod },
    });
    expect(await world.holdfast('repositories', 'init', 'store')).toMatchObject({ code: 0 });
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
    await server.psql('postgres', 'CREATE TABLE notes (text text)');
    await server.psql(
      'postgres',
      'CREATE TABLE big AS SELECT n, repeat(md5(n::text), 8) AS t FROM generate_series(1, 100000) n',
    );
    await startArchive(world);
    await backUp(world, 'base');
    first = await note(server, 'first');
    await note(server, 'second');
    await untilArchived();
  });
  afterAll(async () => {
    await world.stop();
    front.server.close();
    await volume?.remove();
    await namespace.remove();
    await bucket.remove();
  });

  const server = {
    // Each image has its socket somewhere else.
    async psql(database: string, sql: string) {
      const psql = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-U', 'postgres', '-d', database];
      const command = ['env', `PGPASSWORD=${password}`, ...psql, '-c', sql];
      const { code, stdout, stderr } = await namespace.exec({ pod: 'postgres-0', container: 'postgresql', command });
      if (code !== 0) throw new Error(stderr);
      return stdout.trimEnd();
    },
  };
  const notes = () => server.psql('postgres', "SELECT string_agg(text, ',') FROM notes");
  const startedAt = () => server.psql('postgres', 'SELECT pg_postmaster_start_time()');
  const untilServing = () =>
    namespace.waitUntil(set, ({ status }: Seen) => status?.['readyReplicas'] === 1, { what: 'its pod is ready' });
  const planOf = (digest: string | null | undefined) => ({ ...words, plan: (digest ?? '').slice(0, 12) });
  const podsOfRun = () =>
    namespace.list({ apiVersion: 'v1', kind: 'Pod', labels: 'app.kubernetes.io/component=worker-pod' });
  const onVolume = async () => {
    const command = ['sh', '-c', 'cd "$PGDATA" && ls -a -d .holdfast* ../data.* 2>/dev/null; true'];
    return (await namespace.exec({ pod: 'postgres-0', container: 'postgresql', command })).stdout.trim();
  };

  async function untilArchived() {
    const segment = await server.psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
    const client = kubernetes.s3.client();
    await until(async () => {
      const { Contents = [] } = await client.listObjectsV2({ Bucket: bucket.name, Prefix: 'main/wal/' });
      return Contents.some(({ Key = '' }) => Key.includes(segment));
    });
    client.destroy();
  }

  async function approved(): Promise<WorkflowHandle> {
    const handle = await recover(world, { lsn: first.lsn }, { inPlace: true });
    const { planDigest } = await untilDecision<RecoveryPlan>(handle);
    await handle.signal('approve', planOf(planDigest));
    return handle;
  }

  /** Asks the copy with the line that the run shows, as kubectl would. */
  async function askCopy(handle: WorkflowHandle, sql: string): Promise<string> {
    const line = /```\nkubectl --namespace \S+ exec --stdin --tty job\/(\S+) -- (psql .*)\n```/.exec(
      await detailsOf(world, handle.workflowId),
    );
    const [pod] = (await podsOfRun()).filter(({ metadata }) => metadata?.name?.startsWith(line?.[1] ?? '-') === true);
    const command = [...(line?.[2] ?? '').split(' '), '-XAtq', '-c', sql];
    const { code, stdout, stderr } = await namespace.exec({
      pod: pod?.metadata?.name ?? '',
      container: 'worker',
      command,
    });
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  }

  // A directory beside another one is renamed as on a machine: test/e2e/in-place.test.ts.
  if (layout === 'docker') {
    test('stops nothing before it is approved, and leaves no pod when it is rejected', async () => {
      const before = await startedAt();
      const handle = await recover(world, { lsn: first.lsn }, { inPlace: true });
      const { plan, planDigest } = await untilDecision<RecoveryPlan>(handle);
      expect(plan?.facts.workload).toMatchObject({
        name: 'postgres',
        replicas: 1,
        claim: 'data-postgres-0',
        user: { uid },
      });
      await handle.signal('reject', planOf(planDigest));
      expect((await failureOf(handle)).type).toBe('Rejected');
      expect(await startedAt()).toBe(before);
      expect(await namespace.list(jobs)).toEqual([]);
    });

    test('is not begun where the volume has no room for old and new beside each other', async () => {
      const inPod = { pod: 'postgres-0', container: 'postgresql' };
      const filler = '/var/lib/postgresql/data/filler';
      const free = 'df --output=avail -B1 /var/lib/postgresql/data | tail -n 1';
      const fill = `head -c $(($(${free}) - 50000000)) /dev/zero > ${filler}`;
      expect(await namespace.exec({ ...inPod, command: ['bash', '-c', fill] })).toMatchObject({ code: 0 });
      try {
        const before = await startedAt();
        const failure = await failureOf(await recover(world, { lsn: first.lsn }, { inPlace: true }));
        expect(failure).toMatchObject({ type: 'PlanHopeless' });
        expect(failure.message).toMatch(/needs about [^,]+ in \/var\/lib\/postgresql\/data, where [\d.]+ MB are free/);
        expect(failure.hint).toContain(`let claim ${namespace.name}/data-postgres-0 grow`);
        expect(await startedAt()).toBe(before);
        expect(await namespace.list(jobs)).toEqual([]);
      } finally {
        await namespace.exec({ ...inPod, command: ['rm', filler] });
      }
    });

    test('that is thrown away brings the old state back', async () => {
      const handle = await approved();
      await untilFollowUp<RecoveryPlan>(handle);
      expect(await askCopy(handle, 'SELECT text FROM notes')).toBe('first');
      expect((await namespace.get(set))?.spec?.['replicas']).toBe(0);
      await handle.signal('throw-away', words);
      expect(await handle.result()).toMatchObject({ outcome: 'thrown away' });
      await untilServing();
      expect(await notes()).toBe('first,second');
      expect(await onVolume()).toBe('');
      expect(await namespace.list(jobs)).toEqual([]);
      expect(await podsOfRun()).toEqual([]);
    });
  }

  test('whose pod is evicted while it fetches and deleted while it waits is promoted and released all the same', async () => {
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap' } as const;
    await namespace.apply([{ ...configMap, metadata: failpoints, data: { armed: 'recover:fetched=wait' } }]);
    const handle = await approved();
    await untilProgress<RecoveryPlan>(handle, ({ steps }) => steps.some(({ name }) => name === 'fetch'));
    await namespace.delete({ ...configMap, name: failpoints.name });
    for (const pod of await podsOfRun()) await evict(kubernetes, namespace, pod);
    await untilFollowUp<RecoveryPlan>(handle);
    for (const { metadata } of await podsOfRun())
      await namespace.delete({ apiVersion: 'v1', kind: 'Pod', name: metadata?.name ?? '' });
    await handle.signal('promote', words);
    await untilProgress<RecoveryPlan>(
      handle,
      ({ waitingFor, followUps }) => waitingFor === 'follow-up' && followUps.includes('undo'),
    );
    await untilServing();
    expect(await notes()).toBe('first');
    expect(await server.psql('postgres', 'SELECT count(*) FROM big')).toBe('100000');
    expect(await onVolume()).not.toBe('');
    await note(server, 'new');
    const running = await startedAt();
    await handle.signal('release', words);
    expect(((await handle.result()) as RecoverResult).outcome).toBe('released');
    expect(await startedAt()).toBe(running);
    expect(await onVolume()).toBe('');
    expect(await notes()).toBe('first,new');
    expect(await namespace.list(jobs)).toEqual([]);
  });
});
