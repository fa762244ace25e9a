import { foreignBeside } from '../activities/foreign-listing.ts';
import type { BaseBackup } from '../domain/base-manifest.ts';
import { findBackup, type Backup, type Unreadable } from '../domain/catalog.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { backupIdSchema } from '../domain/ids.ts';
import { filesOf, type ForeignDump } from '../domain/foreign.ts';
import { adoptSpec, repositoryPlace, repositorySpec, type AdoptSpec, type RepositorySpec } from '../domain/specs.ts';
import { readCatalog } from '../storage/catalog.ts';
import { openRepository } from '../storage/open.ts';
import { readBases } from '../storage/physical-catalog.ts';
import type { Repository } from '../storage/repository.ts';
import { secretReader } from '../worker/secrets.ts';
import type { Context } from './context.ts';

/** Read from where this command runs: the same files that the workers see, if the same mount is here. */
export interface Catalogs {
  readonly backups: readonly Located[];
  /** Newest first of each cluster. */
  readonly bases: readonly LocatedBase[];
  readonly unreadable: readonly (Unreadable & { readonly repository: string })[];
  /** Repositories that can't be read from here. */
  readonly unreachable: readonly { readonly repository: string; readonly error: HoldfastError }[];
}

export interface Located {
  readonly repository: string;
  readonly backup: Backup;
}

export interface LocatedBase {
  readonly repository: string;
  readonly base: BaseBackup;
}

export type OpenRepository = (spec: RepositorySpec) => Repository;

/** Opens a repository from where the command runs, with the secrets that this process can read. */
export function repositoryOpener({ environment }: Pick<Context, 'environment'>): OpenRepository {
  const readSecret = secretReader(environment);
  return (spec) => openRepository(spec, readSecret);
}

/** A dump that something else made, and the policy that may adopt it. */
export interface LocatedDump {
  readonly adopt: AdoptSpec;
  readonly cluster: string;
  readonly dump: ForeignDump;
  /** Every file of it. */
  readonly keys: readonly string[];
}

/** The dumps that policies may adopt, newest first of each policy; of repositories that could be read. */
export async function readForeign(
  config: Config,
  open: OpenRepository,
  { backups, unreachable }: Catalogs,
): Promise<LocatedDump[]> {
  const found: LocatedDump[] = [];
  for (const [policy, { cluster }] of Object.entries(config.policies)) {
    const adopt = adoptSpec(config, policy);
    if (adopt === null || unreachable.some(({ repository }) => repository === adopt.repository.name)) continue;
    const known = backups.filter(({ repository }) => repository === adopt.repository.name).map(({ backup }) => backup);
    const { dumps, keys } = await foreignBeside(open(adopt.repository), adopt, known);
    found.push(...dumps.map((dump) => ({ adopt, cluster, dump, keys: filesOf(dump, keys) })));
  }
  return found;
}

/** @param only one repository by its name; default: all of the configuration. Throws InvalidArgument for an unknown name. */
export async function readCatalogs(config: Config, open: OpenRepository, only?: string): Promise<Catalogs> {
  const names = only === undefined ? Object.keys(config.repositories) : [only];
  const specs = names.map((name) => repositorySpec(config, name));
  const read = await Promise.all(specs.map((spec) => readOne(spec, physicalClusters(config, spec.name), open)));
  return {
    backups: read.flatMap(({ backups }) => backups),
    bases: read.flatMap(({ bases }) => bases),
    unreadable: read.flatMap(({ unreadable }) => unreadable),
    unreachable: read.flatMap(({ unreachable }) => unreachable),
  };
}

/** The clusters whose base backups may lie in a repository, as the configuration says. */
const physicalClusters = (config: Config, repository: string): string[] =>
  Object.entries(config.clusters).flatMap(([name, { wal }]) => {
    const policies = Object.values(config.policies).filter(({ cluster }) => cluster === name);
    return wal?.repository === repository || policies.some((policy) => policy.repository === repository) ? [name] : [];
  });

async function readOne(spec: RepositorySpec, clusters: readonly string[], open: OpenRepository): Promise<Catalogs> {
  const { name } = spec;
  try {
    const repository = open(spec);
    const { backups, unreadable } = await readCatalog(repository);
    const physical = [];
    for (const cluster of clusters) physical.push(await readBases(repository, cluster));
    return {
      backups: backups.map((backup) => ({ repository: name, backup })),
      bases: physical.flatMap(({ bases }) => bases.map((base) => ({ repository: name, base }))),
      unreadable: [...unreadable, ...physical.flatMap((found) => found.unreadable)].map((one) => ({
        ...one,
        repository: name,
      })),
      unreachable: [],
    };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const unreachable = [{ repository: name, error: seenFromHere(error, spec) }];
    return { backups: [], bases: [], unreadable: [], unreachable };
  }
}

