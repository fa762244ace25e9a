import { barmanCloudPlugin, type CnpgWay } from '../../domain/cnpg-specs.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Cluster } from './cluster.ts';

/** The ways in which a Cluster is set up to be backed up, the one to prefer first. */
export function waysOf({ spec }: Cluster): readonly CnpgWay[] {
  const plugin = spec.plugins?.find(({ name, enabled }) => name === barmanCloudPlugin && enabled !== false);
  return [
    ...(plugin === undefined ? [] : [{ method: 'plugin' as const, plugin: plugin.name }]),
    ...(spec.backup?.barmanObjectStore === undefined ? [] : [{ method: 'barmanObjectStore' as const }]),
    ...(spec.backup?.volumeSnapshot === undefined ? [] : [{ method: 'volumeSnapshot' as const }]),
  ];
}

/**
 * How a backup is taken: as asked, where the Cluster is set up for that, else its own way. ConfigurationInvalid where
 * it isn't set up for it: CloudNativePG would leave such a Backup waiting, or fail it much later.
 */
export function wayFor(cluster: Cluster, wished: CnpgWay | null): CnpgWay {
  const ways = waysOf(cluster);
  if (wished !== null && isSetUpFor(cluster, wished)) return wished;
  const what = `CloudNativePG cluster ${cluster.metadata.namespace}/${cluster.metadata.name}`;
  const [first] = ways;
  if (first === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `${what} is not set up for backups`,
      `give the Cluster a plugin (${barmanCloudPlugin}), spec.backup.barmanObjectStore or spec.backup.volumeSnapshot`,
    );
  if (wished === null) return first;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `${what} is not set up for ${describeWay(wished)}; it has ${ways.map(describeWay).join(', ')}`,
    "correct the policy's cnpg.method, or the Cluster",
  );
}

function isSetUpFor({ spec }: Cluster, way: CnpgWay): boolean {
  if (way.method !== 'plugin') return spec.backup?.[way.method] !== undefined;
  return (spec.plugins ?? []).some(({ name, enabled }) => name === way.plugin && enabled !== false);
}

export const describeWay = (way: CnpgWay): string => (way.method === 'plugin' ? `plugin ${way.plugin}` : way.method);
