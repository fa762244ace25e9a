import { foreignPrefix } from '../domain/foreign.ts';
import { joinKey, manifestSuffix, surveyDirectory, tombstoneSuffix } from '../domain/ids.ts';
import { judge, type Verdict } from '../domain/retention.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { readCatalog } from '../storage/catalog.ts';
import type { Repository } from '../storage/repository.ts';
import { finishRemoval, readTombstone, removeBackup, unbelievable, unlessLocked } from './burying.ts';
import type { Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface PruneInput {
  readonly spec: BackupSpec;
  readonly run: RunIdentity;
  /** Backups that restores are reading: id and workflow id. */
  readonly inUse: readonly (readonly [backup: string, workflowId: string])[];
  readonly dryRun: boolean;
}

export interface PruneResult {
  readonly removed: readonly string[];
  readonly kept: number;
  /** Should have gone, and the store's object lock keeps it; the first twenty. */
  readonly locked?: readonly string[];
  /** Newest first, at most two hundred. */
  readonly verdicts: readonly { readonly id: string; readonly keep: readonly string[] }[];
}

/** What of a run's temporary files is this old belongs to nobody any more. */
const staleMs = 48 * 3_600_000;
/** Surveys of foreign dumps are for one restore, which may wait for its approval. */
const staleSurveyMs = 30 * 24 * 3_600_000;

/**
 * Judges a policy's backups and removes those that nothing keeps, oldest first, so that an interrupted prune has
 * taken the least valuable ones. Can be killed anywhere: see `removeBackup`.
 */
export async function pruneBackups(
  deps: Dependencies,
  input: PruneInput,
  { signal, report }: Working,
): Promise<PruneResult> {
  const { spec, run, inUse, dryRun } = input;
  const repository = deps.openRepository(spec.repository);
  const catalog = await readCatalog(repository);
  const own = catalog.backups.filter(
    ({ manifest }) =>
      manifest.installation === spec.installation &&
      manifest.cluster === spec.source.cluster &&
      manifest.policy === spec.policy,
  );
  const facts = { now: new Date(), inUse: new Map(inUse) };
  const verdicts: Verdict[] =
    spec.keep === null
      ? own.map((backup) => ({ backup, keep: ['the policy has no keep: nothing is ever deleted'] }))
      : judge(own, spec.keep, facts);
  const going = verdicts.filter(({ keep }) => keep.length === 0).map(({ backup }) => backup);
  const removed: string[] = [];
  const locked: string[] = [];
  if (!dryRun) {
    await finishBegunRemovals(repository, spec, signal);
    for (const backup of going.toReversed()) {
      signal.throwIfAborted();
      await deps.failpoint('prune:before');
      const gone = await unlessLocked(
        removeBackup(repository, backup, tombstoneKey(backup.manifestKey), { run, signal, failpoint: deps.failpoint }),
      );
      (gone ? removed : locked).push(backup.manifest.id);
      report({ doing: `removed ${backup.manifest.id}`, done: removed.length, total: going.length });
    }
    await sweepStale(repository);
    await removeOldSurveys(repository, spec.source.cluster);
  }
  return {
    removed: dryRun ? going.map(({ manifest }) => manifest.id) : removed,
    kept: verdicts.length - going.length,
    ...(locked.length === 0 ? {} : { locked: locked.slice(0, 20) }),
    verdicts: verdicts.slice(0, 200).map(({ backup, keep }) => ({ id: backup.manifest.id, keep })),
  };
}

async function finishBegunRemovals(repository: Repository, spec: BackupSpec, signal: AbortSignal): Promise<void> {
  const own = joinKey(spec.path, `${spec.prefix}-`);
  for (const place of new Set([own, ...(spec.adopt === null ? [] : [foreignPrefix(spec.adopt)])])) {
    for await (const { key } of repository.list(place)) {
      signal.throwIfAborted();
      if (!key.endsWith(tombstoneSuffix)) continue;
      const stem = key.slice(0, -tombstoneSuffix.length);
      const isOwn = (other: string) => other === stem || other.startsWith(`${stem}.`) || other.startsWith(`${stem}/`);
      const tombstone = readTombstone(await repository.readText(key), isOwn);
      if (tombstone === undefined) {
        // Among adopted dumps lie other people's files.
        if (!key.startsWith(own)) continue;
        throw unbelievable(key);
      }
      await finishRemoval(repository, key, tombstone);
    }
  }
}

const tombstoneKey = (manifestKey: string) => `${manifestKey.slice(0, -manifestSuffix.length)}${tombstoneSuffix}`;

export async function sweepStale(repository: Repository): Promise<void> {
  const stale = new Set<string>();
  for await (const { run, modifiedAt } of repository.listStaged())
    if (Date.now() - modifiedAt.getTime() > staleMs) stale.add(run);
  for (const run of stale) await repository.sweep({ run });
}

async function removeOldSurveys(repository: Repository, cluster: string): Promise<void> {
  for await (const { key, modifiedAt } of repository.list(`${surveyDirectory(cluster)}/`))
    if (Date.now() - modifiedAt.getTime() > staleSurveyMs) await unlessLocked(repository.remove(key));
}
