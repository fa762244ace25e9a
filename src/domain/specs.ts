import type { BackupArgument, PruneArgument, RestoreArgument } from './arguments.ts';
import { digestOf, type Json } from './canonical.ts';
import {
  policyPath,
  policyPrefix,
  type CnpgConfig,
  type Config,
  type Keep,
  type RestoreApproval,
  type SecretReference,
  type ServerConfig,
  type StatefulSetConfig,
} from './config.ts';
import { durationMs } from './duration.ts';
import { HoldfastError } from './errors.ts';
import { joinKey } from './ids.ts';

/**
 * A run is resolved once: names become everything the run needs, without a secret value. Later activities get this
 * and never a name, so that workers with different files can't disagree in the middle of a run.
 */

export type TargetSpec = { readonly cluster: string; readonly site: string } & PlaceSpec;

/** Where a cluster's PostgreSQL is to be found: as the configuration says it, looked up each time anew. */
export type PlaceSpec = { readonly server: ServerConfig } | PlaceInKubernetes;
export type PlaceInKubernetes = { readonly statefulset: StatefulSetConfig } | { readonly cnpg: CnpgConfig };

/** For people: db.example:5432, StatefulSet infra/postgres, Cluster production/logto. */
export function describePlace(place: PlaceSpec): string {
  if ('server' in place) return `${place.server.host}:${String(place.server.port)}`;
  if ('cnpg' in place) return `Cluster ${place.cnpg.namespace}/${place.cnpg.name}`;
  return `StatefulSet ${place.statefulset.namespace}/${place.statefulset.name}`;
}

export type RepositorySpec = DirectorySpec | S3Spec;

export interface DirectorySpec {
  readonly name: string;
  readonly directory: string;
}

export interface S3Spec {
  readonly name: string;
  readonly s3: {
    readonly bucket: string;
    /** '' or 'a/b': what every key begins with, before a slash. */
    readonly prefix: string;
    /** null: AWS. */
    readonly endpoint: string | null;
    readonly region: string;
    readonly pathStyle: boolean;
    readonly maxParts: number;
    /** In bytes; null: from the expected size. */
    readonly partSize: number | null;
    /** null: the AWS SDK's own places. */
    readonly credentials: S3Credentials | null;
  };
}

/** For people: the directory, or s3://bucket/prefix. */
export const repositoryPlace = (spec: RepositorySpec) =>
  'directory' in spec ? spec.directory : `s3://${joinKey(spec.s3.bucket, spec.s3.prefix)}`;

/** References, never values. */
export interface S3Credentials {
  readonly accessKeyId: SecretReference;
  readonly secretAccessKey: SecretReference;
  readonly sessionToken: SecretReference | null;
}

/** Where dumps lie that something else left. */
export interface AdoptSpec {
  readonly policy: string;
  readonly repository: RepositorySpec;
  readonly path: string;
  readonly pattern: string;
}

export interface BackupSpec {
  readonly installation: string;
  readonly policy: string;
  readonly source: TargetSpec;
  readonly repository: RepositorySpec;
  readonly path: string;
  readonly prefix: string;
  readonly method: 'pg_dumpall' | 'pg_dump';
  /** For pg_dump. */
  readonly format: 'custom' | 'directory';
  readonly jobs: number;
  readonly adopt: AdoptSpec | null;
  readonly keep: Keep | null;
  readonly compression: 'gzip' | 'zstd';
  readonly exclude: readonly string[];
  readonly lockTimeoutMs: number;
  readonly countRows: boolean;
  /** A pod beside the database dumps; absent: a worker does, over the network. */
  readonly inPod?: true;
  readonly digest: string;
}

export interface RestoreSpec {
  readonly installation: string;
  readonly argument: RestoreArgument;
  /** Where backups of the source cluster may lie. */
  readonly repositories: readonly RepositorySpec[];
  /** Where dumps of it may lie that Holdfast didn't make. */
  readonly foreign: readonly AdoptSpec[];
  readonly target: TargetSpec;
  readonly approval: { readonly expiresAfterMs: number; readonly gate: RestoreApproval['gate'] };
  readonly digest: string;
}

export function backupSpec(config: Config, argument: BackupArgument | PruneArgument): BackupSpec {
  const policy = named(config.policies, argument.policy, 'policy');
  const { method } = policy;
  if (method !== 'pg_dumpall' && method !== 'pg_dump')
    throw notBuiltYet(`policy ${argument.policy}`, 'use method pg_dumpall or pg_dump');
  const body = {
    installation: config.installation,
    policy: argument.policy,
    source: targetSpec(config, policy.cluster),
    repository: repositorySpec(config, policy.repository ?? ''),
    path: policyPath(policy),
    prefix: policyPrefix(argument.policy, policy),
    method,
    format: policy.format ?? ('custom' as const),
    jobs: policy.jobs ?? defaultJobs,
    adopt: adoptSpec(config, argument.policy),
    keep: policy.keep ?? null,
    compression: policy.compression,
    exclude: policy.exclude,
    lockTimeoutMs: durationMs(policy.lockTimeout),
    countRows: policy.countRows,
    ...(config.clusters[policy.cluster]?.backup?.on === 'pod' ? { inPod: true as const } : {}),
  };
  return { ...body, digest: digestOf(body as unknown as Json) };
}

