import type { PlannedRecovery, ReachedPlace } from '../activities/index.ts';
import type { FollowUp } from '../domain/decision.ts';
import { code } from '../domain/format.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import type { RecoverArgument } from '../domain/recover-argument.ts';
import { recoveryDigest, type RecoveryPlan } from '../domain/recovery-plan.ts';
import { describeTarget } from '../domain/recovery-target.ts';
import { renderRecoveryPlan } from '../domain/render-recovery-plan.ts';
import type { Proposal, RunRecord } from '../domain/run.ts';
import { DecidedRun, type RecordPlace } from './decided-run.ts';

export interface RecoverResult {
  readonly outcome: RunRecord['outcome'];
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly base: string;
  readonly done: readonly string[];
}

export const proposalOfRecovery = (plan: RecoveryPlan): Proposal => ({
  plan,
  digest: recoveryDigest(plan),
  text: renderRecoveryPlan(plan),
});

/** What a recovery has beside its journal, its gate and its records: how it speaks of where it stands. */
export class RecoverRun extends DecidedRun<RecoverArgument> {
  constructor(argument: RecoverArgument) {
    const where = argument.inPlace === true ? ' in place' : '';
    super('recover', `of cluster ${argument.cluster}${where}, ${describeTarget(argument.target)}`, argument, [
      'promote',
      'go-on',
      'throw-away',
      'release',
      'undo',
    ]);
  }

  showPlan(plan: RecoveryPlan): void {
    this.show(proposalOfRecovery(plan));
  }

  /** The backup that a prune must leave alone; its parents and WAL stay with it. */
  baseOf = ({ plan }: PlannedRecovery): string => plan.facts.chain.at(-1)?.id ?? '';

  reachedNote = ({ words }: ReachedPlace): string => words.join('; ');

  /** For a human who decides: what was reached, and how to look. */
  reachedBody({ host, places }: PlannedRecovery, { verdict, words, psql }: ReachedPlace): string {
    return [
      `### ${verdict === 'as asked' ? 'At the target' : 'At the end of the archive'}, open for reading`,
      '',
      ...words.map((sentence) => `- ${sentence}`),
      `- the copy lies in ${code(places.dataDirectory)} on ${code(host)}; as the user who owns it look with`,
      '',
      '```',
      psql,
      '```',
    ].join('\n');
  }

  recordDone(
    spec: RecoverSpec,
    planned: PlannedRecovery,
    outcome: RunRecord['outcome'],
    more: { readonly followUp?: FollowUp } = {},
  ): Promise<void> {
    return this.recordDoneAt(placeOf(spec, planned), outcome, more);
  }

  recordFailure(spec: RecoverSpec, planned: PlannedRecovery, error: unknown): Promise<void> {
    return this.recordFailureAt(placeOf(spec, planned), error);
  }

  result(outcome: RunRecord['outcome'], planned: PlannedRecovery): RecoverResult {
    return {
      outcome,
      directory: planned.places.dataDirectory,
      host: planned.host,
      port: planned.plan.facts.makes.port,
      base: this.baseOf(planned),
      done: [...this.done],
    };
  }
}

const placeOf = ({ installation, source }: RecoverSpec, { repository }: PlannedRecovery): RecordPlace => ({
  installation,
  cluster: source.cluster,
  site: source.site,
  repository,
});
