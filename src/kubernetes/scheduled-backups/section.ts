import { barmanCloudPlugin } from '../../domain/cnpg-specs.ts';
import type { ImportedPolicy, Outcome } from './imported.ts';
import { isSetUp, storeOf, targetOf, type Scheduled } from './scheduled.ts';

/** What of it no policy can say; undefined: nothing. */
export function refusalOf({
  object: { spec },
  way,
  fiveFields,
}: Scheduled): Extract<Outcome, { readonly kind: 'refused' }> | undefined {
  if ('flaw' in fiveFields) return { kind: 'refused', why: `its schedule ${fiveFields.flaw}`, cure: fiveFields.cure };
  if (!['barmanObjectStore', 'volumeSnapshot', 'plugin'].includes(spec.method))
    return {
      kind: 'refused',
      why: `its method ${spec.method} is none that this version knows`,
      cure: 'see whether the version of CloudNativePG is one that Holdfast knows',
    };
  if (way.method === 'plugin' && way.plugin === '')
    return {
      kind: 'refused',
      why: 'its method is plugin, and its pluginConfiguration names none',
      cure: 'such Backups fail today, too: name the plugin there',
    };
  const parameters = Object.keys(spec.pluginConfiguration?.parameters ?? {});
  if (parameters.length > 0)
    return {
      kind: 'refused',
      why: `it hands its plugin parameters, which a policy can't: ${parameters.sort().join(', ')}`,
      cure: 'leave it to CloudNativePG, or set them in spec.plugins of the Cluster and take them out here',
    };
  return undefined;
}

export function sectionOf(
  { object: { spec }, way, cluster, fiveFields }: Scheduled,
  window: string | undefined,
): ImportedPolicy {
  const target = targetOf(spec);
  const when = 'cron' in fiveFields && spec.suspend !== true ? fiveFields : undefined;
  return {
    cluster,
    method: 'cnpg',
    cnpg: {
      method: way.method,
      ...(way.method === 'plugin' && way.plugin !== barmanCloudPlugin ? { plugin: way.plugin } : {}),
      ...(target === undefined ? {} : { target }),
      ...(spec.online === undefined ? {} : { online: spec.online }),
    },
    ...(when === undefined ? {} : { schedule: when.cron }),
    ...(when?.timezone === undefined ? {} : { timezone: when.timezone }),
    ...(window === undefined ? {} : { window }),
  };
}

/**
 * The window that its backups have today, and what is to be known about it.
 * @param other window of another policy of the same Cluster, for what lies in an object store
 */
export function windowOf(
  { way, found }: Scheduled,
  other: string | undefined,
): { readonly window: string | undefined; readonly notes: readonly string[] } {
  const without = (...notes: string[]) => ({ window: undefined, notes });
  if (way.method === 'volumeSnapshot')
    return without('Nothing deletes its snapshots, as today. A window, such as 7d, would.');
  const store = found?.backups.stores.find(({ by }) => by === storeOf(way));
  if (store === undefined) return without();
  if (store.destination === undefined) return without('How long its backups are kept could not be read.');
  const { retention } = store;
  if (retention === undefined)
    return without('No retentionPolicy is set, so that nothing is ever deleted. A window, such as 30d, would set one.');
  return other === undefined || other === retention
    ? { window: retention, notes: [] }
    : without(`Its object store keeps ${retention}, and another policy of this cluster says ${other}: decide.`);
}

/** What isn't carried over, and what is odd about it. */
export function notesOn({ object: { metadata, spec }, way, found }: Scheduled): string[] {
  return [
    ...(found === undefined
      ? [`Cluster ${metadata.namespace}/${spec.cluster.name} was not seen.`]
      : isSetUp(found, way)
        ? []
        : [`The Cluster isn't set up for ${way.method}: such backups fail today, too.`]),
    ...(spec.suspend === true ? ['It is suspended, so the policy has no schedule.'] : []),
    ...(spec.immediate === true
      ? ["immediate: it took one backup when it was made; 'holdfast backup' takes one at any time."]
      : []),
    ...(spec.onlineConfiguration === undefined
      ? []
      : ["onlineConfiguration isn't carried over: spec.backup.volumeSnapshot of the Cluster decides."]),
    ...(ownerNotes[spec.backupOwnerReference] ?? []),
  ];
}

const ownerNotes: Readonly<Record<string, readonly string[]>> = {
  self: ['It owns the Backup objects that it made: deleting it deletes them. Those that Holdfast makes have no owner.'],
  cluster: ['Its Backup objects go with the Cluster. Those that Holdfast makes have no owner, and stay.'],
};
