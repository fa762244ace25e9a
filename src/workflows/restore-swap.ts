import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { PlannedRestore, SwapActivityInput, Swapped } from '../activities/index.ts';
import { code, formatCount, formatSeconds } from '../domain/format.ts';
import { planDigest, shortDigest, type CopyReport, type RestorePlan } from '../domain/plan.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { decisive, quick } from './activities.ts';
import { failureText, failureType } from './failures.ts';
import { nowIso } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import type { RestoreResult, RestoreRun } from './restore-run.ts';

/** Plan, approval, lease, swap; and from the beginning again when the plan no longer holds or the cluster is busy. */
export async function swapIn(
  run: RestoreRun,
  spec: RestoreSpec,
  planned: PlannedRestore,
  copyOid: number,
  report: CopyReport,
  approvedAtStart: boolean,
): Promise<RestorePlan> {
  const { site } = spec.target;
  let note = '';
  for (let round = 1; ; round += 1) {
    const plan = await run.journal.step(
      'plan the swap',
      () => quick(site, (at) => at.planSwap({ spec, planned, copyOid, report, run: run.identity })),
      ({ facts, estimates, obstacles }) => shortDigest(planDigest({ facts, estimates, obstacles })),
    );
    run.refuseHopeless(plan);
    run.showPlan(plan);
    if (!approvedAtStart || round > 1) await run.approval(spec, plan, note);
    try {
      await withLease(leaseInput(spec.target.cluster, 'change', run.identity), async () => {
        const swapped = await run.journal.step(
          'swap',
          () => exchanged('swap', { spec, planned, plan, run: run.identity }),
          ({ downtimeMs }) =>
            downtimeMs === null
              ? 'an earlier attempt had done it'
              : `clients were refused for ${formatSeconds(downtimeMs / 1000)}`,
        );
        run.done.push(
          `swapped ${plan.facts.target.database ?? ''}: OID ${String(plan.facts.target.liveOid)} is now ${plan.facts.oldName ?? ''}; ${formatCount(swapped.sessionsEnded, 'session')} ended${swapped.downtimeMs === null ? '' : `, clients refused for ${formatSeconds(swapped.downtimeMs / 1000)}`}`,
          ...swapped.notes,
        );
      });
      return plan;
    } catch (error) {
      const type = failureType(error);
      if (type !== 'PlanChanged' && type !== 'SwapFailed' && type !== 'Busy') throw error;
      note = `The swap did not take place: ${failureText(error)}. It needs a new decision.`;
    }
  }
}

/**
 * Until a human releases what was put aside; an undo may come before.
 * @param plan of the swap that took place
 */
export async function followUps(
  run: RestoreRun,
  spec: RestoreSpec,
  planned: PlannedRestore,
  plan: RestorePlan,
): Promise<RestoreResult> {
  const { site } = spec.target;
  const { database, copyName, oldName } = {
    database: plan.facts.target.database ?? '',
    copyName: plan.facts.copyName ?? '',
    oldName: plan.facts.oldName ?? '',
  };
  let undone = false;
  for (;;) {
    const aside = undone ? copyName : oldName;
    const state = undone
      ? `${code(database)} is the old database again; what was restored lies in ${code(aside)} until it is released (dropped).`
      : `${code(database)} is the restored one; the old one lies in ${code(aside)} until it is released (dropped) or swapped back (undo).`;
    const asked = await run.gate.followUp(undone ? ['release'] : ['release', 'undo'], state);
    try {
      await withLease(leaseInput(spec.target.cluster, 'change', run.identity), async () => {
        if (asked.verb === 'undo')
          await run.journal.step('undo', () => exchanged('undo', { spec, planned, plan, run: run.identity }));
        else
          await run.journal.step('release', () =>
            quick(site, (at) => at.dropAside({ spec, planned, plan, undone, run: run.identity })),
          );
      });
    } catch (error) {
      // The databases are both there, whatever failed: a human may cure it and ask again.
      if (isCancellation(error)) throw error;
      run.journal.refuse({ verb: asked.verb, by: asked.by, why: failureText(error), at: nowIso() });
      continue;
    }
    run.done.push(asked.verb === 'undo' ? `swapped back: ${database} is the old database again` : `dropped ${aside}`);
    await run.recordDone(spec, planned, asked.verb === 'undo' ? 'undone' : 'released', { followUp: asked });
    if (asked.verb === 'release') return run.result('released', planned);
    undone = true;
  }
}

/**
 * Runs a swap or an undo. Cut short for good (cancelled while its worker was away, or never answered), it may have
 * left the live database closed: then the old state is brought back first, or the new one opened.
 */
async function exchanged(operation: 'swap' | 'undo', input: SwapActivityInput): Promise<Swapped> {
  const { site } = input.spec.target;
  try {
    return await decisive(site, (at) => (operation === 'swap' ? at.swap(input) : at.undoSwap(input)));
  } catch (error) {
    const type = failureType(error);
    if (type === 'PlanChanged' || type === 'SwapFailed') throw error;
    const settled = await CancellationScope.nonCancellable(() =>
      decisive(site, (at) => at.settleSwap({ ...input, operation })),
    );
    if (!settled.exchanged) throw error;
    return { downtimeMs: null, sessionsEnded: 0, notes: [`finished in spite of: ${failureText(error)}`] };
  }
}
