import { setTimeout as sleep } from 'node:timers/promises';
import { backupObjectName, type CnpgSpec, type CnpgWay } from '../domain/cnpg-specs.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { RunIdentity } from '../domain/run.ts';
import { judgeSnapshots, type Snapshot } from '../domain/snapshot-retention.ts';
import { createBackup, labels, listBackups, readBackup, standingOf, type Backup } from '../kubernetes/cnpg/backup.ts';
import { assertHasPrimary, readCluster } from '../kubernetes/cnpg/cluster.ts';
import { readRetention } from '../kubernetes/cnpg/retention.ts';
import { removeSnapshotBackup, removingLabel } from '../kubernetes/cnpg/snapshots.ts';
import { wayFor } from '../kubernetes/cnpg/ways.ts';
import type { Dependencies } from './dependencies.ts';
import type { PruneResult } from './prune-backups.ts';
import type { Working } from './working.ts';

export interface PreparedCnpg {
  readonly way: CnpgWay;
  readonly warnings: readonly string[];
}

/** That the Cluster can be backed up now, and how. Changes nothing. */
export async function preflightCnpg(
  deps: Dependencies,
  { spec }: { readonly spec: CnpgSpec },
  { signal }: Pick<Working, 'signal'>,
): Promise<PreparedCnpg> {
  const kubernetes = await deps.kubernetes(signal);
  const cluster = await readCluster(kubernetes, spec.source.cnpg);
  assertHasPrimary(cluster);
  const way = wayFor(cluster, spec.way);
  const archiving = cluster.status.conditions?.find(({ type }) => type === 'ContinuousArchiving');
  const retention = await readRetention(kubernetes, cluster, way);
  return {
    way,
    warnings: [
      ...(archiving?.status === 'False'
        ? [
            `WAL archiving of the Cluster fails, so the backup may wait for it: ${archiving.message ?? 'no reason given'}`,
          ]
        : []),
      ...(spec.window === null || retention === null || retention.retention === spec.window
        ? []
        : [
            `the policy keeps ${spec.window}, and ${retention.place} says ${retention.retention ?? 'nothing, so that nothing is ever deleted'}: 'holdfast apply' writes it there`,
          ]),
    ],
  };
}

export interface CreateCnpgInput {
  readonly spec: CnpgSpec;
  readonly run: RunIdentity;
  readonly way: CnpgWay;
  /** ISO; when the run began. */
  readonly startedAt: string;
  /** 1 for the run's first Backup, 2 for the next when CloudNativePG has failed. */
  readonly turn: number;
}

