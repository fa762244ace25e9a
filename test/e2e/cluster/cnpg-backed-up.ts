/** What tests of CloudNativePG's recoveries share: a Cluster that archives into a bucket, and rows before and after a moment. */
import type { Namespace, openKubernetes } from '../../../parts/kubernetes.ts';

type Kubernetes = ReturnType<typeof openKubernetes>;

export const clusterKind = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster' } as const;

/** A store's section, as a Cluster and an ObjectStore have it. */
export const barmanSection = ({ s3 }: Kubernetes, bucket: string) => ({
  destinationPath: `s3://${bucket}/`,
  endpointURL: s3.endpoint,
  s3Credentials: {
    accessKeyId: { name: 's3', key: 'ACCESS_KEY_ID' },
    secretAccessKey: { name: 's3', key: 'ACCESS_SECRET_KEY' },
  },
});

/** The spec of a Cluster with one instance and a small volume. */
export const clusterSpec = (kubernetes: Kubernetes, more: object) => ({
  instances: 1,
  imageName: kubernetes.image('postgresql-17'),
  enableSuperuserAccess: true,
  storage: { size: '1Gi' },
  ...more,
});

/** 100 rows before the moment that it answers, 50 after it, all of them archived. */
export async function rowsAroundAMoment(namespace: Namespace, pod: string): Promise<string> {
  const sql = (text: string) => namespace.psql({ pod, database: 'app', sql: text });
  await sql('CREATE TABLE kept AS SELECT generate_series(1, 100) AS n');
  await sql('SELECT pg_sleep(0.2)');
  const moment = await sql(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+09:00'`,
  );
  await sql('SELECT pg_sleep(0.2)');
  await sql('INSERT INTO kept SELECT generate_series(101, 150)');
  await archived(namespace, pod);
  return moment;
}

/** Closes the segment that is written, and waits until it is in the archive. */
export async function archived(namespace: Namespace, pod: string): Promise<void> {
  const segment = await namespace.psql({ pod, sql: 'SELECT pg_walfile_name(pg_switch_wal())' });
  const last = 'SELECT coalesce(last_archived_wal, $$$$) FROM pg_stat_archiver';
  while ((await namespace.psql({ pod, sql: last })) < segment)
    await namespace.psql({ pod, sql: 'SELECT pg_sleep(0.5)' });
}
