import { isCancellation, workflowInfo } from '@temporalio/workflow';
import type { Decision, FollowUp, FollowUpVerb } from '../domain/decision.ts';
import { HoldfastError } from '../domain/errors.ts';
import { runRecordKey, stamp } from '../domain/ids.ts';
import { shortDigest, type CopyReport } from '../domain/plan.ts';
import type { Proposal, RunRecord } from '../domain/run.ts';
import type { RepositorySpec } from '../domain/specs.ts';
import { quick } from './activities.ts';
import { failure, failureText, failureType } from './failures.ts';
import { HumanGate } from './gate.ts';
import { Journal, nowIso, runIdentity } from './journal.ts';

/** Where a run's records go, and for whom. */
export interface RecordPlace {
  readonly installation: string;
  readonly cluster: string;
  readonly site: string;
  readonly repository: RepositorySpec;
}

/** What every run has that changes something by a human's leave: its journal, its gate, its records. */
export class DecidedRun<Argument extends RunRecord['argument']> {
  readonly argument: Argument;
  readonly identity = runIdentity();
  readonly journal: Journal;
  readonly gate: HumanGate;
  /** In words: what was done, with names and times. */
  readonly done: string[] = [];
  report: CopyReport | null = null;
  readonly #workflow: string;
  readonly #startedAt = workflowInfo().startTime.toISOString();
  #records = 0;

  constructor(workflow: string, subject: string, argument: Argument, followUps: readonly FollowUpVerb[]) {
    this.#workflow = workflow;
    this.argument = argument;
    this.journal = new Journal(workflow, subject);
    this.gate = new HumanGate(this.journal, this.identity.workflowId, followUps);
  }

  /** Fails with Rejected or Expired unless a human approves this plan in time. */
  async approvalOf(proposal: Proposal, expiresAfterMs: number, note = ''): Promise<Decision> {
    const decision = await this.journal.step(
      'approval',
      () => this.gate.decide(proposal, expiresAfterMs, note),
      (taken) => (taken ? `${taken.verb} by ${taken.by}: ${taken.reason}` : 'expired'),
    );
    const name = shortDigest(proposal.digest);
    if (decision === null)
      throw failure('Expired', `nobody decided on plan ${name} in time`, `start the ${this.#workflow} again`);
    if (decision.verb === 'reject')
      throw failure(
        'Rejected',
        `${decision.by} rejected plan ${name}: ${decision.reason}`,
        'nothing of the live database was changed',
      );
    return decision;
  }

  show(proposal: Proposal): void {
    this.journal.proposal = proposal;
    this.journal.body = proposal.text;
    this.journal.show();
  }

  /** What is done is done: a record that can't be written is said in the run, which goes on all the same. */
  async recordDoneAt(
    place: RecordPlace,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp } = {},
  ): Promise<void> {
    try {
      await this.#record(place, outcome, more);
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.done.push(`no record of '${outcome}' could be written: ${failureText(error)}`);
    }
  }

  async recordFailureAt(place: RecordPlace, error: unknown): Promise<void> {
    const type = failureType(error) ?? (error instanceof HoldfastError ? error.type : undefined);
    const outcome = type === 'Rejected' ? 'rejected' : type === 'Expired' ? 'expired' : 'failed';
    try {
      await this.#record(place, outcome, { failure: failureText(error) });
    } catch {
      // A repository that can't be written doesn't change why the run failed.
    }
  }

  async #record(
    { installation, cluster, site, repository }: RecordPlace,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp; readonly failure?: string } = {},
  ): Promise<void> {
    this.#records += 1;
    const name = `${stamp(new Date(this.#startedAt))}-${this.identity.short}-${String(this.#records)}-${outcome.replaceAll(' ', '-')}`;
    const key = runRecordKey(cluster, name);
    const progress = this.journal.progress();
    const record: RunRecord = {
      version: 1,
      run: this.identity,
      installation,
      cluster,
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
      () => quick(site, (at) => at.writeRecord({ repository, key, record })),
      () => key,
    );
  }
}
