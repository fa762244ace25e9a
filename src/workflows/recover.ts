import { CancellationScope, allHandlersFinished, condition, isCancellation } from '@temporalio/workflow';
import type { PlannedRecovery } from '../activities/index.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import { shortDigest } from '../domain/plan.ts';
import { parseRecoverArgument } from '../domain/recover-argument.ts';
import { recoveryDigest, refuseHopelessRecovery } from '../domain/recovery-plan.ts';
import { isOfWorkload } from '../domain/workload.ts';
import { control, onHost, persist, quick } from './activities.ts';
import { fail } from './failures.ts';
import { leaseInput, withLease } from './leasing.ts';
import { decideAtTarget, fetchAndReplay } from './recover-copy.ts';
import { recoverCluster, type RecoverClusterResult } from './recover-cluster.ts';
import { recoverInPlace } from './recover-in-place.ts';
import { RecoverRun, type RecoverResult } from './recover-run.ts';
import { planOnVolume } from './workload.ts';

/**
 * plan → fetch → replay, paused at the target and open for reading → a human: promote, go on to a later target, or
 * throw away. `{"cluster":"infra","target":{"time":"2025-10-30T14:00:00+09:00"}}`
 *
 * A cluster that CloudNativePG runs is recovered into a new Cluster: recover-cluster.ts.
 *
 * Nothing of the cluster changes where the copy is made beside it. In its place the approval comes before anything
 * stops.
 */
export async function recover(input: unknown): Promise<RecoverResult | RecoverClusterResult> {
  try {
    const run = new RecoverRun(parseRecoverArgument(input));
    const result = await recoverBy(run);
    await condition(allHandlersFinished);
    return result;
  } catch (error) {
    throw fail(error);
  }
}

async function recoverBy(run: RecoverRun): Promise<RecoverResult | RecoverClusterResult> {
  const { argument, journal } = run;
  const spec = await journal.step('resolve', () => control.resolveRecover({ argument }));
  if ('kind' in spec) return recoverCluster(run, spec);
  const planned = await journal.step(
    'plan',
    () =>
      isOfWorkload(spec)
        ? planOnVolume(run, spec)
        : quick(spec.source.site, (at) => at.planRecovery({ spec, run: run.identity })),
    ({ plan }) => `${shortDigest(recoveryDigest(plan))}, from base backup ${plan.facts.chain.at(-1)?.id ?? ''}`,
  );
  run.showPlan(planned.plan);
  try {
    refuseHopelessRecovery(planned.plan);
    // No prune takes what is still to be replayed, for as long as a human may want to go on.
    return await withLease(leaseInput(spec.source.cluster, 'source', run.identity, run.baseOf(planned)), () =>
      planned.plan.facts.kind === 'inPlace' ? recoverInPlace(run, spec, planned) : recoverBeside(run, spec, planned),
    );
  } catch (error) {
    if (!isCancellation(error)) await run.recordFailure(spec, planned, error);
    throw error;
  }
}

async function recoverBeside(run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery): Promise<RecoverResult> {
  try {
    const reached = await fetchAndReplay(run, spec, planned);
    await run.recordDone(spec, planned, 'recovered');
    const decided = await decideAtTarget(run, spec, planned, reached);
    const { verb, followUp, promoted } = decided;
    if (verb === 'throw-away') {
      const { removed } = await throwAway(run, spec, decided.planned);
      run.done.push(`removed ${removed.join(', ')}`);
    } else run.done.push(promoted?.words ?? '');
    const outcome = verb === 'promote' ? 'promoted' : 'thrown away';
    await run.recordDone(spec, decided.planned, outcome, { followUp });
    return run.result(outcome, decided.planned);
  } catch (error) {
    // Whoever cancels, or meets a failure that nothing cures, wants no half-made copy.
    await CancellationScope.nonCancellable(() => throwAwayQuietly(run, spec, planned));
    throw error;
  }
}

const throwAway = (run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery) =>
  run.journal.step('throw away', () =>
    persist(spec.source.site, () =>
      onHost(spec.source.site, planned.host).throwAwayRecovery({ spec, planned, run: run.identity }),
    ),
  );

async function throwAwayQuietly(run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery): Promise<void> {
  try {
    await throwAway(run, spec, planned);
  } catch {
    run.done.push(
      `left behind: ${planned.places.dataDirectory} and ${planned.places.workDirectory} on ${planned.host}, which could not be removed`,
    );
  }
}
