import type { BaseBackup } from '../domain/base-manifest.ts';
import type { Unreadable } from '../domain/catalog.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { recoveryWindows, type RecoveryWindows } from '../domain/recovery-window.ts';
import { named, repositorySpec, type RepositorySpec } from '../domain/specs.ts';
import type { Archived } from '../domain/wal-archive.ts';
import { readBases } from '../storage/physical-catalog.ts';
import { readArchived } from '../storage/wal/archived.ts';
import { seenFromHere, type OpenRepository } from './catalogs.ts';
import { windowAdvice } from './window-advice.ts';

/** From when to when one cluster can be recovered, read from where the command runs. */
export interface ClusterWindow {
  readonly cluster: string;
  readonly windows: RecoveryWindows;
  /** What to do about it, a sentence each. */
  readonly advice: readonly string[];
  readonly unreadable: readonly (Unreadable & { readonly repository: string })[];
  /** Logs of which nothing can be said: why, by repository. */
  readonly damaged: readonly { readonly repository: string; readonly error: HoldfastError }[];
}

export interface Windows {
  readonly clusters: readonly ClusterWindow[];
  readonly unreachable: readonly {
    readonly cluster: string;
    readonly repository: string;
    readonly error: HoldfastError;
  }[];
}

/** Every cluster that has a WAL archive or a policy of method base, in the order of the configuration. */
const recoverableClusters = (config: Config): string[] =>
  Object.keys(config.clusters).filter(
    (name) => config.clusters[name]?.wal !== undefined || basePolicies(config, name).length > 0,
  );

const basePolicies = (config: Config, cluster: string): string[] =>
  Object.entries(config.policies).flatMap(([name, policy]) =>
    policy.cluster === cluster && policy.method === 'base' ? [name] : [],
  );

/** Where base backups and WAL of a cluster lie: with its WAL, else where its policies of method base put them. */
function physicalRepositories(config: Config, cluster: string): RepositorySpec[] {
  const { wal } = named(config.clusters, cluster, 'cluster');
  const names =
    wal === undefined
      ? basePolicies(config, cluster).map((policy) => config.policies[policy]?.repository ?? '')
      : [wal.repository];
  return [...new Set(names)].map((name) => repositorySpec(config, name));
}

/** @param only one cluster by its name; default: all that have something to recover from. InvalidArgument if unknown. */
export async function readWindows(
  config: Config,
  open: OpenRepository,
  only: string | undefined,
  nowMs: number,
  signal: AbortSignal,
): Promise<Windows> {
  const names = only === undefined ? recoverableClusters(config) : [only];
  const clusters: ClusterWindow[] = [];
  const unreachable: Windows['unreachable'][number][] = [];
  for (const cluster of names) {
    const found = await readCluster(config, open, cluster, nowMs, signal);
    if ('windows' in found) clusters.push(found);
    else unreachable.push(found);
  }
  return { clusters, unreachable };
}

async function readCluster(
  config: Config,
  open: OpenRepository,
  cluster: string,
  nowMs: number,
  signal: AbortSignal,
): Promise<ClusterWindow | Windows['unreachable'][number]> {
  const bases: BaseBackup[] = [];
  const archives: Archived[] = [];
  const unreadable: ClusterWindow['unreadable'][number][] = [];
  const damaged: ClusterWindow['damaged'][number][] = [];
  for (const spec of physicalRepositories(config, cluster)) {
    try {
      const repository = open(spec);
      const found = await readBases(repository, cluster);
      bases.push(...found.bases);
      unreadable.push(...found.unreadable.map((one) => ({ ...one, repository: spec.name })));
      try {
        archives.push(...(await readArchived(repository, cluster, signal)));
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.type !== 'ObjectDamaged') throw error;
        damaged.push({ repository: spec.name, error });
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { cluster, repository: spec.name, error: seenFromHere(error, spec) };
    }
  }
  const windows = recoveryWindows({ cluster, bases, archives });
  const { wal } = named(config.clusters, cluster, 'cluster');
  const advice = windowAdvice(windows, {
    archives: wal !== undefined,
    basePolicy: basePolicies(config, cluster)[0],
    damaged: damaged.length > 0,
    now: new Date(nowMs),
  });
  return { cluster, windows, advice, unreadable, damaged };
}
