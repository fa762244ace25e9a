import { digestOf, type Json } from './canonical.ts';
import {
  secretsOf,
  textAt,
  objectAt,
  type ClusterDefinition,
  type CnpgStore,
  type JsonObject,
} from './cnpg-definition.ts';
import { chooseCnpgRecovery, nameOf, type CnpgChoice, type CnpgChoiceFacts } from './cnpg-recovery-choice.ts';
import type { CnpgRecoveryFacts, CnpgRecoveryPlan } from './cnpg-recovery-facts.ts';
import { keptCluster, leftOut, recoveryCluster } from './cnpg-recovery-object.ts';
import { HoldfastError } from './errors.ts';
import { code, formatBytes } from './format.ts';
import type { Obstacle } from './plan.ts';
import { quantityBytes } from './quantity.ts';
import type { RecoverArgument } from './recover-argument.ts';

/** What a plan is made from. */
export interface CnpgPlanInput extends Omit<CnpgChoiceFacts, 'target' | 'wanted' | 'cluster'> {
  readonly argument: RecoverArgument;
  /** Short id of the run. */
  readonly run: string;
  readonly installation: string;
  readonly definition: ClusterDefinition;
  /** Of the Cluster object; null: it is gone. */
  readonly uid: string | null;
  readonly store: CnpgStore | null;
  /** Whether something of the new name is there that isn't this run's. */
  readonly taken: { readonly cluster: boolean; readonly archive: boolean | 'unknown' };
  /** Secrets that are not there, of those that could be looked for. */
  readonly missingSecrets: readonly string[];
  /** What could not be found out, a sentence each. */
  readonly unknown: readonly string[];
}

/** A label's value is as long; CloudNativePG takes 50, because names of pods and services are made of it. */
const longestName = 50;

/** What the new Cluster is called: as asked for, else after its source and the run. */
export function recoveredName({ into }: RecoverArgument, source: string, run: string): string {
  const ending = `-recovered-${run}`;
  return into?.name ?? `${source.slice(0, longestName - ending.length).replace(/-+$/, '')}${ending}`;
}

/** Throws what chooseCnpgRecovery throws. Whatever else stands in the way is in the plan, all of it. */
export function planCnpgRecovery(input: CnpgPlanInput): CnpgRecoveryPlan {
  const { argument, definition, store, now } = input;
  const choice = chooseCnpgRecovery({
    ...input,
    cluster: argument.cluster,
    target: argument.target,
    wanted: argument.backup,
  });
  const facts = factsOf(input, choice);
  return {
    facts,
    estimates: {
      range: choice.range,
      baseAgeSeconds: Math.max(0, (now.getTime() - Date.parse(choice.base.finishedAt)) / 1000),
      dataBytes: choice.base.dataBytes,
      walSegments: choice.end.segments,
      archivedLsn: choice.end.lsn,
      archivedAt: choice.end.at,
    },
    obstacles: [
      ...placeObstacles(input, facts),
      ...storeObstacles(store, choice),
      ...secretObstacles(input),
      ...sizeObstacles(facts.makes.object, choice),
      ...loginNotes(definition, facts),
      ...[...choice.notes, ...input.unknown].map((what) => note(what)),
    ],
    steps: stepsOf(facts),
  };
}

function factsOf(input: CnpgPlanInput, { base, target }: CnpgChoice): CnpgRecoveryFacts {
  const { argument, definition, run, installation, store, uid } = input;
  const { namespace, spec } = definition;
  const name = recoveredName(argument, definition.name, run);
  const wanted = {
    name,
    run,
    installation,
    source: definition,
    store,
    base,
    target,
    storage: argument.into?.storage ?? {},
  };
  const instances = argument.into?.instances ?? (typeof spec['instances'] === 'number' ? spec['instances'] : 1);
  const kept = keptCluster(wanted, instances);
  return {
    version: 1,
    kind: 'cnpg',
    run,
    source: {
      cluster: argument.cluster,
      namespace,
      name: definition.name,
      uid,
      systemIdentifier: base.systemIdentifier,
    },
    store:
      store === null
        ? null
        : {
            place: `${destinationOf(store)}/${store.serverName}`,
            objectStore: store.way.kind === 'plugin' ? store.way.objectStore : null,
            serverName: store.serverName,
          },
    target,
    base: {
      id: base.id,
      object: base.object,
      snapshot: base.snapshots !== null,
      timeline: base.timeline,
      beginWal: base.beginWal,
      endLsn: base.endLsn,
      finishedAt: base.finishedAt,
    },
    makes: {
      namespace,
      name,
      object: recoveryCluster(wanted),
      kept,
      keptInstances: instances,
      keptServerName: archives(kept) ? name : null,
    },
    leftOut: leftOut(spec),
  };
}

const destinationOf = ({ way, barman }: CnpgStore) =>
  textAt(barman ?? {}, 'destinationPath')?.replace(/\/+$/, '') ??
  `ObjectStore ${way.kind === 'plugin' ? way.objectStore : ''}`;

const archives = (kept: JsonObject) =>
  objectAt(kept, 'spec', 'backup', 'barmanObjectStore')['serverName'] !== undefined ||
  objectAt(kept, 'spec')['plugins'] !== undefined;

export const cnpgRecoveryDigest = ({ facts }: Pick<CnpgRecoveryPlan, 'facts'>) => digestOf(facts as unknown as Json);