/** A command runs where people are, which is often not where the mount is. */
export function seenFromHere(error: HoldfastError, spec: RepositorySpec): HoldfastError {
  const elsewhere =
    'directory' in spec
      ? `run this where ${spec.directory} is mounted, for example in the worker's pod`
      : `run this where ${repositoryPlace(spec)} can be reached with its credentials, for example in the worker's pod`;
  return new HoldfastError(
    error.type,
    `repository ${spec.name} can't be read from here: ${error.message}`,
    `${elsewhere}; if this is the place: ${error.hint}`,
    { cause: error },
  );
}

export type Found =
  { readonly kind: 'dump'; readonly located: Located } | { readonly kind: 'base'; readonly located: LocatedBase };

/**
 * One backup by its id, or the name of its file, or `latest` of a cluster: its newest good one, of whichever kind.
 * Throws NoSuchBackup, InvalidArgument where the id alone doesn't tell which one is meant, or why a repository can't be
 * read, if the backup may lie there.
 */
export function locate(catalogs: Catalogs, asked: string, cluster: string | undefined): Found {
  const parsed = backupIdSchema.safeParse(asked);
  if (!parsed.success)
    throw new HoldfastError(
      'InvalidArgument',
      `'${asked}' is not the id of a backup`,
      "give an id as listed by 'holdfast backups list', or latest with --cluster",
    );
  const id = parsed.data;
  const found = cluster === undefined ? withId(catalogs, id) : inCluster(catalogs, id, cluster);
  const [first, second] = found;
  if (first && !second) return first;
  if (first) {
    const clusters = [...new Set(found.map((one) => manifestOf(one).cluster))];
    throw new HoldfastError(
      'InvalidArgument',
      `'${id}' is a backup of more than one cluster or repository: ${found.map((one) => `${manifestOf(one).cluster} in ${one.located.repository}`).join(', ')}`,
      `name the cluster, for example --cluster ${clusters[0] ?? ''}`,
    );
  }
  const [unreachable] = catalogs.unreachable;
  if (unreachable) throw unreachable.error;
  if (id === 'latest' && cluster === undefined)
    throw new HoldfastError('InvalidArgument', "'latest' is meant of one cluster", 'name it with --cluster');
  throw new HoldfastError('NoSuchBackup', `no backup is named '${id}'`, "see 'holdfast backups list'");
}

export const manifestOf = (found: Found) =>
  found.kind === 'base' ? found.located.base.manifest : found.located.backup.manifest;

const withId = (catalogs: Catalogs, id: string): Found[] => [
  ...catalogs.backups.filter(({ backup }) => backup.manifest.id === id).map(asDump),
  ...catalogs.bases.filter(({ base }) => base.manifest.id === id).map(asBase),
];

const asDump = (located: Located): Found => ({ kind: 'dump', located });
const asBase = (located: LocatedBase): Found => ({ kind: 'base', located });

function inCluster(catalogs: Catalogs, id: string, cluster: string): Found[] {
  const bases = catalogs.bases.filter(
    ({ base: { manifest, verification } }) =>
      manifest.cluster === cluster && (id === 'latest' ? verification !== 'failed' : manifest.id === id),
  );
  const newestBase = bases.reduce<LocatedBase | undefined>(
    (best, one) => (best && best.base.manifest.startedAt >= one.base.manifest.startedAt ? best : one),
    undefined,
  );
  try {
    const backup = findBackup(
      { backups: catalogs.backups.map((located) => located.backup), unreadable: catalogs.unreadable },
      { cluster, backup: id },
    );
    if (id !== 'latest' || !newestBase || newestBase.base.manifest.startedAt < backup.manifest.startedAt)
      return catalogs.backups.filter((located) => located.backup === backup).map(asDump);
    return [asBase(newestBase)];
  } catch (error) {
    if (newestBase) return id === 'latest' ? [asBase(newestBase)] : bases.map(asBase);
    // It may lie where nobody could look.
    const [unreachable] = catalogs.unreachable;
    throw unreachable ? unreachable.error : error;
  }
}

export const openLocated = (
  config: Config,
  open: OpenRepository,
  { repository }: Pick<Located, 'repository'>,
): Repository => open(repositorySpec(config, repository));
