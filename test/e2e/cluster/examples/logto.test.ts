import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import type { CnpgRecoveryPlan } from '../../../../src/domain/cnpg-recovery-facts.ts';
import type { CnpgBackupResult } from '../../../../src/workflows/backup.ts';
import { start, untilFollowUp } from '../../runs.ts';
import { archived, clusterKind } from '../cnpg-backed-up.ts';
import { useKubernetes } from '../kubeconfigs.ts';
import { configurationOf, standUp, storageOfClusters, storeOf, untilAllHaveJoined } from './standing-up.ts';

const kubernetes = openKubernetes();
const images = { 'ghcr.io/cloudnative-pg/postgresql': kubernetes.image('postgresql-17') };
const name = 'logto-postgres';
const pod = `${name}-1`;

describe('examples/logto', () => {
  let dev: Namespace;
  let prod: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [dev, prod, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('logto-dev'),
      kubernetes.makeNamespace('logto-prod'),
      startWorld(),
      kubernetes.s3.makeBucket('logto'),
    ]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    const { accessKeyId, secretAccessKey } = kubernetes.s3;
    const storage = storageOfClusters(kubernetes);
    await standUp(dev, { row: 'logto', overlay: 'dev', images, changes: [storage] });
    await standUp(prod, {
      row: 'logto',
      overlay: 'prod',
      secrets: { 's3.env': { ACCESS_KEY_ID: accessKeyId, ACCESS_SECRET_KEY: secretAccessKey } },
      images,
      changes: [storage, ...storeOf(kubernetes, 'Cluster', bucket.name)],
    });
    await dev.waitUntilHealthy(name);
  });
  beforeAll(async () => {
    await untilAllHaveJoined(prod, name);
  });
  afterAll(async () => {
    await world.stop();
    await Promise.all([dev.remove(), prod.remove()]);
    await bucket.remove();
  });

  const sql = (text: string, inPod = pod) => prod.psql({ pod: inPod, database: 'logto', sql: text });
  const users = (inPod?: string) => sql('SELECT count(*), max(id) FROM users', inPod);
  const schedules = async () => {
    const ids: string[] = [];
    for await (const { scheduleId } of world.client.schedule.list()) ids.push(scheduleId);
    return ids;
  };

  test('in development has one instance and no backup, and nothing runs on its own', async () => {
    const spec = (await dev.get({ ...clusterKind, name }))?.spec;
    expect(spec).toMatchObject({ instances: 1 });
    expect(spec).not.toHaveProperty('backup.barmanObjectStore');
    await world.configure(await configurationOf('logto', dev, 'holdfast.dev.yaml'));
    expect(await world.holdfast('apply')).toMatchObject({ code: 0 });
    expect(await schedules()).toEqual([]);
  });

  test('in production is backed up to its bucket, by the keys of a sealed secret, and kept for 30 days', async () => {
    await world.configure(await configurationOf('logto', prod, 'holdfast.prod.yaml'));
    await world.startWorker();
    expect(await world.holdfast('apply')).toMatchObject({ code: 0 });
    expect(await schedules()).toEqual(['logto-prod/logto-daily']);
    await sql(`SET ROLE logto; CREATE TABLE users AS SELECT n AS id FROM generate_series(1, 1000) n`);
    const run = await start(world, 'backup', { policy: 'logto-daily' });
    const taken = (await run.result()) as CnpgBackupResult;
    expect(taken).toMatchObject({ method: 'barmanObjectStore', beginWal: expect.stringMatching(/^[0-9A-F]{24}$/) });
    expect((await prod.get({ ...clusterKind, name }))?.spec).toMatchObject({
      instances: 3,
      backup: { retentionPolicy: '30d' },
    });
    const backups = await prod.list({ apiVersion: clusterKind.apiVersion, kind: 'Backup' });
    expect(backups.map(({ metadata, status }) => [metadata?.name, status?.['phase']])).toEqual([
      [taken.name, 'completed'],
    ]);
  });

  test('is recovered to a moment before a mishap, with every row, into a Cluster beside that is thrown away', async () => {
    await sql('SET ROLE logto; INSERT INTO users SELECT generate_series(1001, 1500)');
    await sql('SELECT pg_sleep(0.2)');
    const time = await sql(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`);
    await sql('SELECT pg_sleep(0.2)');
    await sql('DELETE FROM users WHERE id > 10');
    await archived(prod, pod);
    const into = 'logto-postgres-before';
    const run = await start(world, 'recover', { cluster: 'logto', target: { time }, into: { name: into } });
    const { standing } = await untilFollowUp<CnpgRecoveryPlan>(run);
    expect(standing).toContain('check passed: `logto: SELECT count(*) > 0 FROM users`');
    expect(await users(`${into}-1`)).toBe('1500|1500');
    expect(await users()).toBe('10|10');
    await run.signal('throw-away', { by: 'alice', reason: 'the rows are there' });
    expect(await run.result()).toMatchObject({ outcome: 'thrown away' });
    expect((await prod.list(clusterKind)).map(({ metadata }) => metadata?.name)).toEqual([name]);
  });
});
