import { CancellationScope } from '@temporalio/workflow';
import type { FoundWorkload, PlannedRecovery } from '../activities/index.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import type { Workload } from '../domain/workload.ts';
import { decisive, onHost, persist, quick } from './activities.ts';
import type { RecoverRun } from './recover-run.ts';

/**
 * Who looks after a cluster's server while a recovery takes its place. On a machine the work on its files does that by
 * itself; a StatefulSet is scaled, and its volume worked on by a pod of the run's own.
 */
export interface Keeper {
  /** Before every piece of work on the files: somebody is there to do it, and nobody else is at them. */
  readonly ready: () => Promise<void>;
  /** The server is down, and stays so. */
  readonly down: () => Promise<void>;
  /** The server runs again, on what lies in its place now. `expected` is what must answer then; null: whatever was. */
  readonly up: (expected: Expected | null) => Promise<void>;
  /** Nothing of the run's is left beside the files. */
  readonly leave: () => Promise<void>;
}

export interface Expected {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

const nothing = () => Promise.resolve();
export const ofMachine: Keeper = { ready: nothing, down: nothing, up: nothing, leave: nothing };

export function keeperOf(run: RecoverRun, spec: RecoverSpec, { workload }: PlannedRecovery): Keeper {
  return workload === undefined ? ofMachine : new StatefulSetKeeper(run, spec, workload);
}

class StatefulSetKeeper implements Keeper {
  readonly #run: RecoverRun;
  readonly #spec: RecoverSpec;
  readonly #workload: Workload;
  #isDown = false;

  constructor(run: RecoverRun, spec: RecoverSpec, workload: Workload) {
    this.#run = run;
    this.#spec = spec;
    // Once it is down, only the claim itself knows where it may be mounted.
    this.#workload = workload;
  }

  get #input() {
    return { spec: this.#spec, run: this.#run.identity, workload: this.#workload };
  }

  async ready(): Promise<void> {
    const workload = this.#isDown ? { ...this.#workload, node: null } : await this.#asItIs();
    await decisive(this.#spec.source.site, (at) =>
      at.readyWorkerPod({ ...this.#input, workload, purpose: 'work', isDown: this.#isDown }),
    );
  }

  /** Its pod may have moved since the plan. */
  async #asItIs(): Promise<Workload> {
    const { workload } = await quick(this.#spec.source.site, (at) =>
      at.locateWorkload({ spec: this.#spec, run: this.#run.identity }),
    );
    return { ...this.#workload, node: workload.node };
  }

  async down(): Promise<void> {
    await this.#run.journal.step('scale to 0', () =>
      decisive(this.#spec.source.site, (at) => at.scaleDownWorkload(this.#input)),
    );
    this.#isDown = true;
  }

  async up(expected: Expected | null): Promise<void> {
    this.#isDown = false;
    await this.leave();
    await this.#run.journal.step('scale up', () =>
      decisive(this.#spec.source.site, (at) => at.scaleUpWorkload({ ...this.#input, expected })),
    );
  }

  async leave(): Promise<void> {
    await decisive(this.#spec.source.site, (at) => at.removeWorkerPod({ ...this.#input, purpose: 'work' }));
  }
}

/**
 * Plans a recovery in the place of a StatefulSet's server, by a pod that looks at its volume while that goes on running.
 * Whose the files are is seen there; the plan is made as that user.
 */
export async function planOnVolume(run: RecoverRun, spec: RecoverSpec): Promise<PlannedRecovery> {
  const { site } = spec.source;
  const found = await quick(site, (at) => at.locateWorkload({ spec, run: run.identity }));
  const first = await look(run, spec, found);
  const { workload } = first;
  if (workload === undefined || sameUser(workload, found.workload)) return first;
  return look(run, spec, { ...found, workload });
}

const sameUser = ({ user: one }: Workload, { user: other }: Workload) => one?.uid === other?.uid;

async function look(run: RecoverRun, spec: RecoverSpec, found: FoundWorkload): Promise<PlannedRecovery> {
  const { site } = spec.source;
  const input = { spec, run: run.identity, workload: found.workload, purpose: 'look' } as const;
  try {
    const { host } = await decisive(site, (at) => at.readyWorkerPod({ ...input, isDown: false }));
    return await persist(site, () => onHost(site, host).replanRecovery({ spec, run: run.identity, found }));
  } finally {
    await CancellationScope.nonCancellable(() => decisive(site, (at) => at.removeWorkerPod(input)));
  }
}

/** The same again, under the lease, by the pod that will do the work. */
export async function planAgain(
  run: RecoverRun,
  spec: RecoverSpec,
  planned: PlannedRecovery,
): Promise<PlannedRecovery> {
  const at = onHost(spec.source.site, planned.host);
  if (planned.workload === undefined) return at.replanRecovery({ spec, run: run.identity, earlier: planned });
  const now = await quick(spec.source.site, (site) => site.locateWorkload({ spec, run: run.identity }));
  // As whom its files are worked on is what was seen, not what the StatefulSet says.
  const found = { ...now, workload: { ...now.workload, user: planned.workload.user } };
  return persist(spec.source.site, () => at.replanRecovery({ spec, run: run.identity, earlier: planned, found }));
}
