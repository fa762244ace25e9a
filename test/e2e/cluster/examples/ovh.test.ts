import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { openKubernetes, type Namespace, type Seen } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import type { CnpgBackupResult } from '../../../../src/workflows/backup.ts';
import { start } from '../../runs.ts';
import { clusterKind } from '../cnpg-backed-up.ts';
import { useKubernetes } from '../kubeconfigs.ts';
import { configurationOf, standUp, storageOfClusters, storeOf, type Change } from './standing-up.ts';

const kubernetes = openKubernetes();
const images = { 'ghcr.io/cloudnative-pg/postgresql': kubernetes.image('postgresql-17') };
const scheduled = { apiVersion: clusterKind.apiVersion, kind: 'ScheduledBackup' } as const;
const name = (environment: string) => `example-api-db-${environment}`;
const environments = ['dev', 'prod'];

/**
 * Two environments in one namespace: only dev's Cluster has to run for what is promised here. CloudNativePG takes the objects
 * of staging only where there are VolumeSnapshots, which the cluster of the tests lacks.
 */
describe('examples/ovh', () => {
  let namespace: Namespace;
  let world: World;
  let bucket: Awaited<ReturnType<typeof kubernetes.s3.makeBucket>>;

  beforeAll(async () => {
    [namespace, world, bucket] = await Promise.all([
      kubernetes.makeNamespace('ovh'),
      startWorld(),
      kubernetes.s3.makeBucket('ovh'),
    ]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    await standUpDev([]);
    await namespace.waitUntilHealthy(name('dev'));
    await standUp(namespace, {
      row: 'ovh',
      overlay: 'prod',
      secrets: keys,
      images,
      changes: [
        storageOfClusters(kubernetes),
        ...storeOf(kubernetes, 'ObjectStore', bucket.name),
        { kind: 'Cluster', op: 'replace', path: '/spec/instances', value: 1 },
      ],
    });
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
    await bucket.remove();
  });

  const { endpoint, region, accessKeyId, secretAccessKey } = kubernetes.s3;
  const keys = { 's3.env': { ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey } };
  const standUpDev = (more: readonly Change[]) =>
    standUp(namespace, {
      row: 'ovh',
      overlay: 'dev',
      secrets: keys,
      images,
      changes: [storageOfClusters(kubernetes), ...storeOf(kubernetes, 'Cluster', bucket.name), ...more],
    });
  const importing = (...args: readonly string[]) =>
    world.holdfast('import', 'scheduledbackups', '--namespace', namespace.name, ...args);
  const retention = async () =>
    ((await namespace.get({ ...clusterKind, name: name('dev') }))?.spec?.['backup'] as Record<string, unknown>)[
      'retentionPolicy'
    ];

  test('has its ScheduledBackups imported as the policies that the example holds', async () => {
    const own = await configurationOf('ovh', namespace);
    await world.configure({ clusters: own.clusters, policies: {} });
    const printed = await importing();
    expect(printed).toMatchObject({ code: 0, stderr: '' });
    const { policies } = parse(printed.stdout) as { readonly policies: Readonly<Record<string, object>> };
    expect(Object.keys(policies).sort()).toEqual(environments.map(name));
    expect(policies[name('dev')]).toEqual(own.policies?.['api-dev']);
    expect(own.policies?.['api-prod']).toMatchObject({ ...policies[name('prod')], cnpg: { method: 'plugin' } });
  });

  test('has 7d written to its retentionPolicy by an apply, and only then rest its ScheduledBackups', async () => {
    const { clusters, policies = {}, ...own } = await configurationOf('ovh', namespace);
    const here = <T>(all: Readonly<Record<string, T>>) =>
      Object.fromEntries(Object.entries(all).filter(([each]) => each !== 'api-staging'));
    world.useKeys('ovh', { accessKeyId, secretAccessKey });
    const credentials = { accessKeyId: { env: 'OVH_ID' }, secretAccessKey: { env: 'OVH_SECRET' } };
    await world.configure({
      ...own,
      clusters: here(clusters),
      policies: here(policies),
      repositories: {
        nas: { directory: world.repository },
        ovh: { s3: { bucket: bucket.name, prefix: 'logical', endpoint, region, credentials } },
      },
    });
    // Somebody has set another one by hand.
    await standUpDev([{ kind: 'Cluster', op: 'replace', path: '/spec/backup/retentionPolicy', value: '30d' }]);
    expect(await retention()).toBe('30d');
    const applied = await world.holdfast('apply', '--json');
    expect((JSON.parse(applied.stdout) as { readonly retention: unknown }).retention).toEqual([
      expect.objectContaining({ policy: 'api-dev', window: '7d', change: 'updated', before: '30d' }),
      expect.objectContaining({ policy: 'api-prod', window: '30d', change: 'unchanged' }),
    ]);
    expect(await retention()).toBe('7d');

    expect(await importing('--suspend', '--yes')).toMatchObject({ code: 0 });
    for (const environment of environments)
      expect((await namespace.get({ ...scheduled, name: name(environment) }))?.spec?.['suspend']).toBe(true);
  });

  test('is backed up to the endpoint that the Cluster names, and says from when on it can be recovered', async () => {
    await world.startWorker();
    const run = await start(world, 'backup', { policy: 'api-dev' });
    const taken = (await run.result()) as CnpgBackupResult;
    expect(taken).toMatchObject({ method: 'barmanObjectStore', instance: `${name('dev')}-1` });
    // The operator writes it some time after the backup.
    await namespace.waitUntil(
      { ...clusterKind, name: name('dev') },
      ({ status }: Seen) => status?.['firstRecoverabilityPoint'] !== undefined,
      { what: 'the Cluster says from when on it can be recovered' },
    );
    const { code, stdout } = await world.holdfast('window', 'api-dev', '--json');
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as { readonly cnpg: object }).cnpg).toMatchObject([
      { cluster: 'api-dev', since: expect.stringMatching(/^\d{4}-/), archiving: { works: true } },
    ]);
  });
});
