import type { PlannedRestore } from '../activities/index.ts';
import type { RestoreArgument } from '../domain/arguments.ts';
import type { Decision, FollowUp } from '../domain/decision.ts';
import { HoldfastError } from '../domain/errors.ts';
import { code } from '../domain/format.ts';
import { hopeless, type CopyReport, type RestorePlan } from '../domain/plan.ts';
import { proposalOf } from '../domain/render-plan.ts';
import type { RunRecord } from '../domain/run.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { DecidedRun, type RecordPlace } from './decided-run.ts';
import { failure } from './failures.ts';

export interface RestoreResult {
  readonly outcome: RunRecord['outcome'];
  /** The database that holds the restored data, or null for a whole cluster. */
  readonly database: string | null;
  readonly backup: string;
  readonly done: readonly string[];
}

/** What every kind of restore has; and what it says no to. */
export class RestoreRun extends DecidedRun<RestoreArgument> {
  constructor(argument: RestoreArgument) {
    const what = argument.database === undefined ? 'the whole cluster' : `database ${code(argument.database)}`;
    super('restore', `of ${what} from cluster ${argument.cluster}`, argument, ['release', 'undo']);
  }

  /** Fails with Rejected or Expired unless a human approves this plan in time. */
  approval(spec: RestoreSpec, plan: RestorePlan, note = ''): Promise<Decision> {
    return this.approvalOf(proposalOf(plan), spec.approval.expiresAfterMs, note);
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
    this.show(proposalOf(plan));
  }

  recordDone(
    spec: RestoreSpec,
    planned: PlannedRestore,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp } = {},
  ): Promise<void> {
    return this.recordDoneAt(placeOf(spec, planned), outcome, more);
  }

  recordFailure(spec: RestoreSpec, planned: PlannedRestore, error: unknown): Promise<void> {
    return this.recordFailureAt(placeOf(spec, planned), error);
  }

  result(outcome: RunRecord['outcome'], planned: PlannedRestore): RestoreResult {
    const { target, source } = planned.plan.facts;
    return { outcome, database: target.database, backup: source.backup, done: [...this.done] };
  }
}

const placeOf = ({ installation, target }: RestoreSpec, { repository }: PlannedRestore): RecordPlace => ({
  installation,
  cluster: target.cluster,
  site: target.site,
  repository,
});