/** Throws PlanHopeless that names everything that is in the way, with every cure. */
export function refuseHopelessCnpgRecovery({ obstacles }: Pick<CnpgRecoveryPlan, 'obstacles'>): void {
  const found = obstacles.filter(({ weight }) => weight === 'hopeless');
  if (found.length === 0) return;
  const cures = new Set(found.map(({ cure }) => cure).filter((cure) => cure !== ''));
  throw new HoldfastError('PlanHopeless', found.map(({ what }) => what).join('; '), [...cures].join('; '));
}

const hopeless = (what: string, cure: string): Obstacle => ({ weight: 'hopeless', what, cure });
const note = (what: string, cure = ''): Obstacle => ({ weight: 'note', what, cure });

function placeObstacles({ taken }: CnpgPlanInput, { makes, store }: CnpgRecoveryFacts): Obstacle[] {
  const found: Obstacle[] = [];
  if (taken.cluster)
    found.push(
      hopeless(
        `there is a Cluster ${makes.namespace}/${makes.name} already, and not of this run`,
        'give another name: into.name',
      ),
    );
  if (makes.keptServerName === null || store === null) return found;
  const parent = store.place.slice(0, -store.serverName.length - 1);
  if (makes.keptServerName === store.serverName)
    found.push(
      hopeless(
        `the new Cluster would archive under ${makes.keptServerName}, which is its source's own archive`,
        'give another name: into.name',
      ),
    );
  else if (taken.archive === true)
    found.push(
      hopeless(
        `${parent}/${makes.keptServerName} is not empty: another Cluster has archived there, and CloudNativePG refuses to mix them`,
        'give another name: into.name',
      ),
    );
  else if (taken.archive === 'unknown')
    found.push(
      note(
        `whether ${parent}/${makes.keptServerName} is empty can't be told from here: if it isn't, archiving fails once the new Cluster is kept`,
      ),
    );
  return found;
}

function storeObstacles(store: CnpgStore | null, { base, target }: CnpgChoice): Obstacle[] {
  if (store === null) {
    if (base.snapshots === null)
      return [
        hopeless(
          'the Cluster names no object store, so nothing says where its backups lie',
          'give it spec.backup.barmanObjectStore or the Barman Cloud plugin; for a Cluster that is gone: cnpg.recovery in the configuration',
        ),
      ];
    return target.kind === 'latest' || target.kind === 'immediate'
      ? [note('there is no WAL archive: the new Cluster is what the volume snapshot holds')]
      : [
          hopeless(
            'there is no WAL archive, so no target after the volume snapshot can be reached',
            'recover to immediate',
          ),
        ];
  }
  if (store.way.kind !== 'plugin' || store.barman !== null) return [];
  return [
    hopeless(
      `ObjectStore ${store.way.objectStore} is not there, which the plugin reads the backups by`,
      'apply it first, as it was, with the Secret that it names',
    ),
  ];
}

function secretObstacles({ missingSecrets, store, definition }: CnpgPlanInput): Obstacle[] {
  if (missingSecrets.length === 0) return [];
  const ofStore = secretsOf(store?.barman ?? null);
  return missingSecrets.map((name) =>
    hopeless(
      `Secret ${definition.namespace}/${name} is not there, ${ofStore.includes(name) ? 'which opens the object store' : 'which the Cluster names'}`,
      'create it first: backups hold no Secrets',
    ),
  );
}

/** CloudNativePG finds out only when the volume is full. */
function sizeObstacles(object: JsonObject, { base }: CnpgChoice): Obstacle[] {
  const size = textAt(object, 'spec', 'storage', 'size');
  const bytes = size === null ? null : quantityBytes(size);
  if (base.dataBytes === null || size === null || bytes === null)
    return [
      note(
        `whether the volume is large enough can't be told: ${size === null ? 'its size is not in storage.size' : "the backup doesn't tell its size"}`,
      ),
    ];
  if (bytes > base.dataBytes) return [];
  return [
    hopeless(
      `the data of base backup ${nameOf(base)} takes ${formatBytes(base.dataBytes)}, and the volume would have ${size} (${formatBytes(bytes)})`,
      'give a larger one: into.storage.size',
    ),
  ];
}

function loginNotes({ spec }: ClusterDefinition, { makes }: CnpgRecoveryFacts): Obstacle[] {
  if (spec['enableSuperuserAccess'] === true) {
    const own = textAt(spec, 'superuserSecret', 'name');
    return [
      note(
        own === null
          ? `the superuser's password will be a new one, in Secret ${makes.name}-superuser`
          : `the superuser's password will be the one in Secret ${own}, as with its source`,
      ),
    ];
  }
  return [
    note(
      'the Cluster lets no superuser in, and neither will the new one: what was reached is read from the log of its recovery',
    ),
  ];
}

function stepsOf({ base, store, makes, target }: CnpgRecoveryFacts): string[] {
  const how =
    makes.keptServerName === null
      ? 'it gets its instances, and archives nowhere'
      : `it gets ${String(makes.keptInstances)} ${makes.keptInstances === 1 ? 'instance' : 'instances'} and archives under the server name ${makes.keptServerName}, after a restart`;
  return [
    `Cluster ${code(makes.name)} is created with one instance; it archives nowhere`,
    `CloudNativePG ${base.snapshot ? 'makes its volume from the snapshot' : 'fetches the base backup'}${store === null ? '' : ', replays the WAL'}, and promotes it ${target.kind === 'latest' ? 'at the end of the archive' : 'at the target'}: there is no pause, and no going on to a later target`,
    'what was reached is compared with what was asked, and the checks of its policies are asked',
    `a human looks, and decides: promote (${how}) or throw away (the Cluster and its volumes are deleted)`,
  ];
}
