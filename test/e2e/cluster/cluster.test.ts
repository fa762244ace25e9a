import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openKubernetes, type Namespace, type Seen } from '../../../parts/kubernetes.ts';
import { ask, plainPostgres, type Login } from './plain-postgres.ts';

const kubernetes = openKubernetes();
const majors = [17, 18].filter((major) => kubernetes.hasImage(`postgresql-${String(major)}`));
const password = "it's no secret";

describe.each(majors)('PostgreSQL %i in the cluster', (major) => {
  let namespace: Namespace;

  beforeAll(async () => {
    namespace = await kubernetes.makeNamespace(`bed${String(major)}`);
  });
  afterAll(() => namespace.remove());

  const whoAnswers = async (service: string, login: Login) => {
    const sql = "SELECT current_user AS user, current_setting('server_version_num')::int / 10000 AS major";
    return await ask<{ user: string; major: number }>(`${service}.${namespace.name}.svc`, login, sql);
  };
  const untilReady = (name: string, besides: (object: Seen) => boolean = () => true) =>
    namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name },
      (seen) => seen.status?.['readyReplicas'] === 1 && besides(seen),
      { what: 'its pod is ready' },
    );

  test('as a CloudNativePG Cluster answers this process through its Service, with the password of its Secret', async () => {
    await namespace.apply(`
      apiVersion: postgresql.cnpg.io/v1
      kind: Cluster
      metadata: { name: main }
      spec:
        instances: 1
        imageName: ${kubernetes.image(`postgresql-${String(major)}`)}
        storage: { size: 1Gi }
    `);
    await namespace.waitUntilHealthy('main');
    const { username = '', dbname = '', ...secret } = await namespace.secret('main-app');
    const login = { user: username, password: secret['password'] ?? '', database: dbname };
    expect(await whoAnswers('main-rw', login)).toEqual([{ user: 'app', major }]);
    expect(await namespace.psql({ pod: 'main-1', sql: 'SELECT pg_is_in_recovery()' })).toBe('f');
    await expect(namespace.psql({ pod: 'main-1', sql: 'SELECT nonsense' })).rejects.toThrow(
      '"nonsense" does not exist',
    );
  });

  test('in a StatefulSet laid out like Bitnami’s answers through its Service', async () => {
    const environment = { POSTGRES_DB: 'shop' };
    await namespace.apply(plainPostgres(kubernetes, 'shop', { layout: 'bitnami', major, password, environment }));
    await untilReady('shop');
    expect(await whoAnswers('shop', { user: 'postgres', password, database: 'shop' })).toEqual([
      { user: 'postgres', major },
    ]);
    const command = ['stat', '--format', '%u %A', '/bitnami/postgresql/data'];
    expect((await namespace.exec({ pod: 'shop-0', command })).stdout).toMatch(/^1001 drwx--[-S]---\n$/);
  });

  test('in a StatefulSet laid out like Docker’s official image keeps its data when the pod is replaced', async () => {
    const environment = { POSTGRES_USER: 'admin', PGDATA: '/var/lib/postgresql/data/pgdata' };
    await namespace.apply(plainPostgres(kubernetes, 'wiki', { layout: 'docker', major, password, environment }));
    await untilReady('wiki');
    const login = { user: 'admin', password, database: 'admin' };
    expect(await whoAnswers('wiki', login)).toEqual([{ user: 'admin', major }]);
    const inPod = { pod: 'wiki-0', container: 'postgresql', user: 'admin', database: 'admin' };
    await namespace.psql({ ...inPod, sql: 'CREATE TABLE kept AS SELECT 42 AS answer' });

    await namespace.delete({ apiVersion: 'v1', kind: 'Pod', name: 'wiki-0' });
    await untilReady('wiki');
    const host = `wiki.${namespace.name}.svc`;
    expect(await ask(host, login, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    const command = ['stat', '--format', '%u', environment.PGDATA];
    expect((await namespace.exec({ pod: 'wiki-0', command })).stdout).toBe('999\n');
  });
});

describe('the bed', () => {
  test('has an S3 server with buckets of a test’s own', async () => {
    const bucket = await kubernetes.s3.makeBucket('bed');
    const client = kubernetes.s3.client();
    await client.putObject({ Bucket: bucket.name, Key: 'a/b', Body: 'kept' });
    const { Body } = await client.getObject({ Bucket: bucket.name, Key: 'a/b' });
    expect(await Body?.transformToString()).toBe('kept');
    client.destroy();
    await bucket.remove();
  });

  test('shows the last state of what does not come to be', async () => {
    await kubernetes.withNamespace('bed', async (namespace) => {
      await namespace.apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'still' } }]);
      const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'still' };
      const waiting = namespace.waitUntil(reference, () => false, { what: 'it moves', timeoutMs: 0 });
      await expect(waiting).rejects.toThrow(/^ConfigMap still: not in time: it moves[^]*name: 'still'/);
      await namespace.delete(reference);
      expect(await namespace.get(reference)).toBeUndefined();
    });
  });
});
