import type { CnpgBase } from './barman.ts';
import {
  barmanPluginOf,
  listAt,
  objectAt,
  without,
  type ClusterDefinition,
  type CnpgStore,
  type JsonObject,
} from './cnpg-definition.ts';
import { barmanCloudPlugin } from './cnpg-specs.ts';
import type { Json } from './canonical.ts';
import { microsOf, type RecoveryTarget } from './recovery-target.ts';

/** Annotations and labels of a Cluster that a run has made: by them alone it is known as its own, and removed. */
export const recoveryMarks = {
  /** Label: short id of the run. */
  run: 'holdfast/run',
  installation: 'holdfast/installation',
  /** Annotations. */
  runId: 'holdfast/run-id',
  workflowId: 'holdfast/workflow-id',
  plan: 'holdfast/plan',
  /** Set once a human keeps it: from then on nothing of Holdfast removes it. */
  kept: 'holdfast/kept',
  record: 'holdfast/record',
} as const;

/** What the new Cluster has from its source as it is, from the first day. */
const carried: ReadonlySet<string> = new Set([
  'affinity',
  'description',
  'enablePDB',
  'enableSuperuserAccess',
  'env',
  'envFrom',
  'ephemeralVolumeSource',
  'ephemeralVolumesSizeLimit',
  'failoverDelay',
  'imageCatalogRef',
  'imageName',
  'imagePullPolicy',
  'imagePullSecrets',
  'inheritedMetadata',
  'livenessProbeTimeout',
  'logLevel',
  'podSecurityContext',
  'postgresGID',
  'postgresUID',
  'postgresql',
  'primaryUpdateMethod',
  'primaryUpdateStrategy',
  'priorityClassName',
  'probes',
  'projectedVolumeTemplate',
  'replicationSlots',
  'resources',
  'schedulerName',
  'seccompProfile',
  'securityContext',
  'serviceAccountName',
  'serviceAccountTemplate',
  'smartShutdownTimeout',
  'startDelay',
  'stopDelay',
  'storage',
  'superuserSecret',
  'switchoverDelay',
  'tablespaces',
  'topologySpreadConstraints',
  'walStorage',
]);

/** What it has once it is kept. */
const carriedLater: ReadonlySet<string> = new Set([
  'backup',
  'instances',
  'maxSyncReplicas',
  'minSyncReplicas',
  'plugins',
]);

/** What says how a Cluster began; the new one's own says something else, and that is no loss. */
const itsBeginning: ReadonlySet<string> = new Set(['bootstrap', 'externalClusters']);

/**
 * Parameters with which a copy doesn't act for its source while a human looks at it: no subscription fetches, which
 * would take changes away from the source's own; no job of pg_cron runs. Keeping it takes them back.
 */
function quietParameters(spec: JsonObject): Readonly<Record<string, string>> {
  const libraries = listAt(objectAt(spec, 'postgresql'), 'shared_preload_libraries');
  return {
    max_logical_replication_workers: '0',
    ...(libraries.includes('pg_cron') ? { 'cron.launch_active_jobs': 'off' } : {}),
  };
}

/** Name of the external cluster that is recovered from; only this Cluster knows it. */
const origin = 'origin';

export interface NewCluster {
  readonly name: string;
  readonly run: string;
  readonly installation: string;
  readonly source: ClusterDefinition;
  readonly store: CnpgStore | null;
  readonly base: CnpgBase;
  readonly target: RecoveryTarget;
  readonly storage: { readonly size?: string | undefined; readonly storageClass?: string | undefined };
}

/** The Cluster that recovers: one instance, which archives nowhere. Plain data from plain data. */
export function recoveryCluster(wanted: NewCluster): JsonObject {
  const { name, run, installation, source, storage } = wanted;
  const { spec } = source;
  const kept = Object.fromEntries(Object.entries(spec).filter(([member]) => carried.has(member)));
  const postgresql = without(objectAt(spec, 'postgresql'), 'synchronous');
  return {
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Cluster',
    metadata: {
      namespace: source.namespace,
      name,
      labels: {
        'app.kubernetes.io/managed-by': 'holdfast',
        [recoveryMarks.installation]: installation,
        [recoveryMarks.run]: run,
      },
    },
    spec: {
      ...kept,
      instances: 1,
      storage: { ...objectAt(spec, 'storage'), ...given(storage) },
      postgresql: {
        ...postgresql,
        parameters: { ...objectAt(postgresql, 'parameters'), ...quietParameters(spec) },
      },
      bootstrap: { recovery: { ...recoverySection(wanted), ...applicationOf(spec) } },
      ...(wanted.store === null ? {} : { externalClusters: [originOf(wanted.store)] }),
    },
  };
}

const given = (members: Readonly<Record<string, string | undefined>>): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