export function restoreSpec(config: Config, argument: RestoreArgument): RestoreSpec {
  const target = targetSpec(config, argument.onto ?? argument.cluster);
  named(config.clusters, argument.cluster, 'cluster');
  const { expiresAfter, gate } = config.approvals.restore;
  const body = {
    installation: config.installation,
    argument,
    repositories: clusterRepositories(config, argument.cluster),
    foreign: clusterForeign(config, argument.cluster),
    target,
    approval: { expiresAfterMs: durationMs(expiresAfter), gate },
  };
  return { ...body, digest: digestOf(body as unknown as Json) };
}

/** Connections that dump at once by method pg_dump. */
export const defaultJobs = 2;

/** Where a policy's foreign dumps lie; null where it adopts none. */
export function adoptSpec(config: Config, name: string): AdoptSpec | null {
  const policy = named(config.policies, name, 'policy');
  if (policy.adopt === undefined) return null;
  return {
    policy: name,
    repository: repositorySpec(config, policy.repository ?? ''),
    path: policy.adopt.path ?? policyPath(policy),
    pattern: policy.adopt.pattern,
  };
}

const clusterForeign = (config: Config, cluster: string): AdoptSpec[] =>
  Object.entries(config.policies).flatMap(([name, policy]) => {
    const spec = policy.cluster === cluster ? adoptSpec(config, name) : null;
    return spec === null ? [] : [spec];
  });

/** Every repository that a policy of the cluster writes to. */
export function clusterRepositories(config: Config, cluster: string): RepositorySpec[] {
  const names = Object.values(config.policies).flatMap((policy) =>
    policy.cluster === cluster && policy.repository !== undefined ? [policy.repository] : [],
  );
  if (names.length === 0) {
    throw new HoldfastError(
      'ConfigurationInvalid',
      `no policy backs up cluster ${cluster}, so nothing says where its backups lie`,
      'add a policy for it; one without a schedule is enough',
    );
  }
  return [...new Set(names)].map((name) => repositorySpec(config, name));
}

export function targetSpec(config: Config, cluster: string): TargetSpec {
  const found = named(config.clusters, cluster, 'cluster');
  const { site, server, statefulset, cnpg } = found;
  if (cnpg !== undefined) return { cluster, site, cnpg: placeOfCluster(cnpg) };
  if (statefulset !== undefined) return { cluster, site, statefulset };
  if (server !== undefined) return { cluster, site, server };
  throw new HoldfastError('Unexpected', `cluster ${cluster} is of no kind`, 'report this as a bug');
}

/** What only a recovery reads is in no other run's history. */
const placeOfCluster = ({
  namespace,
  name,
  superuserSecret,
  database,
  sslmode,
  sslrootcert,
}: NonNullable<Config['clusters'][string]['cnpg']>): CnpgConfig => ({
  namespace,
  name,
  database,
  sslmode,
  ...(superuserSecret === undefined ? {} : { superuserSecret }),
  ...(sslrootcert === undefined ? {} : { sslrootcert }),
});

/**
 * Before something is destroyed: the worker's own configuration must still mean the same server as when the run was
 * resolved and approved.
 */
export function assertSameTarget(config: Config, target: TargetSpec): void {
  const own = targetSpec(config, target.cluster);
  if (digestOf(own) === digestOf(target)) return;
  throw new HoldfastError(
    'ConfigurationChanged',
    `the configuration of cluster ${target.cluster} on this worker differs from the one this run was planned with`,
    'start the run again, so that its plan shows the cluster as it is configured now',
  );
}

export function repositorySpec(config: Config, name: string): RepositorySpec {
  const { directory, s3 } = named(config.repositories, name, 'repository');
  if (s3 === undefined) return { name, directory: directory ?? '' };
  return {
    name,
    s3: {
      bucket: s3.bucket,
      prefix: s3.prefix,
      endpoint: s3.endpoint ?? null,
      region: s3.region,
      pathStyle: s3.pathStyle ?? s3.endpoint !== undefined,
      maxParts: s3.maxParts,
      partSize: s3.partSize ?? null,
      credentials: s3.credentials === undefined ? null : credentialReferences(s3.credentials),
    },
  };
}

function credentialReferences(
  credentials: NonNullable<NonNullable<Config['repositories'][string]['s3']>['credentials']>,
): S3Credentials {
  if (!('secret' in credentials)) return { ...credentials, sessionToken: credentials.sessionToken ?? null };
  const { secret, accessKeyId, secretAccessKey } = credentials;
  return {
    accessKeyId: { secret, key: accessKeyId },
    secretAccessKey: { secret, key: secretAccessKey },
    sessionToken: null,
  };
}

function notBuiltYet(what: string, hint: string): HoldfastError {
  return new HoldfastError('NotBuiltYet', `${what} is of a kind that is not built yet in this version`, hint);
}

/** `constructor` is a good name and no member of a table that doesn't define it. */
export function named<T>(table: Readonly<Record<string, T>>, name: string, what: string): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(table).join(', ');
  throw new HoldfastError(
    'InvalidArgument',
    `no ${what} is named '${name}' in this worker's configuration`,
    `expected one of: ${known === '' ? '(none)' : known}`,
  );
}