/** Asks CloudNativePG for a backup. Done again it finds what it has asked for. */
export async function createCnpgBackup(
  deps: Dependencies,
  { spec, run, way, startedAt, turn }: CreateCnpgInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<{ readonly name: string }> {
  await deps.failpoint('cnpg:create');
  const { metadata } = await createBackup(await deps.kubernetes(signal), {
    cluster: spec.source.cnpg,
    name: backupObjectName(spec.policy, new Date(startedAt), turn),
    labels: { [labels.installation]: spec.installation, [labels.policy]: spec.policy, [labels.run]: run.short },
    way,
    target: spec.target,
    online: spec.online,
  });
  await deps.failpoint('cnpg:created');
  return { name: metadata.name };
}

/** What CloudNativePG says of a backup that it has taken. */
export interface TakenByCnpg {
  readonly name: string;
  readonly method: string;
  readonly backupId: string | null;
  readonly instance: string | null;
  readonly beginWal: string | null;
  readonly endWal: string | null;
  readonly beginLsn: string | null;
  readonly endLsn: string | null;
  readonly startedAt: string | null;
  readonly stoppedAt: string | null;
  readonly destination: string | null;
}

export interface WatchCnpgInput {
  readonly spec: CnpgSpec;
  /** Of the Backup object. */
  readonly name: string;
  /** ISO; the policy's deadline counts from then. */
  readonly startedAt: string;
}

const pollMs = 2_000;
/** An API server may be restarted in between; one that stays away for so long is worth a failure. */
const patienceMs = 10 * 60_000;
/** A failure counts once it has stood for so long: see Standing. */
const settledMs = 30_000;

/**
 * Watches a Backup until it is over. BackupFailed where CloudNativePG failed or somebody deleted it, BackupStuck once
 * the deadline has passed: a Backup may stay in a phase for ever. The Backup object stays, whatever comes of it.
 */
export async function watchCnpgBackup(
  deps: Dependencies,
  { spec, name, startedAt }: WatchCnpgInput,
  { signal, report }: Working,
): Promise<TakenByCnpg> {
  const kubernetes = await deps.kubernetes(signal);
  const { namespace } = spec.source.cnpg;
  const what = `Backup ${namespace}/${name}`;
  const deadline = Date.parse(startedAt) + spec.deadlineMs;
  let heardAt = performance.now();
  let doing = 'waiting for the operator';
  let failedAt: number | undefined;
  for (;;) {
    const backup = await readBackup(kubernetes, { namespace, name }).catch((error: unknown) => {
      signal.throwIfAborted();
      const passes = error instanceof HoldfastError && error.type === 'KubernetesUnavailable';
      if (!passes || performance.now() - heardAt > patienceMs) throw error;
      return null;
    });
    if (backup === undefined)
      throw new HoldfastError('BackupFailed', `${what} was deleted before it was over`, 'run the policy again');
    if (backup !== null) {
      heardAt = performance.now();
      const standing = standingOf(backup);
      if (standing.over && standing.failure === null) return takenOf(backup);
      if (standing.over) {
        failedAt ??= heardAt;
        if (!standing.mayGoOn || heardAt - failedAt >= settledMs || Date.now() > deadline)
          throw new HoldfastError(
            'BackupFailed',
            `${what} failed: ${standing.failure ?? ''}`,
            `kubectl -n ${namespace} describe backup ${name} shows more, the log of the instance most`,
          );
        doing = 'failed, unless CloudNativePG goes on with it on another instance';
      } else {
        failedAt = undefined;
        doing = standing.doing;
      }
    }
    if (Date.now() > deadline)
      throw new HoldfastError(
        'BackupStuck',
        `${what} is not over after its deadline; it is ${doing}`,
        'see whether the operator runs and what the instance logs; delete the Backup object if it hangs. cnpg.deadline of the policy sets the time',
      );
    report({ doing: `${name}: ${doing}` });
    await sleep(pollMs, undefined, { signal });
  }
}

function takenOf({ metadata, spec, status }: Backup): TakenByCnpg {
  return {
    name: metadata.name,
    method: status.method ?? spec.method ?? 'barmanObjectStore',
    backupId: status.backupId ?? null,
    instance: status.instanceID?.podName ?? null,
    beginWal: status.beginWal ?? null,
    endWal: status.endWal ?? null,
    beginLsn: status.beginLSN ?? null,
    endLsn: status.endLSN ?? null,
    startedAt: status.startedAt ?? null,
    stoppedAt: status.stoppedAt ?? null,
    destination: status.destinationPath ?? null,
  };
}

export interface PruneCnpgInput {
  readonly spec: CnpgSpec;
  /** Backups that recoveries are reading: name and workflow id. */
  readonly inUse: readonly (readonly [backup: string, workflowId: string])[];
  readonly dryRun: boolean;
}

/**
 * Deletes the policy's volume snapshots that its window doesn't need. Backups in object stores are CloudNativePG's to
 * delete, by its own retentionPolicy; of them nothing is touched here.
 */
export async function pruneCnpg(
  deps: Dependencies,
  { spec, inUse, dryRun }: PruneCnpgInput,
  { signal, report }: Working,
): Promise<PruneResult> {
  const kubernetes = await deps.kubernetes(signal);
  const { window } = spec;
  const own = (await listBackups(kubernetes, spec.source.cnpg)).filter(
    ({ metadata }) =>
      metadata.labels?.[labels.policy] === spec.policy && metadata.labels[labels.installation] === spec.installation,
  );
  const snapshots = own.flatMap((backup) => snapshotOf(backup) ?? []);
  const readers = new Map(inUse);
  const judged = judgeSnapshots(snapshots, window, new Date()).map(({ snapshot, keep }) => {
    const reader = readers.get(snapshot.name);
    return { snapshot, keep: reader === undefined ? keep : [...keep, `read by ${reader}`] };
  });
  const going = judged.filter(({ keep }) => keep.length === 0);
  const removed: string[] = [];
  if (!dryRun)
    for (const { snapshot } of going.toReversed()) {
      signal.throwIfAborted();
      await removeSnapshotBackup(kubernetes, {
        metadata: { namespace: spec.source.cnpg.namespace, name: snapshot.name },
      });
      removed.push(snapshot.name);
      report({ doing: `removed ${snapshot.name}`, done: removed.length, total: going.length });
    }
  const elsewhere = own
    .filter((backup) => snapshotOf(backup) === undefined)
    .map((backup) => ({ id: backup.metadata.name, keep: [ofWhom(backup)] }));
  return {
    verdicts: [...judged.map(({ snapshot, keep }) => ({ id: snapshot.name, keep })), ...elsewhere],
    removed: dryRun ? going.map(({ snapshot }) => snapshot.name) : removed,
    kept: own.length - going.length,
    locked: [],
  };
}

function snapshotOf({ metadata, spec, status }: Backup): Snapshot | undefined {
  if ((status.method ?? spec.method) !== 'volumeSnapshot' || status.phase !== 'completed') return undefined;
  const going = metadata.labels?.[removingLabel] === 'true';
  return { name: metadata.name, stoppedAt: status.stoppedAt ?? metadata.creationTimestamp ?? '', going };
}

const ofWhom = ({ spec, status }: Backup) =>
  status.phase === 'completed'
    ? `in the object store, where CloudNativePG's own retentionPolicy decides (${status.method ?? spec.method ?? ''})`
    : `not a backup: ${status.phase ?? 'waiting'}`;
