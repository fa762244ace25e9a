import { baseManifestSchema, type BaseBackup, type BaseManifest } from '../domain/base-manifest.ts';
import type { Unreadable } from '../domain/catalog.ts';
import { HoldfastError } from '../domain/errors.ts';
import { drillOf, verificationOf } from '../domain/evidence.ts';
import { inParallel, readAs, type Read } from './catalog.ts';
import type { Repository } from './repository.ts';

export interface PhysicalCatalog {
  /** Newest first, by the server's clock. */
  readonly bases: readonly BaseBackup[];
  readonly unreadable: readonly Unreadable[];
}

/**
 * Reads the manifests of a cluster's base backups, and how their verifications and drills went. One that can't be read
 * is listed with the reason, and never stops the others.
 */
export async function readBases(repository: Repository, cluster: string): Promise<PhysicalCatalog> {
  await repository.check();
  const manifestKeys: string[] = [];
  for await (const { key } of repository.list(`${cluster}/physical/`))
    if (manifestKeyPattern.test(key)) manifestKeys.push(key);
  const evidence: string[] = [];
  for await (const { key } of repository.list(`${cluster}/evidence/`)) evidence.push(key);
  const [verification, drill] = [verificationOf(evidence), drillOf(evidence)];
  const bases: BaseBackup[] = [];
  const unreadable: Unreadable[] = [];
  await inParallel(manifestKeys, async (manifestKey) => {
    const read = await readBaseManifest(repository, manifestKey);
    if ('reason' in read) unreadable.push({ manifestKey, reason: read.reason });
    else if (read.found !== undefined) {
      const { id } = read.found;
      bases.push({
        manifest: read.found,
        manifestKey,
        verification: verification(cluster, id),
        drill: drill(cluster, id),
      });
    }
  });
  return { bases: bases.sort(newestFirst), unreadable };
}

const newestFirst = ({ manifest: a }: BaseBackup, { manifest: b }: BaseBackup) =>
  Date.parse(b.serverFinishedAt) - Date.parse(a.serverFinishedAt) || (a.id < b.id ? 1 : -1);

/** `<cluster>/physical/<system identifier>/<id>/manifest.json` */
const manifestKeyPattern = /^([^/]+)\/physical\/([0-9]+)\/([^/]+)\/manifest\.json$/;

const readBaseManifest = (repository: Repository, manifestKey: string): Promise<Read<BaseManifest>> =>
  readAs(repository, manifestKey, baseManifestSchema, ofItsKey);

/** A manifest that has to be there. ObjectDamaged. */
export async function baseManifestAt(repository: Repository, manifestKey: string): Promise<BaseManifest> {
  const read = await readBaseManifest(repository, manifestKey);
  if ('found' in read && read.found !== undefined) return read.found;
  throw new HoldfastError(
    'ObjectDamaged',
    `manifest ${manifestKey} can't be read: ${'reason' in read ? read.reason : 'it is gone'}`,
    'take another backup, and look at the repository',
  );
}

/** A manifest speaks for the files of its own directory, and for no others: pruning deletes what it names. */
function ofItsKey(manifest: BaseManifest, manifestKey: string): Read<BaseManifest> {
  const [, cluster, systemIdentifier, id] = manifestKeyPattern.exec(manifestKey) ?? [];
  if (manifest.id !== id || manifest.cluster !== cluster || manifest.server.systemIdentifier !== systemIdentifier)
    return { reason: 'id: cluster, system identifier and id are not what its own place says' };
  const directory = manifestKey.slice(0, manifestKey.lastIndexOf('/') + 1);
  const foreign = manifest.objects.find(({ key }) => !key.startsWith(directory));
  return foreign === undefined ? { found: manifest } : { reason: `objects: ${foreign.key} does not lie beside it` };
}
