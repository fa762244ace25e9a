import { expect, test } from '@jest/globals';
import { openKubernetes, type Seen } from '../../../parts/kubernetes.ts';
import { startWorld } from '../../../parts/world.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import type { BackupResult } from '../../../src/workflows/backup.ts';
import { start } from '../runs.ts';
import { ask, plainPostgres } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const first = "it's no secret";
const second = 'nor is "this"';

test('a password that is changed in the middle of a backup is the one that the rest of it uses', async () => {
  const world = await startWorld();
  try {
    await kubernetes.withNamespace('rotated', async (namespace) => {
      await namespace.apply(plainPostgres(kubernetes, 'infra', { layout: 'docker', major: 17, password: first }));
      await namespace.waitUntil(
        { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'infra' },
        ({ status }: Seen) => status?.['readyReplicas'] === 1,
        { what: 'its pod is ready' },
      );
      const inPod = { pod: 'infra-0', container: 'postgresql', user: 'postgres' };
      await namespace.psql({ ...inPod, sql: 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n' });
      const found = findPostgres(17);
      await world.configure({
        clusters: { infra: { statefulset: { namespace: namespace.name, name: 'infra', secret: 'infra' } } },
        policies: { dump: { cluster: 'infra', method: 'pg_dumpall', repository: 'nas' } },
        ...(found === undefined ? {} : { tools: { postgres: { '17': found.binDir } } }),
      });
      const environment = { KUBECONFIG: kubernetes.kubeconfigFile };
      const doomed = await world.startWorker({ environment, failpoints: 'take:staged=kill' });
      const run = await start(world, 'backup', { policy: 'dump' });
      await doomed.ended();

      await namespace.psql({ ...inPod, sql: `ALTER ROLE postgres PASSWORD '${second}'` });
      const stringData = { 'postgres-password': second };
      await namespace.apply([{ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'infra' }, stringData }]);
      const host = `infra.${namespace.name}.svc`;
      const login = { user: 'postgres', database: 'postgres' };
      await expect(ask(host, { ...login, password: first }, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });

      await world.startWorker({ environment });
      expect((await run.result()) as BackupResult).toMatchObject({ status: 'complete' });
      const listed = await world.holdfast('backups', 'list', '--json');
      expect((JSON.parse(listed.stdout) as { readonly backups: readonly object[] }).backups).toHaveLength(1);
      const history = JSON.stringify(await run.fetchHistory());
      for (const secret of [first, second]) expect(history).not.toContain(JSON.stringify(secret).slice(1, -1));
    });
  } finally {
    await world.stop();
  }
});
