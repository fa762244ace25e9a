import type {
  V1EnvFromSource,
  V1EnvVar,
  V1Pod,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import type { WorkerPodConfig } from '../../domain/config.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Plain } from '../plain.ts';

/** What every worker's pod is made of, whatever it is for: how it finds Temporal, the repositories and their keys. */
export interface WorkerTemplate {
  readonly image: string;
  readonly pullSecrets: readonly string[];
  readonly env: readonly Plain<V1EnvVar>[];
  readonly envFrom: readonly Plain<V1EnvFromSource>[];
  readonly volumes: readonly Plain<V1Volume>[];
  readonly volumeMounts: readonly Plain<V1VolumeMount>[];
  /** undefined: as the namespace says. */
  readonly resources: Plain<V1ResourceRequirements> | undefined;
  /** As whom it works where no volume says so: files of a repository may take certain users only. */
  readonly security: Plain<V1PodSecurityContext> | undefined;
}

/** Where workers find Temporal; no key. */
export interface TemporalPlace {
  readonly address: string;
  readonly namespace: string;
}

/** As the configuration writes it out. Temporal is where this worker has it, unless `env` says another place. */
export function templateOfConfig(config: WorkerPodConfig, temporal: TemporalPlace): WorkerTemplate {
  const { image, pullSecrets, env, volumes, volumeMounts, resources, securityContext } = config;
  const usual = [
    { name: 'TEMPORAL_ADDRESS', value: temporal.address },
    { name: 'TEMPORAL_NAMESPACE', value: temporal.namespace },
  ].filter(({ name }) => !env.some((variable) => variable.name === name));
  return {
    ...{ image, pullSecrets, envFrom: [], resources },
    env: [...usual, ...env],
    volumes,
    volumeMounts,
    security: securityContext,
  };
}

/** Where a worker's pod has what is its own: configuration, room to work in, its name. */
const ownPlaces = ['/etc/holdfast', '/tmp', '/dev/shm', '/scratch', '/instances'];
const ownVariables = new Set(['HOLDFAST_CONFIG', 'POD_NAME', 'POD_NAMESPACE']);

/**
 * As the pod that this worker runs in has it: image, variables, volumes of repositories and of Secrets. Not its room to
 * work in, its service account's token, and its configuration. ConfigurationInvalid where the pod has no container
 * that is a worker.
 */
export function templateOfPod({ metadata, spec }: V1Pod): WorkerTemplate {
  const container = spec?.containers.find(({ name }) => name === 'worker') ?? spec?.containers[0];
  if (container?.image === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `pod ${metadata?.namespace ?? ''}/${metadata?.name ?? ''} has no container named worker`,
      'write out kubernetes.workerPod in the configuration',
    );
  const volumes = (spec?.volumes ?? []).filter(
    ({ projected }) =>
      projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken !== undefined) !== true,
  );
  const mounts = (container.volumeMounts ?? []).filter(
    ({ name, mountPath }) => !ownPlaces.includes(mountPath) && volumes.some((volume) => volume.name === name),
  );
  return {
    image: container.image,
    pullSecrets: (spec?.imagePullSecrets ?? []).flatMap(({ name }) => (name === undefined ? [] : [name])),
    env: (container.env ?? []).filter(({ name }) => !ownVariables.has(name)),
    envFrom: container.envFrom ?? [],
    volumes: volumes.filter(({ name }) => mounts.some((mount) => mount.name === name)),
    volumeMounts: mounts,
    resources: container.resources,
    security: spec?.securityContext,
  };
}
