import { barmanCloudPlugin, type CnpgWay } from '../../domain/cnpg-specs.ts';
import type { PolicyConfig } from '../../domain/config.ts';
import type { ClusterFound } from '../discovery/found.ts';
import { fitting } from '../discovery/names.ts';
import { targetOf, type Scheduled } from './scheduled.ts';

/**
 * Which policy does the work of which ScheduledBackup already: one of its name, else one that says the same; always of
 * the same Cluster and the same way. Each policy does the work of one.
 */
export function matchesIn(
  scheduled: readonly Scheduled[],
  policies: Readonly<Record<string, PolicyConfig>>,
): ReadonlyMap<Scheduled, string> {
  const matches = new Map<Scheduled, string>();
  const claimed = new Set<string>();
  for (const fits of [hasItsName, saysTheSame])
    for (const one of scheduled) {
      if (matches.has(one)) continue;
      const found = Object.entries(policies).find(
        ([name, policy]) => !claimed.has(name) && isOfSameKind(one, policy) && fits(one, name, policy),
      );
      if (found === undefined) continue;
      const [name] = found;
      matches.set(one, name);
      claimed.add(name);
    }
  return matches;
}

function hasItsName({ object: { metadata } }: Scheduled, name: string): boolean {
  return [fitting(metadata.name), fitting(`${metadata.namespace}-${metadata.name}`)].includes(name);
}

const saysTheSame = ({ fiveFields, object: { spec } }: Scheduled, _name: string, policy: PolicyConfig): boolean =>
  'cron' in fiveFields &&
  policy.schedule === fiveFields.cron &&
  policy.timezone === (fiveFields.timezone ?? 'UTC') &&
  policy.cnpg?.target === targetOf(spec) &&
  policy.cnpg?.online === spec.online;

/** A policy that names no way goes the Cluster's own, which is only known of a Cluster that was read. */
function isOfSameKind({ way, found, cluster }: Scheduled, policy: PolicyConfig): boolean {
  if (policy.method !== 'cnpg' || policy.cluster !== cluster) return false;
  const { method, plugin = barmanCloudPlugin } = policy.cnpg ?? {};
  if (method === undefined) return found !== undefined && ownWayOf(found) === way.method;
  return method === way.method && (way.method !== 'plugin' || way.plugin === plugin);
}

/** As `waysOf` prefers them. */
function ownWayOf({ backups: { stores, volumeSnapshots } }: ClusterFound): CnpgWay['method'] | undefined {
  if (stores.some(({ by }) => by === 'plugin barman-cloud')) return 'plugin';
  if (stores.length > 0) return 'barmanObjectStore';
  return volumeSnapshots === undefined ? undefined : 'volumeSnapshot';
}
