import type { CnpgBase } from '../domain/barman.ts';
import {
  objectAt,
  placeOf,
  secretsOf,
  storeOf,
  textAt,
  barmanPluginOf,
  type ClusterDefinition,
  type CnpgStore,
  type JsonObject,
} from '../domain/cnpg-definition.ts';
import type { CnpgRecoveryPlan, CnpgWal, LiveSource } from '../domain/cnpg-recovery-facts.ts';
import { planCnpgRecovery as plan, recoveredName } from '../domain/cnpg-recovery-plan.ts';
import type { RecoverCnpgSpec } from '../domain/cnpg-recovery-spec.ts';
import type { SecretReference } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { RunIdentity } from '../domain/run.ts';
import { listBases } from '../kubernetes/cnpg/bases.ts';
import { definitionInFile, readDefinition, readObjectStore } from '../kubernetes/cnpg/definition.ts';
import { findMade } from '../kubernetes/cnpg/recovery-cluster.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { readSecret } from '../kubernetes/secrets.ts';
import { withSession } from '../postgres/connection.ts';
import { isBarmanPathTaken, readBarmanStore } from '../storage/barman.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface PlanCnpgRecoveryInput {
  readonly spec: RecoverCnpgSpec;
  readonly run: RunIdentity;
}

/**
 * Finds out what the Cluster is (or was), what lies in its object store, and says what would be made of it. Changes
 * nothing. What can't be found out from here is in the plan, in words.
 */
export async function planCnpgRecovery(
  deps: Dependencies,
  { spec, run }: PlanCnpgRecoveryInput,
  { signal, report }: Pick<Working, 'signal' | 'report'>,
): Promise<CnpgRecoveryPlan> {
  const kubernetes = await deps.kubernetes(signal);
  const { cnpg } = spec.source;
  const { definition, uid } = await definitionOf(kubernetes, spec);
  const unknown: string[] = [];
  const store = await readStore(kubernetes, definition);
  report({ doing: 'plan: reading the object store' });
  const name = recoveredName(spec.argument, definition.name, run.short);
  const stored =
    store === null ? null : await readStored(kubernetes, store, { namespace: cnpg.namespace, name }, unknown);
  const objects = await listedObjects(kubernetes, cnpg, unknown);
  const made = await findMade(kubernetes, { namespace: cnpg.namespace, name }, run);
  return plan({
    argument: spec.argument,
    run: run.short,
    installation: spec.installation,
    definition,
    uid,
    store,
    bases: merged(stored?.bases ?? null, objects),
    wal: stored?.wal ?? null,
    live: uid === null ? null : await readLive(deps, spec, signal),
    now: new Date(),
    taken: { cluster: made === 'other', archive: stored?.pathTaken ?? 'unknown' },
    missingSecrets: await missingSecrets(kubernetes, definition, store),
    unknown,
  });
}

/** As it is; where it is gone, as the configuration says that it was. */
async function definitionOf(
  kubernetes: Kubernetes,
  { source: { cnpg, cluster }, gone }: RecoverCnpgSpec,
): Promise<{ readonly definition: ClusterDefinition; readonly uid: string | null }> {
  const there = await readDefinition(kubernetes, cnpg);
  if (there !== undefined) return there;
  const { namespace, name } = cnpg;
  if (gone !== null)
    return {
      uid: null,
      definition:
        'spec' in gone
          ? { namespace, name, spec: gone.spec }
          : await definitionInFile(gone.manifest, { namespace, name }),
    };
  throw new HoldfastError(
    'ConfigurationInvalid',
    `there is no Cluster '${name}' of CloudNativePG in namespace ${namespace}, and the configuration doesn't say what it was`,
    `to recover a Cluster that is gone, give clusters.${cluster}.cnpg.recovery a manifest (the file that it was applied from) or its spec`,
  );
}

/** Where a Cluster archives; null: nowhere that is known. */
export async function readStore(kubernetes: Kubernetes, definition: ClusterDefinition): Promise<CnpgStore | null> {
  const { namespace, spec } = definition;
  const named = textAt(barmanPluginOf(spec) ?? {}, 'parameters', 'barmanObjectName');
  const configuration = named === null ? null : await readObjectStore(kubernetes, { namespace, name: named });
  return storeOf(definition, () => configuration);
}

interface Stored {
  readonly bases: readonly CnpgBase[];
  readonly wal: CnpgWal;
  /** Something lies where the new Cluster would archive. */
  readonly pathTaken: boolean;
}

