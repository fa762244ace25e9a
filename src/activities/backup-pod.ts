import { HoldfastError } from '../domain/errors.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec, PlaceInKubernetes, TargetSpec } from '../domain/specs.ts';
import { workerPodName } from '../domain/workload.ts';
import { passwordFile, type WorkerOrder } from '../kubernetes/worker-pod/job.ts';
import { raiseWorkerPod, removeWorkerPod, sweepWorkerPods } from '../kubernetes/worker-pod/raise.ts';
import { locate, type Dependencies } from './dependencies.ts';
import { templateFor } from './worker-pod-template.ts';
import type { Working } from './working.ts';

/** Dumps by a pod beside the database: what is asked of Kubernetes for them. The pod itself asks Kubernetes nothing. */

export interface BackupPodInput {
  readonly spec: Pick<BackupSpec, 'installation' | 'source'>;
  readonly run: RunIdentity;
}

/** A pod that takes work. */
export interface BackupPod {
  readonly host: string;
  /** The database as the pod reaches it, with its password as a file there. */
  readonly source: TargetSpec;
}

/**
 * Makes sure that the run's pod is there and takes work, after pods of runs that are over have been removed. Where the
 * database answers and as whom is asked each time anew.
 */
export async function readyBackupPod(
  deps: Dependencies,
  { spec, run }: BackupPodInput,
  { signal, report }: Working,
): Promise<BackupPod> {
  const { source } = spec;
  const place = placeOf(source);
  const { database, sslmode, sslrootcert, namespace } = place;
  const { host, port, user, passwordFrom } = await locate(deps, inKubernetes(source));
  const kubernetes = await deps.kubernetes(signal);
  const order: WorkerOrder = {
    ...{ namespace, run, passwordFrom, purpose: 'dump', user: null, fsGroup: null, node: null, volume: null },
    name: workerPodName(source.cluster, run.short, 'dump'),
    site: source.site,
    installation: spec.installation,
    cluster: source.cluster,
  };
  await sweepWorkerPods(kubernetes, order, (runs) => deps.leases.closed(runs), { signal });
  await raiseWorkerPod(kubernetes, order, await templateFor(deps, kubernetes), {
    signal,
    onWait: (why) => {
      report({ doing: `waiting for the pod that dumps: ${why}` });
    },
  });
  await deps.failpoint('backup:pod');
  const server = { host, port, user, password: { file: passwordFile }, database, sslmode };
  return {
    host: order.name,
    source: {
      ...{ cluster: source.cluster, site: source.site },
      server: sslrootcert === undefined ? server : { ...server, sslrootcert },
    },
  };
}

/** The run's pod is gone when this answers. */
export async function removeBackupPod(
  deps: Dependencies,
  { spec: { source }, run }: BackupPodInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  const { namespace } = placeOf(source);
  const name = workerPodName(source.cluster, run.short, 'dump');
  await removeWorkerPod(await deps.kubernetes(signal), { namespace, name }, { signal });
}

function inKubernetes(source: TargetSpec): PlaceInKubernetes {
  if (!('server' in source)) return source;
  throw new HoldfastError('Unexpected', `cluster ${source.cluster} is not in Kubernetes`, 'report this as a bug');
}

function placeOf(source: TargetSpec) {
  const place = inKubernetes(source);
  return 'cnpg' in place ? place.cnpg : place.statefulset;
}
