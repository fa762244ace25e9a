import type { V1Pod, V1Service, V1ServicePort } from '@kubernetes/client-node';

/** A Service that leads to pods of one workload. */
export interface ServiceFound {
  readonly name: string;
  readonly type: string;
  readonly headless: boolean;
  /** Where it leads to PostgreSQL. */
  readonly port: number;
  /** `any`: to whichever of several pods. */
  readonly leadsTo: 'primary' | 'replicas' | 'any';
}

/** What Services may select. */
export interface Selectable {
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'statefulset' | 'deployment' | 'pod';
  readonly replicas: number;
  readonly labels: Labels;
  /** The pods that it has now, as far as they could be listed. */
  readonly pods: readonly V1Pod[];
  readonly port: number;
  readonly portName: string | undefined;
}

type Labels = Readonly<Record<string, string>>;

/** Those that lead to it, the best way to its primary first. */
export function servicesOf(target: Selectable, services: readonly V1Service[]): ServiceFound[] {
  return services
    .filter(({ metadata }) => metadata?.namespace === target.namespace)
    .flatMap((service) => {
      const leadsTo = whereTo(target, service.spec?.selector ?? {});
      const headless = service.spec?.clusterIP === 'None';
      const port = headless ? target.port : servedAt(service.spec?.ports ?? [], target);
      return leadsTo === undefined || port === undefined
        ? []
        : [{ name: service.metadata?.name ?? '', type: service.spec?.type ?? 'ClusterIP', headless, port, leadsTo }];
    })
    .sort((one, other) => compare(rank(one), rank(other)));
}

/** The one to connect by; undefined: none of them leads to the primary for sure. */
export const wayToPrimary = (services: readonly ServiceFound[]): ServiceFound | undefined =>
  services.find(({ leadsTo }) => leadsTo === 'primary');

function whereTo(target: Selectable, selector: Labels): ServiceFound['leadsTo'] | undefined {
  if (Object.keys(selector).length === 0) return undefined;
  const every = target.replicas > 1 ? 'any' : 'primary';
  if (isWithin(selector, target.labels)) return every;
  if (target.kind !== 'statefulset') return undefined;
  const first = {
    ...target.labels,
    'statefulset.kubernetes.io/pod-name': `${target.name}-0`,
    'apps.kubernetes.io/pod-index': '0',
  };
  if (isWithin(selector, first)) return 'primary';
  if (!target.pods.some(({ metadata }) => isWithin(selector, metadata?.labels ?? {}))) return undefined;
  // Labels that a pod gets from what elects the primary: role=master, spilo-role=replica.
  const roles = Object.entries(selector).flatMap(([label, value]) => (target.labels[label] === value ? [] : [value]));
  if (roles.some((role) => /^(master|primary|leader)$/i.test(role))) return 'primary';
  return roles.some((role) => /^(replica|standby|slave|secondary|read)$/i.test(role)) ? 'replicas' : every;
}

const isWithin = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([label, value]) => labels[label] === value);

function servedAt(ports: readonly V1ServicePort[], { port, portName }: Selectable): number | undefined {
  const fitting = ports.filter(
    ({ port: own, targetPort }) =>
      (targetPort ?? own) === port ||
      (portName !== undefined && targetPort === portName) ||
      targetPort === String(port),
  );
  return (fitting.find(({ port: own }) => own === 5432) ?? fitting[0])?.port;
}

/** The usual port first, then a name that stays when pods move, then what is made for use inside. */
const rank = ({ name, type, headless, port, leadsTo }: ServiceFound): readonly (number | string)[] => [
  leadsTo === 'primary' ? 0 : 1,
  port === 5432 ? 0 : 1,
  headless ? 1 : 0,
  type === 'ClusterIP' ? 0 : 1,
  name,
];

function compare(one: readonly (number | string)[], other: readonly (number | string)[]): number {
  const index = one.findIndex((value, place) => value !== other[place]);
  if (index === -1) return 0;
  return (one[index] ?? 0) < (other[index] ?? 0) ? -1 : 1;
}
