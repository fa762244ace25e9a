import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Aside, PlannedRecovery } from '../activities/index.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import { code, formatCount } from '../domain/format.ts';
import { shortDigest } from '../domain/plan.ts';
import { recoveryDigest } from '../domain/recovery-plan.ts';
import { onHost, persist } from './activities.ts';
import { failure, failureText } from './failures.ts';
import { nowIso } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import { decideAtTarget, fetchAndReplay } from './recover-copy.ts';
import { keeperOf, planAgain, type Keeper } from './workload.ts';
import { proposalOfRecovery, type RecoverResult, type RecoverRun } from './recover-run.ts';

/**
 * approval → stop → put aside → fetch → replay → a human: promote, go on, or throw away, which brings the old state
 * back. Promoted, the cluster's own service runs it; the old directories wait for release or undo.
 */
export async function recoverInPlace(
  run: RecoverRun,
  spec: RecoverSpec,
  planned: PlannedRecovery,
): Promise<RecoverResult> {
  await run.approvalOf(proposalOfRecovery(planned.plan), spec.approval.expiresAfterMs);
  const keeper = keeperOf(run, spec, planned);
  const exchanged = await withLease(leaseInput(spec.source.cluster, 'change', run.identity), () =>
    exchange(run, spec, planned, keeper),
  );
  // From here on people work with what was recovered, and backups of it are taken: only an undo takes it away.
  return 'outcome' in exchanged ? exchanged : releaseOrUndo(run, spec, exchanged, keeper);
}

/** Until the cluster's own service runs the recovered state, or the old state is back. */
async function exchange(
  run: RecoverRun,
  spec: RecoverSpec,
  planned: PlannedRecovery,
  keeper: Keeper,
): Promise<RecoverResult | Exchanged> {
  await beforeItStops(run, spec, planned, keeper);
  const place = { spec, planned, run: run.identity };
  let handedOver: number | null = null;
  try {
    await keeper.down();
    const asides = await stop(run, spec, planned);
    const ready = () => keeper.ready();
    const decided = await decideAtTarget(run, spec, planned, await fetchAndReplay(run, spec, planned, ready), ready);
    if (decided.promoted === null) {
      await bringBack(run, spec, { ...place, handedOver }, keeper);
      run.done.push('threw the recovered state away: the old one is back in its place');
      await run.recordDone(spec, decided.planned, 'thrown away', { followUp: decided.followUp });
      return run.result('thrown away', decided.planned);
    }
    handedOver = decided.promoted.timeline;
    const promoted = { ...place, planned: decided.planned };
    await run.journal.step('start the server', () =>
      persist(spec.source.site, () => onHost(spec.source.site, planned.host).handOverInPlace(promoted)),
    );
    const { systemIdentifier } = planned.plan.facts.source;
    await keeper.up({ systemIdentifier, timeline: handedOver });
    run.done.push(`recovered in ${planned.places.dataDirectory}: the cluster's own service runs it`);
    await run.recordDone(spec, decided.planned, 'promoted', { followUp: decided.followUp });
    return { ...promoted, handedOver, asides };
  } catch (error) {
    await CancellationScope.nonCancellable(() => bringBackQuietly(run, spec, { ...place, handedOver }, keeper));
    throw error;
  }
}

interface Place {
  readonly spec: RecoverSpec;
  readonly planned: PlannedRecovery;
  readonly run: RecoverRun['identity'];
  /** The timeline of the recovered state, once it bears no mark of a recovery any more; null: it does. */
  readonly handedOver: number | null;
}

interface Exchanged extends Place {
  readonly asides: readonly Aside[];
}

/** Whatever fails here has stopped nothing. */
async function beforeItStops(
  run: RecoverRun,
  spec: RecoverSpec,
  planned: PlannedRecovery,
  keeper: Keeper,
): Promise<void> {
  try {
    await keeper.ready();
    await assertSamePlan(run, spec, planned);
  } catch (error) {
    await CancellationScope.nonCancellable(() => keeper.leave());
    throw error;
  }
}

/** What was approved is what is done: the same plan, made again under the lease. */
async function assertSamePlan(run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery): Promise<void> {
  const again = await run.journal.step('check the plan', () => planAgain(run, spec, planned));
  if (recoveryDigest(again.plan) === recoveryDigest(planned.plan)) return;
  throw failure(
    'PlanChanged',
    `the plan is ${shortDigest(recoveryDigest(again.plan))} now, and ${shortDigest(recoveryDigest(planned.plan))} was approved`,
    'nothing was touched; start the recovery again',
  );
}

async function stop(run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery): Promise<readonly Aside[]> {
  const { site } = spec.source;
  const { asides } = await run.journal.step(
    'stop and put aside',
    () => persist(site, () => onHost(site, planned.host).stopAndPutAside({ spec, planned, run: run.identity })),
    (found) => formatCount(found.asides.length, 'directory', 'directories'),
  );
  run.done.push(...asides.map(({ directory, aside }) => `put ${directory} aside as ${aside}`));
  return asides;
}

async function bringBack(
  run: RecoverRun,
  { source: { site } }: RecoverSpec,
  place: Place,
  keeper: Keeper,
): Promise<void> {
  await keeper.down();
  await keeper.ready();
  await run.journal.step('bring the old state back', () =>
    persist(site, () => onHost(site, place.planned.host).putBackInPlace(place)),
  );
  await keeper.up(null);
}

async function bringBackQuietly(run: RecoverRun, spec: RecoverSpec, place: Place, keeper: Keeper): Promise<void> {
  try {
    await bringBack(run, spec, place, keeper);
  } catch (error) {
    run.done.push(`the old state could not be brought back, and lies aside: ${failureText(error)}`);
  }
}

/** Until a human says that the old directories may go, or must come back. */
async function releaseOrUndo(
  run: RecoverRun,
  spec: RecoverSpec,
  { asides, ...place }: Exchanged,
  keeper: Keeper,
): Promise<RecoverResult> {
  const { site, cluster } = spec.source;
  for (;;) {
    const asked = await run.gate.followUp(
      ['release', 'undo'],
      `The recovered state is live. The old one lies in ${asides.map(({ aside }) => code(aside)).join(', ')} until it is released (removed) or brought back (undo).`,
    );
    try {
      if (asked.verb === 'undo') {
        await withLease(leaseInput(cluster, 'change', run.identity), () => bringBack(run, spec, place, keeper));
        run.done.push('brought the old state back');
        await run.recordDone(spec, place.planned, 'undone', { followUp: asked });
        return run.result('undone', place.planned);
      }
      await keeper.ready();
      await run.journal.step('release', () =>
        persist(site, () => onHost(site, place.planned.host).releaseInPlace(place)),
      );
      await keeper.leave();
      run.done.push('removed what was put aside');
      await run.recordDone(spec, place.planned, 'released', { followUp: asked });
      return run.result('released', place.planned);
    } catch (error) {
      if (isCancellation(error)) throw error;
      run.journal.refuse({ verb: asked.verb, by: asked.by, why: failureText(error), at: nowIso() });
    }
  }
}
