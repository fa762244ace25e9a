import { isCancellation, workflowInfo } from '@temporalio/workflow';
import type { PlannedRestore } from '../activities/index.ts';
import type { RestoreArgument } from '../domain/arguments.ts';
import type { Decision, FollowUp } from '../domain/decision.ts';
import { HoldfastError } from '../domain/errors.ts';
import { code } from '../domain/format.ts';
import { runRecordKey, stamp } from '../domain/ids.ts';
import { hopeless, planDigest, shortDigest, type CopyReport, type RestorePlan } from '../domain/plan.ts';
import { renderPlan } from '../domain/render-plan.ts';
import type { RunRecord } from '../domain/run.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { quick } from './activities.ts';
import { failure, failureText, failureType } from './failures.ts';
import { HumanGate } from './gate.ts';
import { Journal, nowIso, runIdentity } from './journal.ts';

export interface RestoreResult {
  readonly outcome: RunRecord['outcome'];
  /** The database that holds the restored data, or null for a whole cluster. */
  readonly database: string | null;
  readonly backup: string;
  readonly done: readonly string[];
}

/** What every kind of restore has: its journal, its gate, its record; and what it says no to. */
export class RestoreRun {
  readonly argument: RestoreArgument;
  readonly identity = runIdentity();
  readonly journal: Journal;
  readonly gate: HumanGate;
  /** In words: what was done, with names and times. */
  readonly done: string[] = [];
  report: CopyReport | null = null;
  readonly #startedAt = workflowInfo().startTime.toISOString();
  #records = 0;

  constructor(argument: RestoreArgument) {
    this.argument = argument;
    const what = argument.database === undefined ? 'the whole cluster' : `database ${code(argument.database)}`;
    this.journal = new Journal('restore', `of ${what} from cluster ${argument.cluster}`);
    this.gate = new HumanGate(this.journal, this.identity.workflowId);
  }

  /** Fails with Rejected or Expired unless a human approves this plan in time. */
  async approval(spec: RestoreSpec, plan: RestorePlan, note = ''): Promise<Decision> {
    const decision = await this.journal.step(
      'approval',
      () => this.gate.decide(plan, spec.approval.expiresAfterMs, note),
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

  refuseHopeless(plan: RestorePlan): void {
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

  refuseDifferences(report: CopyReport | null): void {
    if (report === null || report.ok) return;
    throw failure(
      'VerificationFailed',
      `what was restored differs from the backup: ${report.differences.slice(0, 5).join('; ')}`,
      'no live database was touched; the run’s record has the whole report',
      { differences: report.differences },
    );
  }

  showPlan(plan: RestorePlan): void {
    this.journal.plan = plan;
    this.journal.body = renderPlan(plan);
    this.journal.show();
  }

  /** What is done is done: a record that can't be written is said in the run, which goes on all the same. */
  async recordDone(
    spec: RestoreSpec,
    planned: PlannedRestore,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp } = {},
  ): Promise<void> {
    try {
      await this.#record(spec, planned, outcome, more);
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.done.push(`no record of '${outcome}' could be written: ${failureText(error)}`);
    }
  }

  async recordFailure(spec: RestoreSpec, planned: PlannedRestore, error: unknown): Promise<void> {
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
      `${stamp(new Date(this.#startedAt))}-${this.identity.short}-${String(this.#records)}-${outcome}`,
    );
    const progress = this.journal.progress();
    const record: RunRecord = {
      version: 1,
      run: this.identity,
      installation: spec.installation,
      cluster: spec.target.cluster,
      requestedBy: this.argument.requestedBy ?? null,
      argument: this.argument,
      startedAt: this.#startedAt,
      recordedAt: nowIso(),
      planDigest: progress.planDigest,
      plan: progress.plan,
      decisions: progress.decisions,
      refusals: progress.refusals,
      outcome,
      report: this.report,
      followUp: more.followUp ?? null,
      done: [...this.done],
      failure: more.failure ?? null,
    };
    await this.journal.step(
      'record',
      () => quick(spec.target.site, (at) => at.writeRecord({ repository: planned.repository, key, record })),
      () => key,
    );
  }

  result(outcome: RunRecord['outcome'], planned: PlannedRestore): RestoreResult {
    const { target, source } = planned.plan.facts;
    return { outcome, database: target.database, backup: source.backup, done: [...this.done] };
  }
}
