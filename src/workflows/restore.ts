import { CancellationScope, allHandlersFinished, condition, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { LoadedCopy, PlannedRestore, SwapActivityInput, Swapped } from '../activities/index.ts';
import { parseArgument, restoreArgument, type RestoreArgument } from '../domain/arguments.ts';
import type { Decision, FollowUp } from '../domain/decision.ts';
import { HoldfastError } from '../domain/errors.ts';
import { code, formatCount, formatSeconds } from '../domain/format.ts';
import { runRecordKey, stamp } from '../domain/ids.ts';
import { hopeless, needsApproval, planDigest, shortDigest, type CopyReport, type RestorePlan } from '../domain/plan.ts';
import { renderPlan } from '../domain/render-plan.ts';
import type { RunRecord } from '../domain/run.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { control, decisive, movingBytes, persist, quick } from './activities.ts';
import { fail, failure, failureText, failureType } from './failures.ts';
import { HumanGate } from './gate.ts';
import { Journal, nowIso, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';

export interface RestoreResult {
  readonly outcome: RunRecord['outcome'];
  /** The database that holds the restored data, or null for a whole cluster. */
  readonly database: string | null;
  readonly backup: string;
  readonly done: readonly string[];
}

/**
 * plan → restore beside → verify → approval → swap, and later `release` or `undo`.
 * `{"cluster":"jigga","backup":"latest","database":"gatus"}`
 *
 * Nothing of the live database changes before the swap. The run stays open after it, until a human releases the
 * database that was put aside.
 */
export async function restore(input: unknown): Promise<RestoreResult> {
  try {
    const argument = parseArgument('restore', restoreArgument, input);
    const result = await new Restore(argument).run();
    await condition(allHandlersFinished);
    return result;
  } catch (error) {
    throw fail(error);
  }
}

class Restore {
  readonly #argument: RestoreArgument;
  readonly #run = runIdentity();
  readonly #startedAt = workflowInfo().startTime.toISOString();
  readonly #journal: Journal;
  readonly #gate: HumanGate;
  readonly #done: string[] = [];
  #report: CopyReport | null = null;
  #records = 0;

  constructor(argument: RestoreArgument) {
    this.#argument = argument;
    const what = argument.database === undefined ? 'the whole cluster' : `database ${code(argument.database)}`;
    this.#journal = new Journal('restore', `of ${what} from cluster ${argument.cluster}`);
    this.#gate = new HumanGate(this.#journal, this.#run.workflowId);
  }

  async run(): Promise<RestoreResult> {
    const spec = await this.#journal.step('resolve', () => control.resolveRestore({ argument: this.#argument }));
    const planned = await this.#journal.step(
      'plan',
      () => quick(spec.target.site, (at) => at.planRestore({ spec, run: this.#run })),
      ({ plan }) => `${shortDigest(planDigest(plan))}, from backup ${plan.facts.source.backup}`,
    );
    this.#showPlan(planned.plan);
    try {
      this.#refuseHopeless(planned.plan);
      return planned.plan.facts.kind === 'cluster'
        ? await this.#cluster(spec, planned)
        : await this.#database(spec, planned);
    } catch (error) {
      if (!isCancellation(error)) await this.#recordFailure(spec, planned, error);
      throw error;
    }
  }

  async #cluster(spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
    const { plan } = planned;
    const { site } = spec.target;
    const report = await withLease(this.#sourceLease(planned), async () => {
      if (needsApproval(plan) || spec.approval.gate === 'start') await this.#approval(spec, plan);
      return withLease(leaseInput(spec.target.cluster, 'change', this.#run), () => this.#fillCluster(spec, planned));
    });
    this.#report = report;
    await this.#journal.step('finish', () => quick(site, (at) => at.finishCluster({ spec, planned, run: this.#run })));
    this.#refuseDifferences(report);
    this.#done.push(`restored the whole of backup ${plan.facts.source.backup} into cluster ${spec.target.cluster}`);
    await this.#recordDone(spec, planned, 'restored');
    return this.#result('restored', planned);
  }

  /** What is half made when it fails is dropped; databases that are whole already stay. */
  async #fillCluster(spec: RestoreSpec, planned: PlannedRestore): Promise<CopyReport> {
    const { site } = spec.target;
    const input = { spec, planned, run: this.#run };
    try {
      return await this.#journal.step(
        'restore',
        () => persist(site, () => movingBytes(site).restoreCluster(input)),
        reportNote,
      );
    } catch (error) {
      await CancellationScope.nonCancellable(async () => {
        try {
          await this.#journal.step('drop what is half made', () => quick(site, (at) => at.abandonCluster(input)));
        } catch {
          this.#done.push(`left behind: half-made databases of run ${this.#run.short}, which could not be dropped`);
        }
      });
      throw error;
    }
  }

  async #database(spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
    const { facts } = planned.plan;
    try {
      const approvedAtStart = spec.approval.gate === 'start' && facts.kind === 'swap';
      const { copy, report } = await withLease(this.#sourceLease(planned), async () => {
        if (approvedAtStart) await this.#approval(spec, planned.plan);
        return this.#makeCopy(spec, planned);
      });
      this.#report = report;
      this.#refuseDifferences(report);
      if (facts.kind === 'create') {
        const created = await this.#journal.step('name', () =>
          quick(spec.target.site, (at) => at.nameCopy({ spec, planned, oid: copy.oid, run: this.#run })),
        );
        this.#done.push(
          `created database ${created.database} from backup ${facts.source.backup}`,
          ...(created.notes ?? []),
        );
      } else {
        await this.#swap(spec, planned, copy.oid, report, approvedAtStart);
      }
    } catch (error) {
      await CancellationScope.nonCancellable(() => this.#dropCopy(spec, planned));
      throw error;
    }
    await this.#recordDone(spec, planned, facts.kind === 'create' ? 'created' : 'swapped');
    return facts.kind === 'create' ? this.#result('created', planned) : this.#followUps(spec, planned);
  }

  async #makeCopy(spec: RestoreSpec, planned: PlannedRestore): Promise<{ copy: LoadedCopy; report: CopyReport }> {
    const { site } = spec.target;
    const copy = await this.#journal.step(
      'restore beside',
      () => persist(site, () => movingBytes(site).loadCopy({ spec, planned, run: this.#run })),
      ({ seconds }) => `${code(planned.plan.facts.copyName ?? '')} in ${formatSeconds(seconds)}`,
    );
    const report = await this.#journal.step(
      'verify',
      () => persist(site, () => movingBytes(site).verifyCopy({ spec, planned, run: this.#run })),
      reportNote,
    );
    return { copy, report };
  }

  /** Keeps the backup from being pruned while it is read. */
  #sourceLease(planned: PlannedRestore) {
    return leaseInput(this.#argument.cluster, 'source', this.#run, planned.plan.facts.source.backup);
  }

  /** Plan, approval, lease, swap; and from the beginning again when the plan no longer holds or the cluster is busy. */
  async #swap(
    spec: RestoreSpec,
    planned: PlannedRestore,
    copyOid: number,
    report: CopyReport,
    approvedAtStart: boolean,
  ): Promise<void> {
    const { site } = spec.target;
    let note = '';
    for (let round = 1; ; round += 1) {
      const plan = await this.#journal.step(
        'plan the swap',
        () => quick(site, (at) => at.planSwap({ spec, planned, copyOid, report, run: this.#run })),
        ({ facts, estimates, obstacles }) => shortDigest(planDigest({ facts, estimates, obstacles })),
      );
      this.#refuseHopeless(plan);
      this.#showPlan(plan);
      if (!approvedAtStart || round > 1) await this.#approval(spec, plan, note);
      try {
        await withLease(leaseInput(spec.target.cluster, 'change', this.#run), async () => {
          const swapped = await this.#journal.step(
            'swap',
            () => exchanged('swap', { spec, planned, plan, run: this.#run }),
            ({ downtimeMs }) =>
              downtimeMs === null
                ? 'an earlier attempt had done it'
                : `clients were refused for ${formatSeconds(downtimeMs / 1000)}`,
          );
          this.#done.push(
            `swapped ${plan.facts.target.database ?? ''}: OID ${String(plan.facts.target.liveOid)} is now ${plan.facts.oldName ?? ''}; ${formatCount(swapped.sessionsEnded, 'session')} ended${swapped.downtimeMs === null ? '' : `, clients refused for ${formatSeconds(swapped.downtimeMs / 1000)}`}`,
            ...swapped.notes,
          );
        });
        return;
      } catch (error) {
        const type = failureType(error);
        if (type !== 'PlanChanged' && type !== 'SwapFailed' && type !== 'Busy') throw error;
        note = `The swap did not take place: ${failureText(error)}. It needs a new decision.`;
      }
    }
  }

  async #followUps(spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
    const { site } = spec.target;
    const plan = this.#journal.plan ?? planned.plan;
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
      const asked = await this.#gate.followUp(undone ? ['release'] : ['release', 'undo'], state);
      try {
        await withLease(leaseInput(spec.target.cluster, 'change', this.#run), async () => {
          if (asked.verb === 'undo')
            await this.#journal.step('undo', () => exchanged('undo', { spec, planned, plan, run: this.#run }));
          else
            await this.#journal.step('release', () =>
              quick(site, (at) => at.dropAside({ spec, planned, plan, undone, run: this.#run })),
            );
        });
      } catch (error) {
        // The databases are both there, whatever failed: a human may cure it and ask again.
        if (isCancellation(error)) throw error;
        this.#journal.refuse({ verb: asked.verb, by: asked.by, why: failureText(error), at: nowIso() });
        continue;
      }
      this.#done.push(
        asked.verb === 'undo' ? `swapped back: ${database} is the old database again` : `dropped ${aside}`,
      );
      await this.#recordDone(spec, planned, asked.verb === 'undo' ? 'undone' : 'released', { followUp: asked });
      if (asked.verb === 'release') return this.#result('released', planned);
      undone = true;
    }
  }

  /** Fails with Rejected or Expired unless a human approves this plan in time. */
  async #approval(spec: RestoreSpec, plan: RestorePlan, note = ''): Promise<Decision> {
    const decision = await this.#journal.step(
      'approval',
      () => this.#gate.decide(plan, spec.approval.expiresAfterMs, note),
      (taken) => (taken ? `${taken.verb} by ${taken.by}: ${taken.reason}` : 'expired'),
    );
    if (decision === null)
      throw failure(
        'Expired',
        `nobody decided on plan ${shortDigest(planDigest(plan))} in time`,
        'start the restore again',
      );
    if (decision.verb === 'reject')
      throw failure(
        'Rejected',
        `${decision.by} rejected plan ${shortDigest(planDigest(plan))}: ${decision.reason}`,
        'nothing of the live database was changed',
      );
    return decision;
  }

  #refuseHopeless(plan: RestorePlan): void {
    const found = hopeless(plan);
    if (found.length === 0) return;
    throw new HoldfastError(
      'PlanHopeless',
      found.map(({ what }) => what).join('; '),
      found
        .map(({ cure }) => cure)
        .filter((cure) => cure !== '')
        .join('; '),
    );
  }

  #refuseDifferences(report: CopyReport | null): void {
    if (report === null || report.ok) return;
    throw failure(
      'VerificationFailed',
      `what was restored differs from the backup: ${report.differences.slice(0, 5).join('; ')}`,
      'no live database was touched; the run’s record has the whole report',
      { differences: report.differences },
    );
  }

  #showPlan(plan: RestorePlan): void {
    this.#journal.plan = plan;
    this.#journal.body = renderPlan(plan);
    this.#journal.show();
  }

  /** After a failure the copy goes; one that can't be dropped now is named, so that a human can. */
  async #dropCopy(spec: RestoreSpec, planned: PlannedRestore): Promise<void> {
    try {
      await this.#journal.step('drop the copy', () =>
        quick(spec.target.site, (at) => at.dropCopy({ spec, planned, run: this.#run })),
      );
    } catch {
      this.#done.push(`left behind: database ${planned.plan.facts.copyName ?? ''}, which could not be dropped`);
    }
  }

  /** What is done is done: a record that can't be written is said in the run, which goes on all the same. */
  async #recordDone(
    spec: RestoreSpec,
    planned: PlannedRestore,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp } = {},
  ): Promise<void> {
    try {
      await this.#record(spec, planned, outcome, more);
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#done.push(`no record of '${outcome}' could be written: ${failureText(error)}`);
    }
  }

  async #recordFailure(spec: RestoreSpec, planned: PlannedRestore, error: unknown): Promise<void> {
    const type = failureType(error) ?? (error instanceof HoldfastError ? error.type : undefined);
    const outcome = type === 'Rejected' ? 'rejected' : type === 'Expired' ? 'expired' : 'failed';
    try {
      await this.#record(spec, planned, outcome, { failure: failureText(error) });
    } catch {
      // A repository that can't be written doesn't change why the run failed.
    }
  }

  async #record(
    spec: RestoreSpec,
    planned: PlannedRestore,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp; readonly failure?: string } = {},
  ): Promise<void> {
    this.#records += 1;
    const key = runRecordKey(
      spec.target.cluster,
      `${stamp(new Date(this.#startedAt))}-${this.#run.short}-${String(this.#records)}-${outcome}`,
    );
    const progress = this.#journal.progress();
    const record: RunRecord = {
      version: 1,
      run: this.#run,
      installation: spec.installation,
      cluster: spec.target.cluster,
      requestedBy: this.#argument.requestedBy ?? null,
      argument: this.#argument,
      startedAt: this.#startedAt,
      recordedAt: nowIso(),
      planDigest: progress.planDigest,
      plan: progress.plan,
      decisions: progress.decisions,
      refusals: progress.refusals,
      outcome,
      report: this.#report,
      followUp: more.followUp ?? null,
      done: [...this.#done],
      failure: more.failure ?? null,
    };
    await this.#journal.step(
      'record',
      () => quick(spec.target.site, (at) => at.writeRecord({ repository: planned.repository, key, record })),
      () => key,
    );
  }

  #result(outcome: RunRecord['outcome'], planned: PlannedRestore): RestoreResult {
    const { target, source } = planned.plan.facts;
    return { outcome, database: target.database, backup: source.backup, done: [...this.#done] };
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

const reportNote = ({ ok, tables, rows, differences }: CopyReport) =>
  `${ok ? 'equal' : `${String(differences.length)} DIFFERENCES`}, ${formatCount(tables, 'table')}, ${formatCount(rows, 'row')}`;
