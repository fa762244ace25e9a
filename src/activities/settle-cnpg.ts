import { setTimeout as sleep } from 'node:timers/promises';
import { objectAt, placeOf } from '../domain/cnpg-definition.ts';
import type { CnpgRecoveryPlan } from '../domain/cnpg-recovery-facts.ts';
import { recoveryMarks } from '../domain/cnpg-recovery-object.ts';
import { HoldfastError } from '../domain/errors.ts';
import { isHealthy, readCluster } from '../kubernetes/cnpg/cluster.ts';
import { deleteMade, leftOf, patchCluster } from '../kubernetes/cnpg/recovery-cluster.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { isBarmanPathTaken } from '../storage/barman.ts';
import type { Dependencies } from './dependencies.ts';
import { readStore, secretReader } from './plan-cnpg-recovery.ts';
import type { CnpgCopyInput } from './recover-cnpg.ts';
import type { Working } from './working.ts';

/** What becomes of a Cluster that a recovery has made: it is kept, or goes. */

const pollMs = 1_500;
/** So long a Cluster that is kept may take to be as it shall be; it gets there without anybody watching, too. */
const settleMs = 5 * 60_000;

/**
 * Makes the new Cluster one to stay: as many instances as its source, an archive of its own, and nothing of Holdfast
 * removes it any more. Answers in words how it stands then. Done twice is done once.
 */
export async function keepCnpgCopy(
  deps: Dependencies,
  { plan }: CnpgCopyInput,
  { signal, report }: Working,
): Promise<{ readonly words: readonly string[] }> {
  const kubernetes = await deps.kubernetes(signal);
  const { makes } = plan.facts;
  await patchCluster(kubernetes, makes, makes.kept);
  await deps.failpoint('recover-cnpg:kept');
  const what = `Cluster ${makes.namespace}/${makes.name}`;
  for (const until = performance.now() + settleMs; ;) {
    const cluster = await readCluster(kubernetes, makes);
    const settled = isHealthy(cluster) && cluster.spec.instances === makes.keptInstances;
    const archive = settled ? await archiveOfKept(kubernetes, plan) : 'empty';
    if ((settled && archive !== 'empty') || performance.now() > until) {
      const ready = `${String(cluster.status.readyInstances ?? 0)} of ${String(makes.keptInstances)} instances ready`;
      const archiving = cluster.status.conditions?.find(({ type }) => type === 'ContinuousArchiving');
      return {
        words: [
          settled
            ? `${what} is healthy, ${ready}`
            : `${what} is on its way: ${cluster.status.phase ?? 'no phase'}, ${ready}`,
          archiveWords(makes.keptServerName, archive, archiving?.message),
        ],
      };
    }
    report({
      doing: `promoting: ${settled ? 'waiting for its first WAL in the archive' : (cluster.status.phase ?? '')}`,
    });
    await sleep(pollMs, undefined, { signal });
  }
}

type KeptArchive = 'none' | 'begun' | 'empty' | 'unread';

/** CloudNativePG calls archiving well also where it archives nowhere: only the bucket shows that it does. */
async function archiveOfKept(kubernetes: Kubernetes, { facts }: CnpgRecoveryPlan): Promise<KeptArchive> {
  const { namespace, name, kept, keptServerName } = facts.makes;
  if (keptServerName === null) return 'none';
  const store = await readStore(kubernetes, { namespace, name, spec: objectAt(kept, 'spec') });
  const place = store === null ? undefined : placeOf(store);
  if (place === undefined || 'unread' in place) return 'unread';
  try {
    const taken = await isBarmanPathTaken(place, keptServerName, secretReader(kubernetes, namespace));
    return taken ? 'begun' : 'empty';
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return 'unread';
  }
}

function archiveWords(serverName: string | null, archive: KeptArchive, said: string | undefined): string {
  const name = serverName ?? '';
  switch (archive) {
    case 'none':
      return 'it archives nowhere: its source did not either';
    case 'begun':
      return `its WAL is archived under ${name}; it has no base backup there yet`;
    case 'empty':
      return `its WAL is to be archived under ${name}, where nothing has arrived yet: ${said ?? 'CloudNativePG says nothing of it'}`;
    case 'unread':
      return `its WAL is to be archived under ${name}, which can't be read from here: ${said ?? 'CloudNativePG says nothing of it'}`;
  }
}

const removalMs = 10 * 60_000;

/**
 * Deletes the Cluster that this run has made, and waits until its pods and volume claims are gone. NameTaken where the
 * Cluster of that name is not this run's, or was kept: then nothing is touched. Done twice is done once.
 */
export async function removeCnpgCopy(
  deps: Dependencies,
  { plan, run }: CnpgCopyInput,
  { signal, report }: Working,
): Promise<{ readonly removed: string }> {
  const kubernetes = await deps.kubernetes(signal);
  const { makes } = plan.facts;
  const what = `Cluster ${makes.namespace}/${makes.name}`;
  if (!(await deleteMade(kubernetes, makes, run)))
    throw new HoldfastError(
      'NameTaken',
      `${what} is not this run's to remove: it was kept, or somebody else made it`,
      'look at it, and delete it by hand if nobody needs it',
    );
  await deps.failpoint('recover-cnpg:deleted');
  for (const until = performance.now() + removalMs; ;) {
    const left = await leftOf(kubernetes, makes);
    if (left.length === 0) return { removed: `${what} and its volumes` };
    if (performance.now() > until)
      throw new HoldfastError(
        'KubernetesUnavailable',
        `${what} was deleted, and still there are: ${left.join(', ')}`,
        'see what holds them: a finalizer, or a node that does not answer',
      );
    report({ doing: `removing: ${left.join(', ')}` });
    await sleep(pollMs, undefined, { signal });
  }
}

export interface AnnotateCnpgCopyInput extends CnpgCopyInput {
  readonly record: string;
}

/** Leaves a run's record on the Cluster that it made, where there is no repository for it. */
export async function annotateCnpgCopy(
  deps: Dependencies,
  { plan, record }: AnnotateCnpgCopyInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  await patchCluster(await deps.kubernetes(signal), plan.facts.makes, {
    metadata: { annotations: { [recoveryMarks.record]: record } },
  });
}
