import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { lendPrograms, type Lent } from '../../../parts/lent-programs.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import { leftOfRecoveries, note, recoverTo, startArchive, stopArchiving, untilArchived } from '../recovering.ts';
import { backUp, failureOf, start } from '../runs.ts';
import { plainPostgres } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const password = "it's no secret";

/** As a Secret and a Service beside it say where it is and as whom. */
const secret = {
  POSTGRES_USER: 'admin',
  POSTGRES_PASSWORD: password,
  POSTGRES_HOST: 'postgres-lb',
  POSTGRES_PORT: '5432',
};

describe("a StatefulSet of Docker's image", () => {
  let namespace: Namespace;
  let world: World;
  let programs: Lent | undefined;

  beforeAll(async () => {
    [namespace, world] = await Promise.all([kubernetes.makeNamespace('statefulset'), startWorld()]);
    await namespace.apply([
      // Its copies run on this machine, which has no other locale.
      ...plainPostgres(kubernetes, 'postgres', {
        layout: 'docker',
        major: 17,
        password,
        environment: { POSTGRES_USER: 'admin', LANG: 'C.UTF-8' },
      }),
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'postgres-admin' }, stringData: secret },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'postgres-lb' },
        spec: { selector: { 'app.kubernetes.io/instance': 'postgres' }, ports: [{ port: 5432 }] },
      },
    ]);
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'postgres' },
      ({ status }: Seen) => status?.['readyReplicas'] === 1,
      { what: 'its pod is ready' },
    );
    const found = findPostgres(17);
    // Copies run as a user who gets to no directory of root's.
    programs = found === undefined ? undefined : await lendPrograms(found, 17, serverUser() !== undefined);
    await world.configure({
      clusters: {
        main: {
          statefulset: { namespace: namespace.name, name: 'postgres', secret: 'postgres-admin' },
          wal: { repository: 'nas', maxAge: '1h' },
        },
      },
      policies: { base: { cluster: 'main', method: 'base', repository: 'nas', window: '14d' } },
      ...(programs === undefined ? {} : { tools: { postgres: { '17': programs.binDir } } }),
    });
    await world.startWorker({ environment: { KUBECONFIG: kubernetes.kubeconfigFile } });
  });
  afterAll(async () => {
    await stopArchiving({ world });
    await programs?.giveBack();
    await namespace.remove();
  });

  const server = {
    psql: (database: string, sql: string) =>
      namespace.psql({ pod: 'postgres-0', container: 'postgresql', user: 'admin', database, sql }),
  };

  // Docker's image lets everybody into every database, and nobody replicate.
  test('that lets nobody replicate says which line it lacks, for wherever workers run', async () => {
    const failure = await failureOf(await start(world, 'backup', { policy: 'base' }));
    expect(failure).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining(': host replication admin all scram-sha-256'),
    });
    const [, line = ''] = /: (host .*)$/.exec(failure.hint) ?? [];
    const command = ['sh', '-c', `echo '${line}' >> "$PGDATA/pg_hba.conf"`];
    expect(await namespace.exec({ pod: 'postgres-0', container: 'postgresql', command })).toMatchObject({ code: 0 });
    await server.psql('postgres', 'SELECT pg_reload_conf()');
  });

  test('is recovered beside to a time between two transactions, from a base backup and its WAL', async () => {
    await server.psql('postgres', 'CREATE TABLE notes (text text)');
    await startArchive(world);
    const taken = await backUp(world, 'base');
    expect(taken).toMatchObject({ status: 'complete' });
    const first = await note(server, 'first');
    await note(server, 'second');
    await untilArchived(world, server);
    const copy = await recoverTo(world, { time: first.at });
    expect(await copy.notes()).toBe('first');
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away', base: taken.id });
    const whole = await recoverTo(world, 'latest');
    expect(await whole.notes()).toBe('first,second');
    await whole.throwAway();
    expect(await leftOfRecoveries(world)).toEqual([]);
  });

  test('whose pod is made anew is archived on from where it was', async () => {
    await namespace.delete({ apiVersion: 'v1', kind: 'Pod', name: 'postgres-0' });
    await namespace.waitUntil(
      { apiVersion: 'v1', kind: 'Pod', name: 'postgres-0' },
      ({ status }: Seen) =>
        (status?.['conditions'] as { type: string; status: string }[] | undefined)?.some(
          (condition) => condition.type === 'Ready' && condition.status === 'True',
        ) === true,
      { what: 'it is ready' },
    );
    await note(server, 'third');
    await untilArchived(world, server);
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('first,second,third');
    await copy.throwAway();
  });

  test('no password is in what Temporal remembers of the runs', async () => {
    for await (const { workflowId } of world.client.workflow.list())
      expect(JSON.stringify(await world.client.workflow.getHandle(workflowId).fetchHistory())).not.toContain(password);
  });
});
