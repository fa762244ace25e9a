import { HoldfastError } from './errors.ts';
import type { RecoverArgument } from './recover-argument.ts';
import type { PlaceSpec } from './specs.ts';

/**
 * A StatefulSet whose server a recovery takes the place of, as it was found. Its volume is mounted into a pod of ours
 * while none of its own pods runs.
 */
export interface Workload {
  readonly namespace: string;
  readonly name: string;
  /** How many pods it has; had, where a recovery left it at 0. */
  readonly replicas: number;
  readonly claim: string;
  /** Where its container mounts the claim, and so does our pod. */
  readonly mountPath: string;
  readonly subPath: string | null;
  readonly dataDirectory: string;
  /** Whose the files are: PostgreSQL starts only as the owner of its data directory. null: nobody knows yet. */
  readonly user: VolumeUser | null;
  /** The group that Kubernetes gives the volume to, in its own pods and so in ours. */
  readonly fsGroup: number | null;
  /** Where its pod runs, and the claim with it; null: it doesn't. */
  readonly node: string | null;
  /** The run that left it at 0 and is not the one that asks; null: none did. */
  readonly leftBy: string | null;
}

export interface VolumeUser {
  readonly uid: number;
  readonly gid: number;
}

/** What of it a human approves. */
export interface WorkloadFacts {
  readonly namespace: string;
  readonly name: string;
  readonly replicas: number;
  readonly claim: string;
  readonly user: VolumeUser | null;
}

export const workloadFacts = ({ namespace, name, replicas, claim, user }: Workload): WorkloadFacts => ({
  ...{ namespace, name, replicas, claim, user },
});

export const describeWorkload = ({ namespace, name }: Pick<Workload, 'namespace' | 'name'>) =>
  `StatefulSet ${namespace}/${name}`;

interface Asked {
  readonly argument: Pick<RecoverArgument, 'cluster' | 'inPlace'>;
  readonly source: PlaceSpec;
}

/** Whether a recovery is one in the place of a StatefulSet's server. */
export const isOfWorkload = ({ argument, source }: Asked): boolean =>
  argument.inPlace === true && 'statefulset' in source;

/** Why a worker's pod is made: to look at a volume while its server runs, to work on it, or to dump databases. */
export type Purpose = 'look' | 'work' | 'dump';

/**
 * Name of the pod's Job, and of the host whose work it does: `holdfast-<cluster>-<run>`, at most 55 characters, because
 * its pod's name has six more.
 */
export const workerPodName = (cluster: string, run: string, purpose: Purpose) =>
  `holdfast-${cluster.slice(0, 28).replace(/-+$/, '')}-${run}${purpose === 'work' ? '' : `-${purpose}`}`;

/**
 * Directories of a recovery on the volume. What needs to lie beside the data directory lies inside where that is the
 * mount itself, under a name that recoveries leave alone.
 */
export const workDirectoryOf = (
  { dataDirectory, mountPath }: Pick<Workload, 'dataDirectory' | 'mountPath'>,
  run: string,
) =>
  dataDirectory === mountPath ? `${dataDirectory}/.holdfast-aside-${run}-work` : `${dataDirectory}.holdfast-${run}`;

/** What a look into the volume told; null: it couldn't be told. */
export interface VolumeSeen {
  readonly owner: VolumeUser | null;
  /** Whether the data directory's owner may make directories beside it; true where nothing has to lie beside. */
  readonly mayMakeBeside: boolean | null;
  /** Whether pg_wal is a link to somewhere else. */
  readonly walElsewhere: boolean | null;
}

/** An owner, a group and a mode, as stat(2) has them. */
export interface Owned extends VolumeUser {
  readonly mode: number;
}

/** Whether a user that is also in `groups` may make something in a directory. */
export function mayWrite({ uid, gid, mode }: Owned, user: VolumeUser, groups: readonly number[]): boolean {
  if (user.uid === uid) return (mode & 0o300) === 0o300;
  return user.gid === gid || groups.includes(gid) ? (mode & 0o030) === 0o030 : (mode & 0o003) === 0o003;
}

/** Refused where the configuration doesn't ask for it: it takes rights that a worker otherwise hasn't. */
export function refuseUnasked({ argument, source }: Asked): void {
  if (argument.inPlace !== true || !('statefulset' in source) || source.statefulset.inPlace !== undefined) return;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `a recovery in the place of cluster ${argument.cluster} is not allowed by this worker's configuration`,
    `add inPlace: {} to clusters.${argument.cluster}.statefulset, and give workers the rights that it takes; or recover beside it`,
  );
}
