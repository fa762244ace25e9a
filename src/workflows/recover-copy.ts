import { isCancellation } from '@temporalio/workflow';
import type { PlannedRecovery, ReachedPlace } from '../activities/index.ts';
import type { FollowUp } from '../domain/decision.ts';
import { code, formatBytes } from '../domain/format.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import { shortDigest } from '../domain/plan.ts';
import { recoveryDigest, refuseHopelessRecovery } from '../domain/recovery-plan.ts';
import { describeTarget, type RecoveryTarget } from '../domain/recovery-target.ts';
import { onHost, persist } from './activities.ts';
import { failureText } from './failures.ts';
import { nowIso } from './journal.ts';
import type { RecoverRun } from './recover-run.ts';
import { ofMachine, type Keeper } from './workload.ts';

/** The steps of a recovery that are the same beside a cluster and in its place. */

export async function fetchAndReplay(
  run: RecoverRun,
  spec: RecoverSpec,
  planned: PlannedRecovery,
  ready: Keeper['ready'] = ofMachine.ready,
): Promise<ReachedPlace> {
  const { site } = spec.source;
  const at = onHost(site, planned.host);
  const input = { spec, planned, run: run.identity };
  await ready();
  await run.journal.step(
    'fetch',
    () => persist(site, () => at.fetchRecovery(input)),
    ({ bytes }) => `${formatBytes(bytes)} into ${code(planned.places.dataDirectory)}`,
  );
  await ready();
  return run.journal.step('replay', () => persist(site, () => at.replayRecovery(input)), run.reachedNote);
}

export interface Decided {
  readonly verb: 'promote' | 'throw-away';
  readonly followUp: FollowUp;
  /** Of the target that was reached last. */
  readonly planned: PlannedRecovery;
  /** For promote: its new timeline, and what to say of it. */
  readonly promoted: { readonly timeline: number; readonly words: string } | null;
}

/**
 * Waits for what a human makes of the copy at its target: promoted when this answers `promote`; with `throw-away` it is
 * the caller's to remove. It may go on to later targets before. What fails is told, and the human asked again.
 */
export async function decideAtTarget(
  run: RecoverRun,
  spec: RecoverSpec,
  begun: PlannedRecovery,
  first: ReachedPlace,
  ready: Keeper['ready'] = ofMachine.ready,
): Promise<Decided> {
  let planned = begun;
  let reached = first;
  for (;;) {
    const followUp = await run.gate.followUp(['promote', 'go-on', 'throw-away'], run.reachedBody(planned, reached));
    try {
      if (followUp.verb === 'throw-away') return { verb: 'throw-away', followUp, planned, promoted: null };
      await ready();
      if (followUp.verb === 'promote')
        return { verb: 'promote', followUp, planned, promoted: await promote(run, spec, planned) };
      if (followUp.target === undefined) continue;
      const onwards = await planOn(run, spec, planned, followUp.target);
      reached = await run.journal.step(
        'go on',
        () => persist(spec.source.site, () => onHost(spec.source.site, planned.host).goOnRecovery(onwards)),
        run.reachedNote,
      );
      planned = onwards.planned;
      run.showPlan(planned.plan);
    } catch (error) {
      // The copy is still there: a human may cure what is wrong and ask again.
      if (isCancellation(error)) throw error;
      run.journal.refuse({ verb: followUp.verb, by: followUp.by, why: failureText(error), at: nowIso() });
    }
  }
}

async function promote(run: RecoverRun, spec: RecoverSpec, planned: PlannedRecovery) {
  const { site } = spec.source;
  const { timeline, port, psql } = await run.journal.step(
    'promote',
    () => persist(site, () => onHost(site, planned.host).promoteRecovery({ spec, planned, run: run.identity })),
    (found) => `timeline ${String(found.timeline)}, from ${found.lsn}`,
  );
  const words = `promoted the copy in ${planned.places.dataDirectory}: a server of its own on timeline ${String(timeline)}, port ${String(port)}; look at it with ${psql}`;
  return { timeline, words };
}

/** The same base backup, never another timeline than the one that the copy is on. */
async function planOn(run: RecoverRun, spec: RecoverSpec, earlier: PlannedRecovery, target: RecoveryTarget) {
  const { timeline } = earlier.plan.facts.target;
  const pinned = { ...target, timeline: target.timeline === 'latest' ? timeline : target.timeline };
  const onwards: RecoverSpec = { ...spec, argument: { ...spec.argument, target: pinned } };
  const planned = await run.journal.step(
    'plan',
    () => onHost(spec.source.site, earlier.host).replanRecovery({ spec: onwards, run: run.identity, earlier }),
    ({ plan }) => `${shortDigest(recoveryDigest(plan))}, on to ${describeTarget(plan.facts.target)}`,
  );
  refuseHopelessRecovery(planned.plan);
  return { spec: onwards, planned, run: run.identity };
}
