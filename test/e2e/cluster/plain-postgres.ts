import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Kubernetes } from '../../../parts/kubernetes.ts';

export interface PlainPostgres {
  readonly layout: 'bitnami' | 'docker';
  readonly major: number;
  readonly password: string;
  /** More of the container's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the volume; 1Gi by default. */
  readonly size?: string;
}

/** Where each image keeps its data, and as whom. */
const LAYOUTS = {
  bitnami: { mountPath: '/bitnami/postgresql', security: { runAsUser: 1001, runAsGroup: 1001, fsGroup: 1001 } },
  // Starts as root and steps down by itself.
  docker: { mountPath: '/var/lib/postgresql/data', security: {} },
} as const;

/** A Secret, a Service and a StatefulSet of one PostgreSQL, all of one name, as people without an operator run it. */
export function plainPostgres(
  kubernetes: Kubernetes,
  name: string,
  { layout, major, password, environment = {}, size = '1Gi' }: PlainPostgres,
): readonly object[] {
  const { mountPath, security } = LAYOUTS[layout];
  const labels = { 'app.kubernetes.io/name': 'postgresql', 'app.kubernetes.io/instance': name };
  const container = {
    name: 'postgresql',
    image: kubernetes.image(`${layout}-postgresql-${String(major)}`),
    env: [
      { name: 'POSTGRES_PASSWORD', valueFrom: { secretKeyRef: { name, key: 'postgres-password' } } },
      ...Object.entries(environment).map(([key, value]) => ({ name: key, value })),
    ],
    ports: [{ name: 'postgresql', containerPort: 5432 }],
    // A busy machine takes its time to start even a probe.
    readinessProbe: {
      exec: { command: ['pg_isready', '-h', '127.0.0.1'] },
      periodSeconds: 2,
      timeoutSeconds: 30,
      failureThreshold: 10,
    },
    volumeMounts: [{ name: 'data', mountPath }],
  };
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } };
  const spec = {
    serviceName: name,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { securityContext: security, containers: [container] } },
    volumeClaimTemplates: [
      { metadata: { name: 'data' }, spec: { ...claim, storageClassName: kubernetes.storageClass } },
    ],
  };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { 'postgres-password': password } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: labels, ports: [{ name: 'postgresql', port: 5432 }] },
    },
    { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name, labels }, spec },
  ];
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/**
 * Runs one statement over the network, from this process, and answers with its rows. A Service may refuse for a moment
 * after its pod has become ready, so a refused connection is tried again for five minutes.
 */
export async function ask<T extends object>(host: string, login: Login, sql: string): Promise<readonly T[]> {
  const deadline = Date.now() + 300_000;
  for (;;) {
    const client = new pg.Client({ host, port: 5432, ...login });
    try {
      await client.connect();
      return (await client.query<T>(sql)).rows;
    } catch (error) {
      if (!isPassing(error) || Date.now() > deadline) throw error;
    } finally {
      await client.end();
    }
    await sleep(200);
  }
}

/** Nobody listens, no name yet, or the server is just starting. */
function isPassing(error: unknown): boolean {
  const { code = '' } = error as { code?: string };
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ETIMEDOUT', 'ECONNRESET', '57P03'].includes(code);
}
