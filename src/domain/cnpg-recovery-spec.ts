import { digestOf, type Json } from './canonical.ts';
import type { JsonObject } from './cnpg-definition.ts';
import type { CnpgConfig, Config, DrillCheck } from './config.ts';
import { durationMs } from './duration.ts';
import { HoldfastError } from './errors.ts';
import type { RecoverArgument } from './recover-argument.ts';
import { named, repositorySpec, targetSpec, type RepositorySpec, type TargetSpec } from './specs.ts';

/** What a recovery of a cluster of kind cnpg is resolved to; see specs.ts. */
export interface RecoverCnpgSpec {
  readonly kind: 'cnpg';
  readonly installation: string;
  readonly argument: RecoverArgument;
  readonly source: TargetSpec & { readonly cnpg: CnpgConfig };
  /** What the Cluster was, for when it is gone. */
  readonly gone: { readonly spec: JsonObject } | { readonly manifest: string } | null;
  /** Where the run's record goes; null: no policy of the cluster has a repository. */
  readonly repository: RepositorySpec | null;
  /** Of all policies of the cluster. */
  readonly checks: readonly DrillCheck[];
  /** From the creation of the Cluster until it is healthy. */
  readonly deadlineMs: number;
  readonly digest: string;
}

const usualDeadline = '24h';

/** undefined where the cluster is of another kind. InvalidArgument where the argument asks for what CloudNativePG hasn't. */
export function recoverCnpgSpec(config: Config, argument: RecoverArgument): RecoverCnpgSpec | undefined {
  const source = targetSpec(config, argument.cluster);
  if (!('cnpg' in source)) {
    if (argument.into === undefined) return undefined;
    throw new HoldfastError(
      'InvalidArgument',
      `into is for clusters that CloudNativePG runs, and cluster ${argument.cluster} is not one`,
      'use beside: {"directory":…,"port":…}, or inPlace',
    );
  }
  const wrong = ['inPlace' as const, 'beside' as const].find((member) => argument[member] !== undefined);
  const misplaced = wrong ?? (Object.keys(argument.tablespaces).length > 0 ? 'tablespaces' : undefined);
  if (misplaced !== undefined)
    throw new HoldfastError(
      'InvalidArgument',
      `${misplaced} is not for cluster ${argument.cluster}, which CloudNativePG runs: it recovers into a new Cluster`,
      'use into: {"name":…,"storage":{"size":…}}, or leave it out',
    );
  const policies = Object.values(config.policies).filter(({ cluster }) => cluster === argument.cluster);
  const repository = policies.map((policy) => policy.repository).find((name) => name !== undefined);
  const recovery = named(config.clusters, argument.cluster, 'cluster').cnpg?.recovery;
  const body = {
    kind: 'cnpg' as const,
    installation: config.installation,
    argument,
    source,
    gone:
      recovery?.spec !== undefined
        ? { spec: recovery.spec }
        : recovery?.manifest !== undefined
          ? { manifest: recovery.manifest }
          : null,
    repository: repository === undefined ? null : repositorySpec(config, repository),
    checks: policies.flatMap(({ checks }) => checks ?? []),
    deadlineMs: durationMs(recovery?.deadline ?? usualDeadline),
  };
  return { ...body, digest: digestOf(body as unknown as Json) };
}
