import type { CopyReport, RestorePlan } from './plan.ts';
import type { Decision, FollowUp, FollowUpVerb, Refusal } from './decision.ts';
import type { RestoreArgument } from './arguments.ts';
import type { CnpgRecoveryPlan } from './cnpg-recovery-facts.ts';
import type { RecoverArgument } from './recover-argument.ts';
import type { RecoveryPlan } from './recovery-plan.ts';

/** Who a run is: one name for all its attempts, resets and continuations. */
export interface RunIdentity {
  readonly workflowId: string;
  readonly firstExecutionRunId: string;
  /** Eight hex digits, see shortRunId. */
  readonly short: string;
}

export interface Step {
  readonly name: string;
  readonly status: 'running' | 'done' | 'failed' | 'waiting';
  readonly startedAt: string;
  readonly finishedAt: string | null;
  /** One line on what came of it. */
  readonly note: string | null;
}

/** What a run is about to do, of whichever kind. */
export type Plan = RestorePlan | RecoveryPlan | CnpgRecoveryPlan;

/** A plan as it is put before a human. */
export interface Proposal {
  readonly plan: Plan;
  readonly digest: string;
  /** Markdown. */
  readonly text: string;
}

/** What the query `progress` answers, for every workflow. */
export interface Progress<P extends Plan = Plan> {
  readonly workflow: string;
  readonly subject: string;
  readonly steps: readonly Step[];
  /** The plan in force, if the run has one. */
  readonly plan: P | null;
  /** The same in Markdown. */
  readonly planText: string | null;
  readonly planDigest: string | null;
  /** What a human is asked for right now. */
  readonly waitingFor: 'decision' | 'follow-up' | null;
  /** What may be asked, while it waits for a follow-up. */
  readonly followUps: readonly FollowUpVerb[];
  /** How things stand right now, in Markdown, without commands: what a recovery reached and how to look at it. */
  readonly standing?: string | null;
  readonly expiresAt: string | null;
  readonly decisions: readonly Decision[];
  readonly refusals: readonly Refusal[];
}

/** One write-once object per thing that a destructive run did: version 1. */
export interface RunRecord {
  readonly version: 1;
  readonly run: RunIdentity;
  readonly installation: string;
  readonly cluster: string;
  readonly requestedBy: string | null;
  readonly argument: RestoreArgument | RecoverArgument;
  readonly startedAt: string;
  readonly recordedAt: string;
  /** Digest of the plan in force, and the plan. */
  readonly planDigest: string | null;
  readonly plan: Plan | null;
  readonly decisions: readonly Decision[];
  readonly refusals: readonly Refusal[];
  readonly outcome:
    | 'swapped'
    | 'created'
    | 'restored'
    | 'recovered'
    | 'promoted'
    | 'thrown away'
    | 'rejected'
    | 'expired'
    | 'failed'
    | 'undone'
    | 'released';
  readonly report: CopyReport | null;
  readonly followUp: FollowUp | null;
  /** In words: what was done, with names and times. */
  readonly done: readonly string[];
  /** Why it failed. */
  readonly failure: string | null;
}
