import { setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { Decision, Refusal } from '../domain/decision.ts';
import { shortRunId } from '../domain/ids.ts';
import type { Progress, Proposal, RunIdentity, Step } from '../domain/run.ts';
import { failureText } from './failures.ts';
import { progressQuery } from './messages.ts';

export function runIdentity(): RunIdentity {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  return { workflowId, firstExecutionRunId, short: shortRunId(workflowId, firstExecutionRunId) };
}

/** The workflow's clock: the same in every replay. */
export const nowIso = () => new Date().toISOString();

/**
 * What a run has done so far, for the query `progress` and for the current details that the Temporal UI shows as
 * Markdown. Keeps the newest fifty refusals: anybody may send messages without end.
 */
export class Journal {
  readonly #workflow: string;
  readonly #subject: string;
  readonly #steps: Step[] = [];
  readonly #refusals: Refusal[] = [];
  readonly decisions: Decision[] = [];
  /** The plan in force. */
  proposal: Proposal | null = null;
  waitingFor: Progress['waitingFor'] = null;
  followUps: Progress['followUps'] = [];
  /** Markdown: how what was done stands right now. */
  standing: string | null = null;
  expiresAt: string | null = null;
  /** Markdown below the steps: the plan, and the commands to paste. */
  body = '';

  constructor(workflow: string, subject: string) {
    this.#workflow = workflow;
    this.#subject = subject;
    setHandler(progressQuery, () => this.progress(), { description: 'steps, plan, decisions and refused messages' });
    this.show();
  }

  get refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  progress(): Progress {
    return {
      workflow: this.#workflow,
      subject: this.#subject,
      steps: [...this.#steps],
      plan: this.proposal?.plan ?? null,
      planText: this.proposal?.text ?? null,
      planDigest: this.proposal?.digest ?? null,
      waitingFor: this.waitingFor,
      followUps: this.followUps,
      standing: this.standing,
      expiresAt: this.expiresAt,
      decisions: [...this.decisions],
      refusals: [...this.#refusals],
    };
  }

  refuse(refusal: Refusal): void {
    this.#refusals.push(refusal);
    if (this.#refusals.length > 50) this.#refusals.shift();
    this.show();
  }

  /** Runs a step and notes how it went. `note` puts its result in one line. */
  async step<T>(name: string, run: () => Promise<T>, note: (result: T) => string | null = () => null): Promise<T> {
    const index = this.#steps.length;
    const startedAt = nowIso();
    const set = (status: Step['status'], text: string | null) => {
      this.#steps[index] = { name, status, startedAt, finishedAt: status === 'running' ? null : nowIso(), note: text };
      this.show();
    };
    set('running', null);
    try {
      const result = await run();
      set('done', note(result));
      return result;
    } catch (error) {
      set('failed', failureText(error));
      throw error;
    }
  }

  show(): void {
    const mark = { running: '▶', done: '✔', failed: '✘', waiting: '…' } as const;
    const lines = [
      `**${this.#workflow}** ${this.#subject}`,
      '',
      ...this.#steps.map(({ name, status, note }) => `- ${mark[status]} ${name}${note === null ? '' : `: ${note}`}`),
      ...(this.body === '' ? [] : ['', this.body]),
      ...(this.#refusals.length === 0 ? [] : ['', '### Messages that were not taken', '']),
      ...this.#refusals
        .slice(-5)
        .map(({ verb, by, why, at }) => `- ${at} ${verb}${by === null ? '' : ` by ${by}`}: ${why}`),
    ];
    setCurrentDetails(lines.join('\n').slice(0, 19_000));
  }
}
