import { condition, setHandler } from '@temporalio/workflow';
import {
  judgeDecision,
  judgeFollowUp,
  type Decision,
  type FollowUp,
  type FollowUpVerb,
  type Gate,
  type Judged,
  type Verb,
} from '../domain/decision.ts';
import { decisionCommands, followUpCommands } from '../domain/render-plan.ts';
import type { Proposal } from '../domain/run.ts';
import { failure } from './failures.ts';
import { nowIso, type Journal } from './journal.ts';
import { approveSignal, decideUpdate, followUpSignals, rejectSignal } from './messages.ts';

const descriptions: Readonly<Record<FollowUpVerb, string>> = {
  undo: 'bring the old state back: {"by":…,"reason":…}',
  release: 'remove what was put aside: {"by":…,"reason":…}',
  promote: 'end recovery here and let the copy take writes: {"by":…,"reason":…}',
  'go-on': 'replay on to a later target: {"by":…,"reason":…,"target":{"time":…}}',
  'throw-away': 'stop the copy and remove it: {"by":…,"reason":…}',
};

/**
 * Where a run waits for a human. A signal that can't be taken is recorded and shown, never thrown: a handler that
 * throws would end or wedge the run. The update `decide` says no at once instead.
 */
export class HumanGate {
  readonly #journal: Journal;
  readonly #workflowId: string;
  #gate: Gate = { plans: [], open: false, expiresAt: null };
  #taken: Decision | null = null;
  #followUp: FollowUp | null = null;

  /** @param followUps what this kind of run may be asked once something is done */
  constructor(journal: Journal, workflowId: string, followUps: readonly FollowUpVerb[]) {
    this.#journal = journal;
    this.#workflowId = workflowId;
    const decisionHelp = '{"by":"alice","reason":"why","plan":"first 12 digits of the plan"}';
    setHandler(
      approveSignal,
      (payload) => {
        this.#onSignal('approve', payload);
      },
      {
        description: `approve the plan: ${decisionHelp}`,
      },
    );
    setHandler(
      rejectSignal,
      (payload) => {
        this.#onSignal('reject', payload);
      },
      {
        description: `reject the plan: ${decisionHelp}`,
      },
    );
    setHandler(
      decideUpdate,
      (payload) => {
        const judged = this.#judgeUpdate(payload);
        if ('refused' in judged)
          throw failure('InvalidArgument', judged.refused.why, 'read the plan again and send the decision for it');
        this.#take(judged.taken);
        return { taken: true as const, plan: judged.taken.plan };
      },
      {
        validator: (payload) => {
          const judged = this.#judgeUpdate(payload);
          if ('refused' in judged)
            throw failure('InvalidArgument', judged.refused.why, 'read the plan again and send the decision for it');
        },
        description:
          'approve or reject the plan and hear at once whether it was taken: {"decision":"approve","by":…,"reason":…,"plan":…}',
      },
    );
    for (const verb of followUps) {
      setHandler(
        followUpSignals[verb],
        (payload) => {
          this.#onFollowUp(verb, payload);
        },
        { description: descriptions[verb] },
      );
    }
  }

  /**
   * Shows the plan and waits for a decision on it, at most as long as said; null means that none came in time, which
   * is as good as a rejection. A decision on an earlier plan doesn't count.
   */
  async decide(proposal: Proposal, expiresAfterMs: number, note = ''): Promise<Decision | null> {
    const { digest } = proposal;
    const expiresAt = new Date(Date.now() + expiresAfterMs).toISOString();
    this.#taken = null;
    this.#gate = { plans: [...this.#gate.plans, digest], open: true, expiresAt };
    this.#announce(proposal, expiresAt, note);
    await condition(() => this.#taken !== null, expiresAfterMs);
    this.#gate = { ...this.#gate, open: false };
    this.#journal.waitingFor = null;
    this.#journal.expiresAt = null;
    this.#journal.body = proposal.text;
    this.#journal.show();
    return this.#taken;
  }

  /** Waits, for ever if need be, for what a human wants done next. */
  async followUp(allowed: readonly FollowUpVerb[], body: string): Promise<FollowUp> {
    this.#followUp = null;
    this.#journal.followUps = allowed;
    this.#journal.standing = body;
    this.#journal.waitingFor = 'follow-up';
    this.#journal.body = `${body}\n\n${followUpCommands(this.#workflowId, allowed)}`;
    this.#journal.show();
    await condition(() => this.#followUp !== null);
    this.#journal.followUps = [];
    this.#journal.standing = null;
    this.#journal.waitingFor = null;
    this.#journal.body = body;
    this.#journal.show();
    // eslint-disable-next-line @typescript-eslint/no-non-null-assertion -- the condition above
    return this.#followUp!;
  }

  #announce(proposal: Proposal, expiresAt: string, note: string): void {
    this.#journal.proposal = proposal;
    this.#journal.waitingFor = 'decision';
    this.#journal.expiresAt = expiresAt;
    this.#journal.body = [
      ...(note === '' ? [] : [`**${note}**`, '']),
      proposal.text,
      '',
      `### Waits for a decision until ${expiresAt}`,
      '',
      'Without one it counts as rejected. Decisions are not authenticated: `by` is what the sender says.',
      '',
      decisionCommands(this.#workflowId, proposal.digest),
    ].join('\n');
    this.#journal.show();
  }

  /** A plan can be decided once: what comes after is refused. */
  #judge(verb: Verb, payload: unknown): Judged {
    const at = nowIso();
    const judged = judgeDecision(verb, payload, this.#gate, at);
    if ('refused' in judged || this.#taken === null) return judged;
    return {
      refused: {
        verb,
        by: judged.taken.by,
        why: `already decided: ${this.#taken.verb} by ${this.#taken.by} at ${this.#taken.at}`,
        at,
      },
    };
  }

  #judgeUpdate(payload: unknown): Judged {
    if (typeof payload !== 'object' || payload === null) return this.#judge('approve', payload);
    const { decision, ...rest } = payload as Readonly<Record<string, unknown>>;
    if (decision === 'approve' || decision === 'reject') return this.#judge(decision, rest);
    return {
      refused: { verb: 'decide', by: null, why: 'decision: expected one of "approve", "reject"', at: nowIso() },
    };
  }

  #onSignal(verb: Verb, payload: unknown): void {
    const judged = this.#judge(verb, payload);
    if ('refused' in judged) this.#journal.refuse(judged.refused);
    else this.#take(judged.taken);
  }

  #take(decision: Decision): void {
    this.#taken = decision;
    this.#journal.decisions.push(decision);
    this.#journal.show();
  }

  #onFollowUp(verb: FollowUpVerb, payload: unknown): void {
    const open = this.#journal.followUps.includes(verb) && this.#followUp === null;
    const judged = judgeFollowUp(verb, payload, open, nowIso());
    if ('refused' in judged) this.#journal.refuse(judged.refused);
    else this.#followUp = judged.taken;
  }
}
