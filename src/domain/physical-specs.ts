import { digestOf, sha256Hex, type Json } from './canonical.ts';
import { drillCnpgSpec, type DrillCnpgSpec } from './cnpg-drill-spec.ts';
import { policyPrefix, type Config, type DrillCheck, type InstanceConfig, type PolicyConfig } from './config.ts';
import { drillPodSpec, type DrillPodSpec } from './drill-place.ts';
import { durationMs } from './duration.ts';
import { HoldfastError } from './errors.ts';
import type { PhysicalKeep } from './physical-retention.ts';
import type { RecoverArgument } from './recover-argument.ts';
import {
  clusterRepositories,
  named,
  repositorySpec,
  targetSpec,
  type RepositorySpec,
  type TargetSpec,
} from './specs.ts';
import { refuseUnasked } from './workload.ts';

/** What runs of base backups, WAL archives, recoveries and drills are resolved to; see specs.ts. */

export interface BaseSpec {
  readonly method: 'base';
  readonly installation: string;
  readonly policy: string;
  readonly source: TargetSpec;
  /** The standby that the backup is taken from; null: the cluster's own server. */
  readonly standby: { readonly host: string; readonly port: number } | null;
  readonly repository: RepositorySpec;
  readonly prefix: string;
  /** One backup in so many is full; 1: every one. */
  readonly fullEvery: number;
  readonly checkpoint: 'fast' | 'spread';
  /** Threads of the server's zstd; 0: it compresses where it reads. */
  readonly compressionWorkers: number;
  /** The backup holds the WAL that makes it consistent, because no archive does. */
  readonly withWal: boolean;
  /** What every policy of the cluster with base backups keeps, by name: they share its WAL. null: everything. */
  readonly keeps: Readonly<Record<string, PhysicalKeep | null>>;
  readonly digest: string;
}

export interface WalSpec {
  readonly installation: string;
  readonly cluster: string;
  readonly source: TargetSpec;
  readonly repository: RepositorySpec;
  readonly slot: string;
  readonly maxAgeMs: number;
  readonly takeOver: { readonly directory: string; readonly keep: boolean } | null;
  /** The policy whose backup answers a gap; null: the cluster has none of method base. */
  readonly basePolicy: string | null;
  readonly digest: string;
}

export interface RecoverSpec {
  readonly installation: string;
  readonly argument: RecoverArgument;
  readonly source: TargetSpec;
  readonly repositories: readonly RepositorySpec[];
  readonly instance: InstanceConfig | null;
  readonly approval: { readonly expiresAfterMs: number };
  readonly digest: string;
}

export interface DrillSpec {
  readonly installation: string;
  readonly policy: string;
  readonly method: 'pg_dumpall' | 'pg_dump' | 'base';
  readonly source: TargetSpec;
  readonly repository: RepositorySpec;
  readonly checks: readonly DrillCheck[];
  readonly amcheck: boolean;
  /** Where there is none: on the worker's disk. */
  readonly pod?: DrillPodSpec;
  readonly digest: string;
}

export function baseSpec(config: Config, name: string): BaseSpec {
  const policy = named(config.policies, name, 'policy');
  const source = targetSpec(config, policy.cluster);
  return digested({
    method: 'base' as const,
    installation: config.installation,
    policy: name,
    source,
    standby: policy.standby ?? null,
    repository: repositorySpec(config, policy.repository ?? ''),
    prefix: policyPrefix(name, policy),
    fullEvery: policy.fullEvery ?? 1,
    checkpoint: policy.checkpoint ?? ('fast' as const),
    compressionWorkers: policy.compressionWorkers ?? 2,
    withWal: config.clusters[policy.cluster]?.wal === undefined,
    keeps: keepsOf(config, policy.cluster),
  });
}

const keepsOf = (config: Config, cluster: string) =>
  Object.fromEntries(
    Object.entries(config.policies)
      .filter(([, policy]) => policy.cluster === cluster && policy.method === 'base')
      .map(([name, { keep, window }]) => [
        name,
        keep === undefined && window === undefined ? null : { ...keep, window },
      ]),
  );

export function walSpec(config: Config, cluster: string): WalSpec {
  const source = targetSpec(config, cluster);
  const wal = config.clusters[cluster]?.wal;
  if (wal === undefined)
    throw new HoldfastError(
      'InvalidArgument',
      `cluster ${cluster} has no WAL archive in this worker's configuration`,
      `add wal: { repository: … } to clusters.${cluster}`,
    );
  const base = Object.entries(config.policies).find(
    ([, policy]) => policy.cluster === cluster && policy.method === 'base',
  );
  return digested({
    installation: config.installation,
    cluster,
    source,
    repository: repositorySpec(config, wal.repository),
    slot: slotName(config.installation, cluster),
    maxAgeMs: durationMs(wal.maxAge),
    takeOver: wal.takeOver ?? null,
    basePolicy: base?.[0] ?? null,
  });
}

/**
 * The slot that a cluster's log is archived through: `holdfast_<installation>_<cluster>_<8 hex digits>`, at most the 63
 * bytes that PostgreSQL takes. The digits tell names apart that would look alike.
 */
export function slotName(installation: string, cluster: string): string {
  const readable = `holdfast_${installation}_${cluster}`.toLowerCase().replace(/[^a-z0-9_]/g, '_');
  return `${readable.slice(0, 54)}_${sha256Hex(`${installation}
${cluster}`).slice(0, 8)}`;
}

export function recoverSpec(config: Config, argument: RecoverArgument): RecoverSpec {
  const source = targetSpec(config, argument.cluster);
  refuseUnasked({ argument, source });
  const cluster = config.clusters[argument.cluster];
  const wal = cluster?.wal?.repository;
  return digested({
    installation: config.installation,
    argument,
    source,
    repositories: wal === undefined ? clusterRepositories(config, argument.cluster) : [repositorySpec(config, wal)],
    instance: cluster?.instance ?? null,
    approval: { expiresAfterMs: durationMs(config.approvals.restore.expiresAfter) },
  });
}

export function drillSpec(config: Config, name: string): DrillSpec | DrillCnpgSpec {
  const policy = named(config.policies, name, 'policy');
  const { method } = policy;
  if (method === 'cnpg') return drillCnpgSpec(config, name);
  return digested({
    installation: config.installation,
    policy: name,
    method,
    source: targetSpec(config, policy.cluster),
    repository: repositorySpec(config, policy.repository ?? ''),
    checks: policy.checks ?? [],
    amcheck: policy.amcheck ?? false,
    ...podOf(config, policy),
  });
}

/** A base backup is files: it is recovered where the worker can put them. */
function podOf({ clusters }: Config, { cluster, method }: PolicyConfig): Pick<DrillSpec, 'pod'> {
  const pod = method === 'base' ? null : drillPodSpec(named(clusters, cluster, 'cluster'));
  return pod === null ? {} : { pod };
}

const digested = <T extends object>(body: T): T & { readonly digest: string } => ({
  ...body,
  digest: digestOf(body as unknown as Json),
});
