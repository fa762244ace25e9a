import { z } from 'zod';
import type { Backup } from '../domain/catalog.ts';
import { HoldfastError } from '../domain/errors.ts';
import { foreignPrefix } from '../domain/foreign.ts';
import { evidenceDirectory, joinKey, manifestSuffix, surveyDirectory, tombstoneSuffix } from '../domain/ids.ts';
import { judge, type Verdict } from '../domain/retention.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { readCatalog } from '../storage/catalog.ts';
import type { Repository } from '../storage/repository.ts';
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
 * taken the least valuable ones. Can be killed anywhere: see `remove`.
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
      const gone = await unlessLocked(remove(deps, repository, backup, run, signal));
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

const tombstoneSchema = z.object({
  version: z.literal(1),
  backup: z.string(),
  cluster: z.string(),
  objects: z.array(z.string()),
  manifest: z.string(),
});
type Tombstone = z.infer<typeof tombstoneSchema>;

/**
 * A tombstone first, then the manifest, so that no catalog ever shows a backup without its bytes; then the bytes,
 * the evidence, and the tombstone last. A prune that was killed in between is finished by the next one.
 */
async function remove(
  deps: Dependencies,
  repository: Repository,
  backup: Backup,
  run: RunIdentity,
  signal: AbortSignal,
): Promise<void> {
  const { manifest, manifestKey } = backup;
  const tombstone: Tombstone = {
    version: 1,
    backup: manifest.id,
    cluster: manifest.cluster,
    objects: manifest.objects.map(({ key }) => key),
    manifest: manifestKey,
  };
  const key = tombstoneKey(manifestKey);
  if ((await repository.readText(key)) === undefined) {
    await repository.put(
      key,
      { run: run.short, attempt: 1 },
      new TextEncoder().encode(`${JSON.stringify(tombstone)}\n`),
      signal,
    );
  }
  await deps.failpoint('prune:tombstone');
  await bury(repository, key, tombstone, deps.failpoint);
}

/** false: the store's object lock kept something of it. */
export async function unlessLocked(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'ObjectLocked') return false;
    throw error;
  }
}

async function bury(
  repository: Repository,
  key: string,
  tombstone: Tombstone,
  failpoint: (name: string) => Promise<void>,
): Promise<void> {
  await repository.remove(tombstone.manifest);
  await failpoint('prune:manifest');
  for (const object of tombstone.objects) await repository.remove(object);
  for await (const evidence of repository.list(`${evidenceDirectory(tombstone.cluster, tombstone.backup)}/`))
    await repository.remove(evidence.key);
  await failpoint('prune:objects');
  await repository.remove(key);
}

async function finishBegunRemovals(repository: Repository, spec: BackupSpec, signal: AbortSignal): Promise<void> {
  const own = joinKey(spec.path, `${spec.prefix}-`);
  for (const place of new Set([own, ...(spec.adopt === null ? [] : [foreignPrefix(spec.adopt)])])) {
    for await (const { key } of repository.list(place)) {
      signal.throwIfAborted();
      if (!key.endsWith(tombstoneSuffix)) continue;
      const tombstone = readTombstone(key, await repository.readText(key));
      if (tombstone === undefined) {
        // Among adopted dumps lie other people's files.
        if (!key.startsWith(own)) continue;
        throw unbelievable(key);
      }
      // Still a backup, because its removal was cut short at once, or the store keeps it: it is judged like the others.
      if ((await repository.size(tombstone.manifest)) !== undefined) continue;
      await unlessLocked(bury(repository, key, tombstone, () => Promise.resolve()));
    }
  }
}

/** A tombstone names what is deleted: one that names anything but its own backup's files is not believed. */
function readTombstone(key: string, text: string | undefined): Tombstone | undefined {
  const stem = key.slice(0, -tombstoneSuffix.length);
  const parsed = tombstoneSchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { manifest, objects } = parsed.data;
  const isOwn = (other: string) => other === stem || other.startsWith(`${stem}.`) || other.startsWith(`${stem}/`);
  return [manifest, ...objects].every(isOwn) ? parsed.data : undefined;
}

const unbelievable = (key: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `tombstone ${key} doesn't name the files of its own backup`,
    'look at it, and remove it by hand together with what it stands for',
  );

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
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
