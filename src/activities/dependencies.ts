import type { Leases } from '../client/leases.ts';
import type { Config, SecretReference } from '../domain/config.ts';
import type { PlaceInKubernetes, PlaceSpec, RepositorySpec } from '../domain/specs.ts';
import { locateCluster } from '../kubernetes/cnpg/locate.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import type { Located } from '../kubernetes/located.ts';
import { locateStatefulSet, loginOfStatefulSet } from '../kubernetes/statefulset.ts';
import type { TemporalPlace } from '../kubernetes/worker-pod/template.ts';
import type { RunAs } from '../postgres/instance/run-as.ts';
import type { Server } from '../postgres/server.ts';
import type { Repository } from '../storage/repository.ts';
import type { Compressors } from '../streams/compress.ts';
import type { ToolPlaces } from '../postgres/tools.ts';
import type { WalReport } from '../postgres/wal/receive.ts';

/** What activities stand on. The worker wires it; tests hand in their own. */
export interface Dependencies {
  /** Holdfast's own version. */
  readonly version: string;
  /** The worker's configuration as it is now: the file may change under a running worker. */
  readonly config: () => Promise<Config>;
  readonly leases: Leases;
  /** Whether a worker does the work of a site: asked within the last minutes for some, that is. */
  readonly isServed: (site: string) => Promise<boolean>;
  /** The same repository for the same specification: it remembers which one lay there. */
  readonly openRepository: (spec: RepositorySpec) => Repository;
  readonly compressors: Compressors;
  readonly toolPlaces: (config: Config) => ToolPlaces;
  /** Where archives may lie for a while that pg_restore has to seek in. */
  readonly scratch: string;
  /** Where instances of PostgreSQL are made that belong to nobody but a run, and who runs them where the worker is root. */
  readonly instances: { readonly directory: string; readonly runAs: RunAs | undefined };
  /** This machine's name: work on what lies on its disks is for its workers only. */
  readonly host: string;
  /** Where this worker finds Temporal, the pod that it runs in (null: in none that it knows), and since when. */
  readonly self: {
    readonly temporal: TemporalPlace;
    readonly pod: { readonly namespace: string; readonly name: string } | null;
    readonly startedAt: Date;
  };
  /** Reads a secret's value. Throws ConfigurationInvalid that names where it should be. */
  readonly secret: (reference: SecretReference) => Promise<string>;
  /** The Kubernetes that this worker may ask. ConfigurationInvalid where there is none. */
  readonly kubernetes: (signal?: AbortSignal) => Promise<Kubernetes>;
  /** Hears how an archive stands, for metrics. */
  readonly walReport?: (cluster: string, report: WalReport) => void;
  /** Does nothing; tests make it kill the worker or fail at a named point. */
  readonly failpoint: (name: string) => Promise<void>;
}

/**
 * How to reach a cluster's server now, with the password that its configuration refers to: in Kubernetes both are asked
 * for each time, because primaries move and passwords rotate.
 */
export async function serverOf(deps: Dependencies, place: PlaceSpec): Promise<Server> {
  if ('server' in place) {
    const { password, sslrootcert, ...rest } = place.server;
    return {
      ...rest,
      ...(password === undefined ? {} : { password: await deps.secret(password) }),
      ...(sslrootcert === undefined ? {} : { sslrootcert }),
    };
  }
  const { host, port, user, password } = await locate(deps, place);
  const { database, sslmode, sslrootcert } = 'cnpg' in place ? place.cnpg : place.statefulset;
  return { host, port, user, password, database, sslmode, ...(sslrootcert === undefined ? {} : { sslrootcert }) };
}

/** Where a cluster in Kubernetes answers, and which Secret holds its password. */
export const locate = async (deps: Dependencies, place: PlaceInKubernetes): Promise<Located> =>
  'cnpg' in place
    ? locateCluster(await deps.kubernetes(), place.cnpg)
    : locateStatefulSet(await deps.kubernetes(), place.statefulset);

/** Whom a copy of the cluster knows: its superuser, and the database to ask. The cluster itself may be gone. */
export async function whoOf(
  deps: Dependencies,
  place: PlaceSpec,
): Promise<{ readonly user: string; readonly database: string }> {
  if ('server' in place) {
    const { user, database } = place.server;
    return { user, database };
  }
  if ('cnpg' in place) return { user: 'postgres', database: place.cnpg.database };
  const { user } = await loginOfStatefulSet(await deps.kubernetes(), place.statefulset);
  return { user, database: place.statefulset.database };
}
