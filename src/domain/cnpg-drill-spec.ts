import { digestOf, type Json } from './canonical.ts';
import { recoverCnpgSpec, type RecoverCnpgSpec } from './cnpg-recovery-spec.ts';
import type { Config } from './config.ts';
import { HoldfastError } from './errors.ts';
import { named, repositorySpec, type RepositorySpec } from './specs.ts';

/** What a drill of a policy of method cnpg is resolved to: a recovery into a Cluster that nobody keeps; see specs.ts. */
export interface DrillCnpgSpec {
  readonly method: 'cnpg';
  readonly installation: string;
  readonly policy: string;
  readonly source: RecoverCnpgSpec['source'];
  /** Where the evidence goes. */
  readonly repository: RepositorySpec;
  readonly amcheck: boolean;
  readonly recovery: RecoverCnpgSpec;
  readonly digest: string;
}

/** CloudNativePG takes 50 characters, because names of pods and Services are made of it. */
const longestName = 50;
const ending = '-drill';

/**
 * The Cluster that drills of a cluster recover into: one name for all of them, so that a Role can know it, and that the
 * next drill finds what a killed one left.
 */
export const drillClusterName = (source: string) =>
  `${source.slice(0, longestName - ending.length).replace(/-+$/, '')}${ending}`;

export function drillCnpgSpec(config: Config, name: string): DrillCnpgSpec {
  const policy = named(config.policies, name, 'policy');
  const { cnpg, drill } = named(config.clusters, policy.cluster, 'cluster');
  const recovery = recoverCnpgSpec(config, {
    cluster: policy.cluster,
    target: { kind: 'latest', timeline: 'latest' },
    into: { name: drillClusterName(cnpg?.name ?? ''), storage: drill?.storage },
    tablespaces: {},
  });
  if (recovery === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `cluster ${policy.cluster} of policy ${name} is not run by CloudNativePG`,
      'use another method for it',
    );
  const repository = policy.repository === undefined ? recovery.repository : repositorySpec(config, policy.repository);
  if (repository === null)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `nothing says where the evidence of a drill of policy ${name} goes`,
      `name a repository in policies.${name}.repository`,
    );
  const body = {
    method: 'cnpg' as const,
    installation: config.installation,
    policy: name,
    source: recovery.source,
    repository,
    amcheck: policy.amcheck ?? false,
    recovery: { ...recovery, checks: policy.checks ?? [] },
  };
  return { ...body, digest: digestOf(body as unknown as Json) };
}
