import { barmanCloudPlugin, type CnpgWay } from '../../domain/cnpg-specs.ts';
import type { ScheduledBackupObject } from '../discovery/cnpg-objects.ts';
import type { ClusterFound } from '../discovery/found.ts';
import type { FiveFields } from '../discovery/six-fields.ts';

/** A ScheduledBackup with what belongs to it. */
export interface Scheduled {
  readonly object: ScheduledBackupObject;
  readonly way: CnpgWay;
  readonly fiveFields: FiveFields;
  /** undefined: it isn't there, or may not be read. */
  readonly found: ClusterFound | undefined;
  /** What the Cluster is, or will be, called in the configuration. */
  readonly cluster: string;
}

/** A plugin that isn't named is ''. */
export function wayOf({ spec }: ScheduledBackupObject): CnpgWay {
  if (spec.method === 'plugin') return { method: 'plugin', plugin: spec.pluginConfiguration?.name ?? '' };
  return { method: spec.method === 'volumeSnapshot' ? 'volumeSnapshot' : 'barmanObjectStore' };
}

/** What it may say otherwise, such as '', leaves it to the Cluster. */
export const targetOf = ({ target }: ScheduledBackupObject['spec']): 'primary' | 'prefer-standby' | undefined =>
  target === 'primary' || target === 'prefer-standby' ? target : undefined;

/** Where backups that are taken so lie; undefined: not in an object store that CloudNativePG keeps in order. */
export const storeOf = (way: CnpgWay): 'in-tree Barman' | 'plugin barman-cloud' | undefined => {
  if (way.method === 'barmanObjectStore') return 'in-tree Barman';
  return way.method === 'plugin' && way.plugin === barmanCloudPlugin ? 'plugin barman-cloud' : undefined;
};

/** Whether a Cluster is set up for it; taken for granted of plugins that aren't known. */
export function isSetUp({ backups: { stores, volumeSnapshots } }: ClusterFound, way: CnpgWay): boolean {
  if (way.method === 'volumeSnapshot') return volumeSnapshots !== undefined;
  const store = storeOf(way);
  return store === undefined || stores.some(({ by }) => by === store);
}
