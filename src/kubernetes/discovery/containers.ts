import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import { isServerImage, majorOf, mayServe, splitImage, versionOfImage } from './images.ts';

/** The container of a pod that runs PostgreSQL. */
export interface PostgresContainer {
  readonly container: V1Container;
  readonly image: string;
  /** As its image says: "17.5". */
  readonly version: string | undefined;
  readonly recognisedBy: 'image' | 'port';
  /** Whose conventions it follows. */
  readonly flavour: 'bitnami' | 'official' | 'other';
  /** Where it listens. */
  readonly port: number;
  /** undefined: the image decides. */
  readonly uid: number | undefined;
  readonly dataDirectory: string | undefined;
  /** What chooses the primary among several pods: "repmgr". */
  readonly electedBy: 'repmgr' | 'Patroni' | undefined;
}

const usualPort = 5432;

/** undefined: none of its containers does. */
export function postgresIn(spec: V1PodSpec | undefined): PostgresContainer | undefined {
  const containers = spec?.containers ?? [];
  const byImage = containers.find(({ image = '' }) => isServerImage(image));
  const byPort = containers.find(
    (container) => mayServe(container.image ?? '') && declaredPorts(container).some((port) => port === usualPort),
  );
  const container = byImage ?? byPort;
  if (container === undefined || isClient(container)) return undefined;
  const image = container.image ?? '';
  const version = versionOfImage(image);
  const flavour = isBitnamis(container) ? 'bitnami' : isOfficial(image) ? 'official' : 'other';
  return {
    container,
    image,
    version,
    recognisedBy: byImage === undefined ? 'port' : 'image',
    flavour,
    port: portOf(container),
    uid: container.securityContext?.runAsUser ?? spec?.securityContext?.runAsUser,
    dataDirectory: envText(container, 'PGDATA') ?? usualDataDirectory(flavour, majorOf(version)),
    electedBy: electedBy(container),
  };
}

/** The value that is written out for a variable; undefined where there is none, or it comes from elsewhere. */
export const envText = (container: V1Container, name: string): string | undefined => {
  const value = container.env?.findLast((variable) => variable.name === name)?.value;
  return value === undefined || value === '' || value.includes('$(') ? undefined : value;
};

const declaredPorts = (container: V1Container) => (container.ports ?? []).map(({ containerPort }) => containerPort);

function portOf(container: V1Container): number {
  const ports = container.ports ?? [];
  const declared =
    ports.find(({ containerPort }) => containerPort === usualPort) ??
    ports.find(({ name = '' }) => /postgres|pgsql/.test(name));
  return declared?.containerPort ?? usualPort;
}

/** `kubectl run --image postgres -- psql …`, and pods that only sleep until somebody types into them. */
function isClient(container: V1Container): boolean {
  const [program = '', ...more] = [...(container.command ?? []), ...(container.args ?? [])];
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (declaredPorts(container).length > 0) return false;
  return /^(psql|pg_\w+|pgbench|sleep|tail)$/.test(name) || (/^(ba)?sh$/.test(name) && more.length === 0);
}

const isBitnamis = ({ image = '', env = [], volumeMounts = [] }: V1Container) =>
  image.includes('bitnami') ||
  env.some(({ name }) => name === 'BITNAMI_DEBUG') ||
  volumeMounts.some(({ mountPath }) => mountPath.startsWith('/bitnami/'));

/** Docker's official image, and what is built upon it. */
const isOfficial = (image: string) => /^(postgres|postgis|pgvector|timescaledb)$/.test(splitImage(image).name);

/** From 18 on, the official image puts the version into the path. */
function usualDataDirectory(flavour: PostgresContainer['flavour'], major: number | undefined): string | undefined {
  if (flavour === 'bitnami') return '/bitnami/postgresql/data';
  return flavour === 'official' && major !== undefined && major < 18 ? '/var/lib/postgresql/data' : undefined;
}

function electedBy({ image = '', env = [] }: V1Container): PostgresContainer['electedBy'] {
  if (image.includes('repmgr') || env.some(({ name }) => name.startsWith('REPMGR_'))) return 'repmgr';
  return /spilo|patroni|crunchy-postgres/.test(image) || env.some(({ name }) => name.startsWith('PATRONI_'))
    ? 'Patroni'
    : undefined;
}