/** What lies in the store, read with the credentials that CloudNativePG has; null, and a word about it, where it can't be. */
async function readStored(
  kubernetes: Kubernetes,
  store: CnpgStore,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  unknown: string[],
): Promise<Stored | null> {
  const place = placeOf(store);
  if ('unread' in place) {
    unknown.push(`the object store was not read from here: ${place.unread}`);
    return null;
  }
  try {
    const secrets = secretReader(kubernetes, namespace);
    const { bases, wal, flaws } = await readBarmanStore(place, store.serverName, secrets);
    unknown.push(...flaws.slice(0, 10));
    return { bases, wal, pathTaken: await isBarmanPathTaken(place, name, secrets) };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    unknown.push(`the object store could not be read from here: ${error.message}`);
    return null;
  }
}

/** Reads what a store's section refers to: each Secret once. */
export function secretReader(kubernetes: Kubernetes, namespace: string) {
  const known = new Map<string, Promise<Readonly<Record<string, string>>>>();
  return async ({ secret = '', key = '' }: SecretReference): Promise<string> => {
    const data = known.get(secret) ?? readSecret(kubernetes, { namespace, name: secret });
    known.set(secret, data);
    const value = (await data)[key];
    if (value !== undefined) return value.trim();
    throw new HoldfastError(
      'ConfigurationInvalid',
      `Secret ${namespace}/${secret} has no key '${key}', which the object store's section names`,
      'correct the Secret',
    );
  };
}

async function listedObjects(
  kubernetes: Kubernetes,
  place: { readonly namespace: string; readonly name: string },
  unknown: string[],
): Promise<readonly CnpgBase[]> {
  try {
    return await listBases(kubernetes, place);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'KubernetesRefused') throw error;
    unknown.push(`Backup objects could not be listed: ${error.message}`);
    return [];
  }
}

/** The store is the truth of what lies in it; Backup objects name those, and volume snapshots. */
function merged(stored: readonly CnpgBase[] | null, objects: readonly CnpgBase[]): readonly CnpgBase[] {
  if (stored === null) return objects;
  const named = stored.map((base) => {
    const object = objects.find(({ id }) => id !== null && id === base.id)?.object ?? null;
    return { ...base, object };
  });
  return [...named, ...objects.filter(({ snapshots }) => snapshots !== null)];
}

async function readLive(
  deps: Dependencies,
  { source }: RecoverCnpgSpec,
  signal: AbortSignal,
): Promise<LiveSource | null> {
  try {
    return await withSession(await serverOf(deps, source), { signal }, async (session) => {
      const [row] = await session.query<{
        readonly systemIdentifier: string;
        readonly lastArchivedWal: string | null;
        readonly lastArchivedAt: Date | null;
      }>(
        `SELECT system_identifier::text AS "systemIdentifier", last_archived_wal AS "lastArchivedWal",
           last_archived_time AS "lastArchivedAt"
           FROM pg_control_system(), pg_stat_archiver`,
      );
      if (row === undefined) return null;
      return { ...row, lastArchivedAt: row.lastArchivedAt?.toISOString() ?? null };
    });
  } catch {
    signal.throwIfAborted();
    // One that is lost, or lets nobody in, is recovered all the same.
    return null;
  }
}

/** Of the Secrets that the new Cluster will name. One that may not be looked at counts as there. */
async function missingSecrets(
  kubernetes: Kubernetes,
  { namespace, spec }: ClusterDefinition,
  store: CnpgStore | null,
): Promise<readonly string[]> {
  const wanted = new Set([...secretsOf(store?.barman ?? null), ...ofCluster(spec)]);
  const missing: string[] = [];
  for (const name of wanted)
    try {
      await readSecret(kubernetes, { namespace, name });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      if (error.type === 'ConfigurationInvalid') missing.push(name);
      else if (error.type !== 'KubernetesRefused') throw error;
    }
  return missing;
}

function ofCluster(spec: JsonObject): string[] {
  const bootstrap = objectAt(spec, 'bootstrap');
  return [
    spec['enableSuperuserAccess'] === true ? textAt(spec, 'superuserSecret', 'name') : null,
    ...['recovery', 'pg_basebackup', 'initdb'].map((way) => textAt(bootstrap, way, 'secret', 'name')),
  ].filter((name) => name !== null);
}
