import type { V1ObjectMeta, V1PodSpec } from '@kubernetes/client-node';
import { envText, postgresIn, type PostgresContainer } from './containers.ts';
import type { Listed, ProxyFound, WorkloadFound } from './found.ts';
import { proxyOf } from './images.ts';
import { servicesOf } from './services.ts';
import { superuserOf } from './superuser.ts';
import { volumesOfPod, volumesOfSet, type VolumeFound } from './volumes.ts';

interface Workload {
  readonly kind: WorkloadFound['kind'];
  readonly metadata: V1ObjectMeta | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: V1PodSpec | undefined;
  readonly replicas: number;
  readonly governingService: string | undefined;
  readonly volumes: () => VolumeFound[];
}

/** StatefulSets, Deployments and bare pods with a PostgreSQL server, and the proxies before such servers. */
export function findWorkloads(listed: Listed): (WorkloadFound | ProxyFound)[] {
  return workloadsIn(listed).flatMap((workload): (WorkloadFound | ProxyFound)[] => {
    const server = postgresIn(workload.spec);
    if (server !== undefined) return [describe(workload, server, listed)];
    const proxy = proxyIn(workload);
    return proxy === undefined ? [] : [proxy];
  });
}

function workloadsIn({ statefulSets, deployments, pods, claims }: Listed): Workload[] {
  return [
    ...statefulSets.map((set): Workload => ({
      kind: 'statefulset',
      metadata: set.metadata,
      labels: set.spec?.template.metadata?.labels ?? {},
      spec: set.spec?.template.spec,
      replicas: set.spec?.replicas ?? 1,
      governingService: set.spec?.serviceName === '' ? undefined : set.spec?.serviceName,
      volumes: () => volumesOfSet(set, claims),
    })),
    ...deployments.map(({ metadata, spec }): Workload => ({
      kind: 'deployment',
      metadata,
      labels: spec?.template.metadata?.labels ?? {},
      spec: spec?.template.spec,
      replicas: spec?.replicas ?? 1,
      governingService: undefined,
      volumes: () => volumesOfPod(spec?.template.spec, metadata?.namespace ?? '', claims),
    })),
    ...pods
      .filter(({ metadata, status }) => makerOf(metadata) === undefined && !isOver(status?.phase))
      .map(({ metadata, spec }): Workload => ({
        kind: 'pod',
        metadata,
        labels: metadata?.labels ?? {},
        spec,
        replicas: 1,
        governingService: undefined,
        volumes: () => volumesOfPod(spec, metadata?.namespace ?? '', claims),
      })),
    // A Pooler's Deployment is shown as the Pooler that made it, and whatever else CloudNativePG makes likewise.
  ].filter(({ metadata }) => !(makerOf(metadata)?.apiVersion ?? '').startsWith('postgresql.cnpg.io/'));
}

const isOver = (phase: string | undefined) => phase === 'Succeeded' || phase === 'Failed';

const makerOf = (metadata: V1ObjectMeta | undefined) =>
  (metadata?.ownerReferences ?? []).find(({ controller }) => controller === true);

function describe(workload: Workload, server: PostgresContainer, listed: Listed): WorkloadFound {
  const { kind, metadata, labels, spec, replicas, governingService } = workload;
  const name = metadata?.name ?? '';
  const namespace = metadata?.namespace ?? '';
  const maker = makerOf(metadata);
  const { port } = server;
  return {
    kind,
    namespace,
    name,
    image: server.image,
    version: server.version,
    recognisedBy: server.recognisedBy,
    replicas,
    role: isReplica(labels, server) ? 'replica' : 'primary',
    electedBy: server.electedBy,
    madeBy: maker === undefined ? undefined : `${maker.kind} ${maker.name}`,
    superuser: superuserOf(spec, server),
    services: servicesOf(
      {
        namespace,
        name,
        kind,
        replicas,
        labels,
        pods: listed.pods.filter(
          (pod) =>
            pod.metadata?.namespace === namespace &&
            (pod.metadata.ownerReferences ?? []).some((owner) => owner.uid === metadata?.uid && owner.name === name),
        ),
        port,
        portName: server.container.ports?.find(({ containerPort }) => containerPort === port)?.name,
      },
      listed.services,
    ),
    governingService:
      governingService === undefined
        ? undefined
        : {
            name: governingService,
            seen: listed.services.some(
              (service) => service.metadata?.namespace === namespace && service.metadata.name === governingService,
            ),
          },
    port,
    volumes: workload.volumes(),
    uid: server.uid,
    dataDirectory: server.dataDirectory,
  };
}

/** As Bitnami's charts and images mark those that only follow. */
function isReplica(labels: Readonly<Record<string, string>>, { container }: PostgresContainer): boolean {
  const marks = [labels['app.kubernetes.io/component'], labels['role']];
  const mode =
    envText(container, 'POSTGRES_REPLICATION_MODE') ?? envText(container, 'POSTGRESQL_REPLICATION_MODE') ?? 'master';
  return marks.some((mark) => mark === 'read' || mark === 'slave' || mark === 'replica') || mode === 'slave';
}

function proxyIn({ metadata, spec }: Workload): ProxyFound | undefined {
  for (const { image = '' } of spec?.containers ?? []) {
    const what = proxyOf(image);
    if (what === undefined) continue;
    return { kind: 'proxy', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '', image, what };
  }
  return undefined;
}