function recoverySection({ store, base, target }: NewCluster): JsonObject {
  const from = store === null ? {} : { source: origin };
  if (base.snapshots === null) return { ...from, recoveryTarget: { backupID: base.id, ...targetFields(target) } };
  // Without an archive the snapshot is all there is, and the operator reads it from the Backup object.
  if (store === null) return { backup: { name: base.object } };
  const snapshot = (found: string): JsonObject => ({
    apiGroup: 'snapshot.storage.k8s.io',
    kind: 'VolumeSnapshot',
    name: found,
  });
  const named = (role: string) => base.snapshots?.find((one) => one.role === role);
  const wal = named('wal');
  const tablespaces = base.snapshots.filter(({ role }) => role === 'tablespace');
  const fields = targetFields(target);
  return {
    ...from,
    volumeSnapshots: {
      storage: snapshot(named('data')?.name ?? ''),
      ...(wal === undefined ? {} : { walStorage: snapshot(wal.name) }),
      ...(tablespaces.length === 0
        ? {}
        : {
            tablespaceStorage: Object.fromEntries(tablespaces.map((one) => [one.tablespace ?? '', snapshot(one.name)])),
          }),
    },
    ...(Object.keys(fields).length === 0 ? {} : { recoveryTarget: fields }),
  };
}

/** CloudNativePG's members of a target. */
function targetFields(target: RecoveryTarget): JsonObject {
  const timeline = target.timeline === 'latest' ? {} : { targetTLI: String(target.timeline) };
  switch (target.kind) {
    case 'latest':
      return timeline;
    case 'immediate':
      return { ...timeline, targetImmediate: true };
    case 'time':
      return { ...timeline, targetTime: utcOf(target.at), ...exclusive(target) };
    case 'lsn':
      return { ...timeline, targetLSN: target.lsn, ...exclusive(target) };
    case 'xid':
      // CloudNativePG takes 32 bits only, which is what PostgreSQL compares.
      return { ...timeline, targetXID: String(BigInt(target.xid) & 0xffffffffn), ...exclusive(target) };
    case 'name':
      return { ...timeline, targetName: target.name };
  }
}

const exclusive = ({ inclusive }: { readonly inclusive: boolean }) => (inclusive ? {} : { exclusive: true });

/** RFC 3339 in UTC with microseconds, which every version of CloudNativePG reads the same way. */
function utcOf(at: string): string {
  const micros = microsOf(at);
  const seconds = new Date(Number(micros / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000n).padStart(6, '0')}Z`;
}

/** Whose password CloudNativePG sets once the data is there, and from which Secret, as the source's own beginning says. */
function applicationOf(spec: JsonObject): JsonObject {
  const bootstrap = objectAt(spec, 'bootstrap');
  for (const way of ['recovery', 'pg_basebackup', 'initdb']) {
    const { database, owner, secret } = objectAt(bootstrap, way);
    if (typeof database === 'string' && typeof owner === 'string')
      return { database, owner, ...(secret === undefined ? {} : { secret }) };
  }
  return {};
}

/** The store as an external cluster: with the source's server name, read only. */
function originOf({ way, serverName, barman }: CnpgStore): JsonObject {
  if (way.kind === 'plugin')
    return {
      name: origin,
      plugin: { name: barmanCloudPlugin, parameters: { barmanObjectName: way.objectStore, serverName } },
    };
  return { name: origin, barmanObjectStore: { ...without(barman ?? {}, 'tags', 'historyTags'), serverName } };
}

/** What keeping the new Cluster changes of it, as a merge patch: instances, and an archive under a name of its own. */
export function keptCluster({ name, source, store }: NewCluster, instances: number): JsonObject {
  const { spec } = source;
  const { synchronous, parameters } = objectAt(spec, 'postgresql');
  const own = objectAt(parameters);
  const replicas = ['minSyncReplicas', 'maxSyncReplicas'].filter((member) => spec[member] !== undefined);
  return {
    metadata: { annotations: { [recoveryMarks.kept]: 'true' } },
    spec: {
      instances,
      postgresql: {
        parameters: Object.fromEntries(
          Object.keys(quietParameters(spec)).map((parameter): [string, Json] => [parameter, own[parameter] ?? null]),
        ),
        ...(instances > 1 && synchronous !== undefined ? { synchronous } : {}),
      },
      ...(instances > 1 ? Object.fromEntries(replicas.map((member) => [member, spec[member]])) : {}),
      ...archivingOf(spec, store, name),
    },
  };
}

/** The source's backup section with a server name of its own: a copy never archives into its source's archive. */
function archivingOf(spec: JsonObject, store: CnpgStore | null, serverName: string): JsonObject {
  const backup = objectAt(spec, 'backup');
  const plugin = barmanPluginOf(spec);
  const inTree = objectAt(backup, 'barmanObjectStore');
  return {
    ...(Object.keys(backup).length === 0
      ? {}
      : {
          backup: {
            ...backup,
            ...(Object.keys(inTree).length === 0 ? {} : { barmanObjectStore: { ...inTree, serverName } }),
          },
        }),
    ...(plugin === undefined || store === null
      ? {}
      : { plugins: [{ ...plugin, parameters: { ...objectAt(plugin, 'parameters'), serverName } }] }),
  };
}

/** Members of the source's spec that the new Cluster never gets. */
export function leftOut(spec: JsonObject): readonly string[] {
  const plugins = listAt(spec, 'plugins').map((plugin) => objectAt(plugin)['name']);
  const others = plugins.filter((name): name is string => typeof name === 'string' && name !== barmanCloudPlugin);
  return [
    ...Object.keys(spec)
      .filter((member) => !carried.has(member) && !carriedLater.has(member) && !itsBeginning.has(member))
      .sort(),
    ...others.map((name) => `plugin ${name}`),
  ];
}
