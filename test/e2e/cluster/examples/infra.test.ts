import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import { lentServerPrograms, type LentPrograms } from '../../../postgres/instance/programs.ts';
import { leftOfRecoveries, note, recoverTo, stopArchiving, untilArchived } from '../../recovering.ts';
import { backUp } from '../../runs.ts';
import { useKubernetes } from '../kubeconfigs.ts';
import { configurationOf, standUp, type Change } from './standing-up.ts';

const kubernetes = openKubernetes();
const cluster = 'infra';
const inPod = { pod: 'postgres-0', container: 'postgres' };

describe('examples/infra', () => {
  let namespace: Namespace;
  let world: World;
  let lent: LentPrograms;

  beforeAll(async () => {
    [namespace, world, lent] = await Promise.all([
      kubernetes.makeNamespace('infra'),
      startWorld(),
      lentServerPrograms(17),
    ]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    await standUpAs('today');
    await server.psql('postgres', 'CREATE TABLE notes (text text)');
    await world.configure({
      ...(await configurationOf('infra', namespace)),
      repositories: { nas: { directory: world.repository } },
      tools: { postgres: { '17': lent.binDir } },
    });
    await world.startWorker();
  });
  afterAll(async () => {
    await stopArchiving({ world });
    await lent.giveBack();
    await namespace.remove();
  });

  async function standUpAs(overlay: 'today' | 'holdfast') {
    const { storageClass: value } = kubernetes;
    const changes: Change[] = [
      { kind: 'StatefulSet', op: 'add', path: '/spec/volumeClaimTemplates/0/spec/storageClassName', value },
      { kind: 'PersistentVolumeClaim', op: 'add', path: '/spec/storageClassName', value },
    ];
    await standUp(namespace, {
      row: 'infra',
      overlay,
      secrets: {
        'postgres-admin.env': {
          POSTGRES_USER: 'admin',
          POSTGRES_PASSWORD: "it's no secret",
          POSTGRES_HOST: 'postgres-lb',
          POSTGRES_PORT: '5432',
        },
      },
      images: { postgres: kubernetes.image('docker-postgresql-17') },
      changes,
    });
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'postgres' },
      ({ metadata, status }: Seen) =>
        status?.['observedGeneration'] === metadata?.generation &&
        status?.['readyReplicas'] === 1 &&
        status['updateRevision'] === status['currentRevision'],
      { what: 'its pod is as it should be, and ready' },
    );
  }

  const server = {
    psql: (database: string, sql: string) => namespace.psql({ ...inPod, user: 'admin', database, sql }),
  };
  const onVolume = async () =>
    (await namespace.exec({ ...inPod, command: ['ls', '/wal-archive'] })).stdout.trim().split('\n');

  test('is recovered to a time, from base backups and streamed WAL, while its own archive goes on', async () => {
    expect(await world.holdfast('apply')).toMatchObject({ code: 0 });
    const taken = await backUp(world, 'infra-base');
    expect(taken).toMatchObject({ status: 'complete' });
    const first = await note(server, 'first');
    await note(server, 'second');
    const segment = await untilArchived(world, server, cluster);
    const copy = await recoverTo(world, { time: first.at }, { cluster });
    expect(await copy.notes()).toBe('first');
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away', base: taken.id });
    expect(await leftOfRecoveries(world)).toEqual([]);
    while (!(await onVolume()).includes(segment)) await server.psql('postgres', 'SELECT pg_sleep(0.5)');
  });

  test('has a dump for another major version beside it', async () => {
    expect(await backUp(world, 'infra-weekly')).toMatchObject({ status: 'complete' });
  });

  test('goes on being archived once its own archive is taken away, with not a row between lost', async () => {
    await standUpAs('holdfast');
    expect(await server.psql('postgres', 'SHOW archive_mode')).toBe('off');
    await note(server, 'third');
    await untilArchived(world, server, cluster);
    const copy = await recoverTo(world, 'latest', { cluster });
    expect(await copy.notes()).toBe('first,second,third');
    await copy.throwAway();
  });
});
