import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { KubernetesObject } from '@kubernetes/client-node';
import { objectsOf } from './manifests.ts';

export interface ApiServer {
  readonly kubeconfigFile: string;
  /** Method and path with its query, of each request. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface Wishes {
  readonly objects: readonly KubernetesObject[];
  /** In the order of `kubectl get namespaces`; default: those of the objects. */
  readonly namespaces?: readonly string[];
  /** Kinds in the plural, with the namespace where only that is meant: "pods", "shop/services", "namespaces". */
  readonly refused?: readonly string[];
  /** APIs of CustomResourceDefinitions that are there. */
  readonly apis?: readonly string[];
  /** Answers in the place of the server's; undefined: the server's. */
  readonly odd?: (url: URL) => { readonly status: number; readonly body: unknown } | undefined;
  readonly directory: string;
  /** The namespace of the kubeconfig's context. */
  readonly home?: string;
}

const kinds: Readonly<Record<string, string>> = {
  statefulsets: 'StatefulSet',
  deployments: 'Deployment',
  pods: 'Pod',
  services: 'Service',
  persistentvolumeclaims: 'PersistentVolumeClaim',
  clusters: 'Cluster',
  scheduledbackups: 'ScheduledBackup',
  poolers: 'Pooler',
  objectstores: 'ObjectStore',
};

/** Answers lists as the Kubernetes API does, two objects a page, and tells what it was asked. */
export async function startApiServer(wishes: Wishes): Promise<ApiServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(wishes, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const kubeconfigFile = join(wishes.directory, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server: `http://127.0.0.1:${String(port)}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...(wishes.home && { namespace: wishes.home }) } }],
    'current-context': 'x',
  };
  writeFileSync(kubeconfigFile, JSON.stringify(config));
  return {
    kubeconfigFile,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function answer(wishes: Wishes, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://api');
  const { status, body } = wishes.odd?.(url) ?? answered(wishes, url);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function answered({ objects, refused = [], apis = [], ...wishes }: Wishes, url: URL) {
  const namespaces =
    wishes.namespaces ?? [...new Set(objects.flatMap(({ metadata }) => metadata?.namespace ?? []))].sort();
  const path =
    /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>v1)(?:\/namespaces\/(?<namespace>[^/]+))?(?:\/(?<plural>[^/]+))?$/;
  const { group, version = '', namespace, plural } = path.exec(url.pathname)?.groups ?? {};
  if (plural === undefined && namespace !== undefined) {
    if (refused.includes('namespaces')) return failure(403, `namespaces "${namespace}" is forbidden`);
    return namespaces.includes(namespace)
      ? { status: 200, body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } } }
      : failure(404, `namespaces "${namespace}" not found`);
  }
  if (plural === undefined) {
    if (group === undefined || !apis.includes(`${group}/${version}`)) return failure(404, 'the server has no such API');
    const resources = Object.entries(kinds).map(([name, kind]) => ({ name, kind, namespaced: true, verbs: ['list'] }));
    return { status: 200, body: { kind: 'APIResourceList', groupVersion: `${group}/${version}`, resources } };
  }
  // Who is refused in one namespace is refused where all are asked for.
  const isRefused = refused.some((each) =>
    namespace === undefined
      ? each === plural || each.endsWith(`/${plural}`)
      : [plural, `${namespace}/${plural}`].includes(each),
  );
  if (isRefused) return failure(403, `${plural} is forbidden: User "t" cannot list resource "${plural}"`);
  const all =
    plural === 'namespaces'
      ? namespaces.map((name) => ({ metadata: { name } }))
      : objects.filter(
          ({ kind, metadata }) =>
            kind === kinds[plural] && (namespace === undefined || metadata?.namespace === namespace),
        );
  const from = Number(url.searchParams.get('continue') ?? 0);
  const to = from + Math.min(2, Number(url.searchParams.get('limit')));
  const more = to < all.length ? { continue: String(to) } : {};
  return { status: 200, body: { kind: 'List', metadata: more, items: all.slice(from, to) } };
}

export const failure = (status: number, message: string) => ({
  status,
  body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status },
});

export const everyApi = ['postgresql.cnpg.io/v1', 'barmancloud.cnpg.io/v1'];

export const severalFixtures = () =>
  ['cnpg-plugin', 'docker-image', 'bitnami-standalone', 'bitnami-replication'].flatMap(objectsOf);
