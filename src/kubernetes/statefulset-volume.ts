import type { V1Container, V1PersistentVolumeClaim, V1Pod, V1StatefulSet, V1Volume } from '@kubernetes/client-node';
import { HoldfastError } from '../domain/errors.ts';
import type { VolumeUser, Workload } from '../domain/workload.ts';
import { postgresIn } from './discovery/containers.ts';
import type { StatefulSetPlace } from './statefulset.ts';

/** What a recovery in place remembers on the StatefulSet while that is scaled to 0. */
export const recoveryAnnotation = 'holdfast/recovery';

export interface Remembered {
  readonly run: string;
  readonly workflowId: string;
  readonly replicas: number;
}

export function rememberedOn(set: V1StatefulSet): Remembered | undefined {
  const text = set.metadata?.annotations?.[recoveryAnnotation];
  if (text === undefined) return undefined;
  try {
    const { run, workflowId, replicas } = JSON.parse(text) as Partial<Remembered>;
    return typeof run === 'string' && typeof workflowId === 'string' && Number.isInteger(replicas)
      ? { run, workflowId, replicas: replicas ?? 1 }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Docker's official image, on Debian. */
const officialUser: VolumeUser = { uid: 999, gid: 999 };
const bitnamiUser: VolumeUser = { uid: 1001, gid: 1001 };

export interface FoundSet {
  readonly set: V1StatefulSet;
  /** Its first pod; undefined: there is none. */
  readonly pod: V1Pod | undefined;
  /** Of a name; undefined: it isn't there. */
  readonly claim: (name: string) => Promise<V1PersistentVolumeClaim | undefined>;
  /** As the running server says; null: it doesn't answer. */
  readonly liveDirectory: string | null;
  /** Of the run that asks. */
  readonly run: string;
}

/**
 * Where a StatefulSet's data directory lies and whose it is. PlanHopeless where its volumes are laid out in a way that a
 * recovery in place doesn't know; ConfigurationInvalid where somebody has to say more.
 */
export async function workloadOf(
  place: StatefulSetPlace & { readonly dataDirectory: string | undefined },
  { set, pod, claim: readClaim, liveDirectory, run }: FoundSet,
): Promise<Workload> {
  const { namespace, name } = place;
  const what = `StatefulSet ${namespace}/${name}`;
  const spec = set.spec?.template.spec;
  const server = postgresIn(spec);
  const container = server?.container ?? (spec?.containers.length === 1 ? spec.containers[0] : undefined);
  if (container === undefined)
    throw hopeless(`${what} has no container that is known as PostgreSQL`, 'recover beside it instead');
  const dataDirectory = place.dataDirectory ?? liveDirectory ?? server?.dataDirectory;
  if (dataDirectory === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `nothing says where the data directory of ${what} lies: its server doesn't answer`,
      'add dataDirectory: to its inPlace:',
    );
  const mount = mountFor(container, dataDirectory, what);
  const name0 = `${name}-${String(set.spec?.ordinals?.start ?? 0)}`;
  const claim = claimFor(set, spec?.volumes ?? [], mount.name, name0, what);
  const found = await readClaim(claim);
  if (found === undefined) throw hopeless(`the claim ${namespace}/${claim} of ${what} is not there`, 'create it first');
  if (found.spec?.accessModes?.includes('ReadWriteOncePod') === true)
    throw hopeless(
      `claim ${namespace}/${claim} is ReadWriteOncePod: no other pod can look at it before the server is stopped`,
      'recover beside it instead',
    );
  const remembered = rememberedOn(set);
  const replicas = remembered?.replicas ?? set.spec?.replicas ?? 1;
  if (replicas > 1)
    throw hopeless(
      `${what} has ${String(replicas)} pods, and a recovery in place knows StatefulSets of one only`,
      'recover beside it, or scale it to 1, and make its standbys anew afterwards',
    );
  return {
    ...{ namespace, name, claim, dataDirectory },
    replicas: Math.max(1, replicas),
    mountPath: mount.mountPath,
    subPath: mount.subPath ?? null,
    user: userOf(server?.uid, spec?.securityContext?.runAsGroup, container, server?.flavour),
    fsGroup: spec?.securityContext?.fsGroup ?? null,
    node: pod?.metadata?.deletionTimestamp === undefined ? (pod?.spec?.nodeName ?? null) : null,
    leftBy: remembered === undefined || remembered.run === run ? null : remembered.workflowId,
  };
}

function userOf(
  uid: number | undefined,
  podGroup: number | undefined,
  { securityContext }: V1Container,
  flavour: 'bitnami' | 'official' | 'other' | undefined,
): VolumeUser | null {
  const gid = securityContext?.runAsGroup ?? podGroup;
  if (uid !== undefined && uid !== 0) return { uid, gid: gid ?? uid };
  if (flavour === 'bitnami') return bitnamiUser;
  return flavour === 'official' ? officialUser : null;
}

/** The volume that the data directory lies on. What is mounted inside of it would be left behind. */
function mountFor({ volumeMounts = [] }: V1Container, dataDirectory: string, what: string) {
  const trimmed = (path: string) => path.replace(/\/+$/, '');
  const mounts = volumeMounts.map(({ name, mountPath, subPath, subPathExpr }) => ({
    ...{ name, subPath, subPathExpr },
    mountPath: trimmed(mountPath),
  }));
  const inside = mounts.find(({ mountPath }) => mountPath.startsWith(`${dataDirectory}/`));
  if (inside !== undefined)
    throw hopeless(
      `${what} has a volume of its own at ${inside.mountPath}, inside the data directory`,
      'a recovery in place knows one volume only: recover beside it instead',
    );
  const [mount] = mounts
    .filter(({ mountPath }) => dataDirectory === mountPath || dataDirectory.startsWith(`${mountPath}/`))
    .sort((a, b) => b.mountPath.length - a.mountPath.length);
  if (mount === undefined)
    throw hopeless(`the data directory ${dataDirectory} of ${what} lies on no volume`, 'recover beside it instead');
  if (mount.subPathExpr !== undefined)
    throw hopeless(`the mount ${mount.mountPath} of ${what} has a subPathExpr`, 'recover beside it instead');
  return mount;
}

function claimFor(set: V1StatefulSet, volumes: readonly V1Volume[], volume: string, pod: string, what: string): string {
  if (set.spec?.volumeClaimTemplates?.some(({ metadata }) => metadata?.name === volume) === true)
    return `${volume}-${pod}`;
  const claim = volumes.find(({ name }) => name === volume)?.persistentVolumeClaim?.claimName;
  if (claim !== undefined) return claim;
  throw hopeless(
    `volume ${volume} of ${what}, where its data lies, is no PersistentVolumeClaim`,
    'recover beside it instead',
  );
}

const hopeless = (message: string, hint: string) => new HoldfastError('PlanHopeless', message, hint);
