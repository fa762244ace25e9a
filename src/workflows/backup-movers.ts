import { CancellationScope } from '@temporalio/workflow';
import type { BackupPod, TakenBackup, TakeTurn } from '../activities/index.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { decisive, movingBytes, onHost, persist, quick } from './activities.ts';

/** Who reads a logical backup's database and moves its bytes: any worker of the site, or a pod of the run's own. */
export interface Mover {
  /** Runs that began with an older version have no answer here. */
  readonly preflight: () => Promise<{ readonly warnings: readonly string[] } | null | undefined>;
  /** One attempt. */
  readonly take: (turn: TakeTurn) => Promise<TakenBackup>;
  readonly verify: (manifestKey: string) => Promise<{ readonly plainBytes: number }>;
  /** Nothing of the run's is left beside the database. What can't be removed is swept by the cluster's next backup. */
  readonly leave: () => Promise<void>;
}

export const moverOf = (spec: BackupSpec, run: RunIdentity): Mover =>
  spec.inPod === true ? inPod(spec, run) : overNetwork(spec, run);

function overNetwork(spec: BackupSpec, run: RunIdentity): Mover {
  const { repository } = spec;
  const { site } = spec.source;
  return {
    preflight: () => quick(site, (at) => at.preflightBackup({ spec })),
    take: (turn) => movingBytes(site).takeBackup({ spec, run, ...turn }),
    verify: (manifestKey) => persist(site, () => movingBytes(site).verifyBackup({ repository, manifestKey, run })),
    leave: () => Promise.resolve(),
  };
}

/**
 * Before each piece of work the pod is asked for anew: one that was evicted has a successor, one that can't come up says
 * why. Its work begins anew then, as it does where any worker is lost.
 */
function inPod(spec: BackupSpec, run: RunIdentity): Mover {
  const { repository } = spec;
  const { site } = spec.source;
  const ready = async () => {
    const pod: BackupPod = await decisive(site, (at) => at.readyBackupPod({ spec, run }));
    return { at: onHost(site, pod.host), spec: { ...spec, source: pod.source } };
  };
  return {
    preflight: () =>
      persist(site, async () => {
        const pod = await ready();
        return pod.at.preflightBackup({ spec: pod.spec });
      }),
    take: async (turn) => {
      const pod = await ready();
      return pod.at.takeBackup({ spec: pod.spec, run, ...turn });
    },
    verify: (manifestKey) =>
      persist(site, async () => {
        const pod = await ready();
        return pod.at.verifyBackup({ repository, manifestKey, run });
      }),
    leave: () => CancellationScope.nonCancellable(() => leavePod(spec, run)),
  };
}

async function leavePod(spec: BackupSpec, run: RunIdentity): Promise<void> {
  try {
    await quick(spec.source.site, (at) => at.removeBackupPod({ spec, run }));
  } catch {
    // How the backup itself went is worth more than this.
  }
}
