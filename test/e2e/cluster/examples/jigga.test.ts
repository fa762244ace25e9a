import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { openKubernetes, type Namespace, type Seen } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import { findPostgres } from '../../../../scripts/setup/places.mjs';
import type { DrillResult } from '../../../../src/workflows/drill.ts';
import type { RestoreResult } from '../../../../src/workflows/restore-run.ts';
import { lentServerPrograms, type LentPrograms } from '../../../postgres/instance/programs.ts';
import { approve, backUp, start, untilDecision, untilFollowUp } from '../../runs.ts';
import { clusterKind } from '../cnpg-backed-up.ts';
import { useKubernetes } from '../kubeconfigs.ts';
import { configurationOf, standUp, storageOfClusters, untilAllHaveJoined } from './standing-up.ts';

const kubernetes = openKubernetes();
/** Not every Debian archive that can be reached has 18. */
const major = kubernetes.hasImage('postgresql-18') && findPostgres(18) !== undefined ? 18 : 17;
const name = 'postgres-cluster';
const databases = ['app', 'gatus', 'vaultwarden'];

describe('examples/jigga', () => {
  let namespace: Namespace;
  let world: World;
  let lent: LentPrograms;

  beforeAll(async () => {
    [namespace, world, lent] = await Promise.all([
      kubernetes.makeNamespace('jigga'),
      startWorld(),
      lentServerPrograms(major),
    ]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    const login = (username: string) => ({ username, password: `only for ${username}` });
    await standUp(namespace, {
      row: 'jigga',
      overlay: 'homelab',
      secrets: {
        'postgres-superuser.env': login('postgres'),
        'postgres-gatus.env': login('gatus'),
        'postgres-vaultwarden.env': login('vaultwarden'),
      },
      images: { 'ghcr.io/cloudnative-pg/postgresql': kubernetes.image(`postgresql-${String(major)}`) },
      changes: [storageOfClusters(kubernetes)],
    });
    await untilAllHaveJoined(namespace, name);
  });
  beforeAll(async () => {
    for (const database of ['gatus', 'vaultwarden'])
      await namespace.waitUntil(
        { apiVersion: clusterKind.apiVersion, kind: 'Database', name: database },
        ({ status }: Seen) => status?.['applied'] === true,
        { what: 'the database is there' },
      );
    for (const database of databases)
      await sql(database, `SET ROLE ${database}; CREATE TABLE kept AS SELECT n FROM generate_series(1, 5000) n`);
    await world.configure({
      ...(await configurationOf('jigga', namespace)),
      // Stands for the NFS export.
      repositories: { nas: { directory: world.repository } },
      tools: { postgres: { [String(major)]: lent.binDir } },
    });
    await world.startWorker();
  });
  afterAll(async () => {
    await world.stop();
    await lent.giveBack();
    await namespace.remove();
  });

  const sql = async (database: string, text: string) => {
    const pod = (await namespace.get({ ...clusterKind, name }))?.status?.['currentPrimary'] as string;
    return namespace.psql({ pod, database, sql: text });
  };
  const rows = (database: string) => sql(database, 'SELECT count(*), sum(n) FROM kept');

  test('of three instances is dumped to the export under the names that it always had', async () => {
    expect((await namespace.get({ ...clusterKind, name }))?.status).toMatchObject({ readyInstances: 3 });
    const taken = await backUp(world, 'jigga-daily');
    expect(taken).toMatchObject({ status: 'complete', id: expect.stringMatching(/^postgres-backup-\d{8}-\d{6}$/) });
    const names = (await readdir(world.repository)).filter((each) => each.startsWith('postgres-backup-'));
    expect(names.sort()).toEqual([`${taken.id}.manifest.json`, `${taken.id}.sql.gz`]);
  });

  test("is proven by a drill in a pod with the cluster's own image", async () => {
    const drill = await start(world, 'drill', { policy: 'jigga-daily' });
    expect((await drill.result()) as DrillResult).toMatchObject({ outcome: 'passed' });
  });

  test('has gatus restored beside the live one, and swapped in once a human approves', async () => {
    const [before, vaultwarden] = [await rows('gatus'), await rows('vaultwarden')];
    await sql('gatus', 'DELETE FROM kept WHERE n > 10');
    const handle = await start(world, 'restore', { cluster: 'jigga', backup: 'latest', database: 'gatus' });
    const waiting = await untilDecision(handle);
    expect(waiting.plan?.facts.report).toMatchObject({ ok: true, differences: [] });
    expect(await rows('gatus')).toBe('10|55');
    await approve(handle, waiting);
    await untilFollowUp(handle);
    expect(await rows('gatus')).toBe(before);
    expect(await rows('vaultwarden')).toBe(vaultwarden);
    await handle.signal('release', { by: 'alice', reason: 'gatus is well' });
    expect((await handle.result()) as RestoreResult).toMatchObject({ outcome: 'released', database: 'gatus' });
    expect(await sql('postgres', "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname LIKE 'gatus%'")).toBe(
      'gatus',
    );
  });
});
