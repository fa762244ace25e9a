import { HoldfastError } from '../domain/errors.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec, RepositorySpec } from '../domain/specs.ts';
import { assertCompression } from '../postgres/archive/write.ts';
import { withSession } from '../postgres/connection.ts';
import { findTools } from '../postgres/tools.ts';
import { readManifest } from '../storage/catalog.ts';
import type { Repository, Staged } from '../storage/repository.ts';
import { compressorFor } from '../streams/compress.ts';
import { verify } from '../streams/verified.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { recordVerification } from './record-verification.ts';
import { stagedObjects } from './staged-list.ts';
import type { TakenBackup } from './take-backup.ts';
import { verifyStored } from './verify-stored.ts';
import type { Working } from './working.ts';

/** What must be so before a dump is worth beginning: each failure names its cure, and nothing has been made yet. Answers what the store can't promise. */
export async function preflightBackup(
  deps: Dependencies,
  { spec }: { readonly spec: BackupSpec },
): Promise<{ readonly warnings: readonly string[] }> {
  compressorFor(deps.compressors, spec.compression);
  const { warnings } = await deps.openRepository(spec.repository).check();
  const versionNum = await withSession(await serverOf(deps, spec.source), {}, (session) =>
    Promise.resolve(session.versionNum),
  );
  const tools = await findTools(versionNum, deps.toolPlaces(await deps.config()));
  if (spec.method === 'pg_dump') assertCompression(tools, spec.compression);
  return { warnings };
}

export interface CommitInput {
  readonly spec: Pick<BackupSpec, 'repository'>;
  readonly run: RunIdentity;
  readonly taken: TakenBackup;
}

/**
 * Publishes the files, then the manifest, which is what makes it a backup. Done again after a crash it finds what it
 * published, by digest, and goes on. NameTaken if somebody else's object has the name.
 */
export async function commitBackup(
  deps: Dependencies,
  { spec, taken }: CommitInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<{ readonly manifestKey: string }> {
  const repository = deps.openRepository(spec.repository);
  await repository.check();
  await deps.failpoint('commit:begin');
  const published: Staged[] = [];
  try {
    for (const object of await stagedObjects(repository, taken)) {
      await repository.publish(object, { signal });
      published.push(object);
      await deps.failpoint('commit:object');
    }
    await repository.publish(taken.manifest, { signal });
  } catch (error) {
    // The backup takes another name: what lies under this one would look like somebody else's dump.
    if (error instanceof HoldfastError && error.type === 'NameTaken') await removeAll(repository, published);
    throw error;
  }
  await deps.failpoint('commit:manifest');
  return { manifestKey: taken.manifest.key };
}

async function removeAll(repository: Repository, objects: readonly Staged[]): Promise<void> {
  for (const { key } of objects) await repository.remove(key);
}

export interface VerifyInput {
  readonly repository: RepositorySpec;
  readonly manifestKey: string;
  readonly run: RunIdentity;
}

/** Reads a backup back and puts what it found beside it as evidence. VerificationFailed where it is damaged. */
export async function verifyBackup(
  deps: Dependencies,
  input: VerifyInput,
  { signal, report }: Working,
): Promise<{ readonly plainBytes: number }> {
  const repository = deps.openRepository(input.repository);
  const read = await readManifest(repository, input.manifestKey);
  if (!('found' in read) || !read.found) {
    throw new HoldfastError(
      'ObjectDamaged',
      `manifest ${input.manifestKey} can't be read back: ${'reason' in read ? read.reason : 'it is gone'}`,
      'take another backup, and look at the repository',
    );
  }
  const manifest = read.found;
  const found = await verifyStored(repository, manifest, deps.compressors, {
    signal,
    onProgress: (bytes, totalBytes) => {
      report({ doing: `reading back ${manifest.id}`, bytes, totalBytes });
    },
  });
  await deps.failpoint('verify:read');
  await recordVerification(repository, manifest, input.run, found, signal);
  if (found.outcome === 'failed') {
    throw new HoldfastError(
      'VerificationFailed',
      `backup ${manifest.id} is damaged: ${found.damage.slice(0, 3).join('; ')}`,
      "it is not used for restores any more; see 'holdfast backups verify', look at the storage, and take another",
    );
  }
  return { plainBytes: found.plainBytes };
}

export interface SweepInput {
  readonly repository: RepositorySpec;
  readonly run: RunIdentity;
  /** What the run took last, committed or not. */
  readonly taken?: TakenBackup | undefined;
}

/**
 * Throws away what the run staged and didn't publish; and what it published of a backup whose manifest never followed,
 * which is no backup.
 */
export async function sweepStaged(
  deps: Dependencies,
  { repository: spec, run, taken }: SweepInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  const repository = deps.openRepository(spec);
  if (taken !== undefined && (await repository.size(taken.manifest.key)) === undefined) {
    const objects = await stagedObjects(repository, taken).catch(() => []);
    for (const object of objects)
      if (await isPublished(repository, object, signal)) await repository.remove(object.key);
  }
  await repository.sweep({ run: run.short });
}

/** These very bytes: the name may be somebody else's. */
async function isPublished(
  repository: Repository,
  { key, bytes, sha256 }: Staged,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await repository.size(key)) !== bytes) return false;
  try {
    await verify(repository.read(key, undefined, signal, { lent: true }), { name: key, bytes, sha256 });
    return true;
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'ObjectDamaged') return false;
    throw error;
  }
}
