import type { Config } from '../../domain/config.ts';
import { findClusters, parsed } from '../discovery/clusters.ts';
import { scheduledBackupSchema, type ScheduledBackupObject } from '../discovery/cnpg-objects.ts';
import type { Listed } from '../discovery/found.ts';
import { fitting, namesFor } from '../discovery/names.ts';
import { readSixFields } from '../discovery/six-fields.ts';
import type { Import, Imported, Outcome } from './imported.ts';
import { matchesIn } from './match.ts';
import { wayOf, type Scheduled } from './scheduled.ts';
import { notesOn, refusalOf, sectionOf, windowOf } from './section.ts';

/** What a configuration has already; without one, nothing. */
export type Known = Pick<Config, 'clusters' | 'policies'>;

/**
 * Turns ScheduledBackups into policies of method cnpg. Decides from the objects alone, no I/O; the same objects make
 * the same policies, in whatever order they were listed. What can't be said in a policy is refused by name.
 */
export function importScheduledBackups(
  listed: Pick<Listed, 'scheduledBackups' | 'clusters' | 'objectStores'>,
  known: Known,
): Import {
  const clusters = findClusters({ ...noOthers, ...listed, scheduledBackups: [] });
  const schedules = parsed('ScheduledBackup', scheduledBackupSchema, listed.scheduledBackups);
  const objects = schedules.objects.sort((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
  const names = clusterNames(objects, known);
  const scheduled = objects.map((object): Scheduled => {
    const { namespace } = object.metadata;
    const { cluster, schedule } = object.spec;
    return {
      object,
      way: wayOf(object),
      fiveFields: readSixFields(schedule),
      found: clusters.found.find((one) => one.namespace === namespace && one.name === cluster.name),
      cluster: names.get(`${namespace}/${cluster.name}`) ?? fitting(cluster.name),
    };
  });
  const imported = withOutcomes(scheduled, known);
  const policies = imported.flatMap(({ outcome }) =>
    outcome.kind === 'policy' ? [[outcome.policy, outcome.section] as const] : [],
  );
  const needed = new Set(policies.map(([, { cluster }]) => cluster));
  return {
    imported,
    clusters: Object.fromEntries(
      scheduled.flatMap(({ object: { metadata, spec }, cluster }) =>
        needed.has(cluster) && !Object.hasOwn(known.clusters, cluster)
          ? [[cluster, { cnpg: { namespace: metadata.namespace, name: spec.cluster.name } }] as const]
          : [],
      ),
    ),
    policies: Object.fromEntries(policies),
    unread: [...schedules.unread, ...clusters.unread],
  };
}

const noOthers = { statefulSets: [], deployments: [], pods: [], services: [], claims: [], poolers: [] };

// A space sorts before every character of a name.
const placeOf = ({ metadata: { namespace, name } }: ScheduledBackupObject) => `${namespace} ${name}`;

/** "namespace/name" of each Cluster to the name that the configuration has for it, or is to have. */
function clusterNames(objects: readonly ScheduledBackupObject[], { clusters }: Known): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name, { cnpg }] of Object.entries(clusters))
    if (cnpg !== undefined) names.set(`${cnpg.namespace}/${cnpg.name}`, name);
  const lacking = new Map(
    objects
      .map(({ metadata, spec }) => ({ kind: 'cnpg' as const, namespace: metadata.namespace, name: spec.cluster.name }))
      .filter(({ namespace, name }) => !names.has(`${namespace}/${name}`))
      .map((one) => [`${one.namespace}/${one.name}`, one]),
  );
  const wishes = namesFor([...lacking.values()]);
  const taken = new Set(Object.keys(clusters));
  for (const [place, one] of lacking) names.set(place, claim(taken, wishes.get(one), one));
  return names;
}

/** The wish, else with the namespace before it, else with a number. */
function claim(
  taken: Set<string>,
  wish: string | undefined,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): string {
  const longer = fitting(`${namespace}-${name}`);
  let free = wish === undefined || taken.has(wish) ? longer : wish;
  for (let turn = 2; taken.has(free); turn += 1) free = `${longer.slice(0, 50)}-${String(turn)}`;
  taken.add(free);
  return free;
}

function withOutcomes(scheduled: readonly Scheduled[], { policies }: Known): Imported[] {
  const matches = matchesIn(scheduled, policies);
  const taken = new Set(Object.keys(policies));
  const named = new Map(scheduled.map((one) => [one, { kind: 'cnpg' as const, ...one.object.metadata }]));
  const wishes = namesFor([...named.values()]);
  // CloudNativePG has one window for all backups of a Cluster in its object store.
  const windows = new Map<string, string>();
  for (const { method, cluster, window, cnpg } of Object.values(policies))
    if (method === 'cnpg' && window !== undefined && cnpg?.method !== 'volumeSnapshot') windows.set(cluster, window);

  return scheduled.map((one) => {
    const { metadata, spec } = one.object;
    const { outcome, notes } = outcomeOf(one);
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      cluster: spec.cluster.name,
      schedule: spec.schedule,
      fiveFields: one.fiveFields,
      suspended: spec.suspend === true,
      resourceVersion: metadata.resourceVersion,
      outcome,
      notes: [...notesOn(one), ...notes],
    };
  });

  function outcomeOf(one: Scheduled): { readonly outcome: Outcome; readonly notes: readonly string[] } {
    const match = matches.get(one);
    if (match !== undefined) return { outcome: { kind: 'known', policy: match }, notes: [] };
    const refused = refusalOf(one);
    if (refused !== undefined) return { outcome: refused, notes: [] };
    const { window, notes } = windowOf(one, windows.get(one.cluster));
    if (window !== undefined) windows.set(one.cluster, window);
    const { metadata } = one.object;
    const wished = named.get(one);
    const policy = claim(taken, wished === undefined ? undefined : wishes.get(wished), metadata);
    return { outcome: { kind: 'policy', policy, section: sectionOf(one, window) }, notes };
  }
}
