import { z } from 'zod';
import { explainShortly } from './explain.ts';
import { oneLine } from './format.ts';
import { recoveryTargetSchema, type RecoveryTarget } from './recovery-target.ts';

/**
 * A human's decision on exactly one plan. It comes as a signal (`approve`, `reject`) or as the update `decide`, from
 * the Temporal UI, the `temporal` command or Holdfast's CLI: anybody's JSON, so it is unknown until read, and what
 * can't be taken is recorded as refused. Nothing in here throws.
 */

/** It is shown in Markdown beside the plan, so it must not be able to look like a part of it. */
const saying = (most: number) => z.string().overwrite(oneLine).trim().min(1).max(most);

/** What the commands that are shown for pasting say in the place of a name. */
export const placeholderName = 'YOUR NAME';

const nameSchema = saying(200).refine((name) => name !== placeholderName, 'must be your own name, not the placeholder');

const decisionSchema = z.strictObject({
  by: nameSchema,
  reason: saying(2000),
  /** First 12 (or more) hex digits of the plan's digest. */
  plan: z
    .string()
    .regex(/^[0-9a-f]{12,64}$/, 'must be at least 12 hex digits, as printed with the plan')
    .optional(),
  nonce: z.string().max(200).optional(),
  signature: z.string().max(2000).optional(),
});

export type Verb = 'approve' | 'reject';

export interface Decision {
  readonly verb: Verb;
  readonly by: string;
  readonly reason: string;
  /** Digest of the plan that was decided on, in full. */
  readonly plan: string;
  /** The decision named the plan itself; false: there had been exactly one plan. */
  readonly planNamed: boolean;
  /** Always false while decisions aren't signed: `by` is a declaration, not a proof. */
  readonly authenticated: boolean;
  /** ISO time at which the workflow took it. */
  readonly at: string;
}

/** A message that was not taken, and why. */
export interface Refusal {
  readonly verb: string;
  readonly by: string | null;
  readonly why: string;
  readonly at: string;
}

export interface Gate {
  /** Digests of all plans this run has had, oldest first; the last one is in force. */
  readonly plans: readonly string[];
  /** A plan is up for decision right now. */
  readonly open: boolean;
  readonly expiresAt: string | null;
}

export type Judged = { readonly taken: Decision } | { readonly refused: Refusal };

const unsignedOnly = 'signed messages are not built yet in this version; send it without signature';

export const decisionExample = '{"by":"alice","reason":"checked the report","plan":"a1b2c3d4e5f6"}';

/** Takes or refuses a message, by what the gate is at `at` (ISO time of the workflow). Never throws. */
export function judgeDecision(verb: Verb, payload: unknown, gate: Gate, at: string): Judged {
  const refuse = (why: string): Judged => ({ refused: { verb, by: claimedName(payload), why, at } });
  const parsed = decisionSchema.safeParse(payload);
  if (!parsed.success) {
    return refuse(`not readable: ${explainShortly(parsed.error, payload)}; send for example ${decisionExample}`);
  }
  const { by, reason, plan, signature } = parsed.data;
  const current = gate.plans.at(-1);
  if (!gate.open || current === undefined) return refuse('no plan is waiting for a decision');
  if (gate.expiresAt !== null && at >= gate.expiresAt) return refuse(`too late: the plan expired at ${gate.expiresAt}`);
  if (signature !== undefined) return refuse(unsignedOnly);
  if (plan === undefined) {
    if (gate.plans.length > 1)
      return refuse(
        `this run has had ${String(gate.plans.length)} plans: name the one you mean, "plan":"${current.slice(0, 12)}"`,
      );
  } else if (!current.startsWith(plan)) {
    const known = gate.plans.some((digest) => digest.startsWith(plan));
    return refuse(
      `it is for ${known ? 'an earlier plan of this run' : 'a plan that this run never had'} (${plan.slice(0, 12)}); the current one is ${current.slice(0, 12)}`,
    );
  }
  return { taken: { verb, by, reason, plan: current, planNamed: plan !== undefined, authenticated: false, at } };
}

function claimedName(payload: unknown): string | null {
  if (typeof payload !== 'object' || payload === null) return null;
  const by = (payload as { readonly by?: unknown }).by;
  return typeof by === 'string' ? oneLine(by.slice(0, 200)) : null;
}

const followUpSchema = z.strictObject({
  by: nameSchema,
  reason: saying(2000),
  nonce: z.string().max(200).optional(),
  signature: z.string().max(2000).optional(),
});

type FollowUpMessage = z.infer<typeof followUpSchema> & { readonly target?: RecoveryTarget };

const followUpMessage = (verb: FollowUpVerb): z.ZodType<FollowUpMessage> =>
  verb === 'go-on' ? followUpSchema.extend({ target: recoveryTargetSchema }) : followUpSchema;

/** After a swap: undo, release. At a recovery's target: promote, go-on, throw-away; in place: release. */
export type FollowUpVerb = 'undo' | 'release' | 'promote' | 'go-on' | 'throw-away';

export interface FollowUp {
  readonly verb: FollowUpVerb;
  readonly by: string;
  readonly reason: string;
  readonly at: string;
  /** With go-on: the later target. */
  readonly target?: RecoveryTarget;
}

const followUpExamples: Readonly<Record<FollowUpVerb, string>> = {
  undo: '{"by":"alice","reason":"rows are missing"}',
  release: '{"by":"alice","reason":"the application is well"}',
  promote: '{"by":"alice","reason":"the rows are there"}',
  'go-on': '{"by":"alice","reason":"too early","target":{"time":"2026-11-21T14:05:00Z"}}',
  'throw-away': '{"by":"alice","reason":"seen enough"}',
};

/** The same for what a human may ask once something is done. Never throws. */
export function judgeFollowUp(
  verb: FollowUpVerb,
  payload: unknown,
  open: boolean,
  at: string,
): { readonly taken: FollowUp } | { readonly refused: Refusal } {
  const refuse = (why: string) => ({ refused: { verb, by: claimedName(payload), why, at } });
  const parsed = followUpMessage(verb).safeParse(payload);
  if (!parsed.success) {
    return refuse(`not readable: ${explainShortly(parsed.error, payload)}; send for example ${followUpExamples[verb]}`);
  }
  const { by, reason, signature, target } = parsed.data;
  if (signature !== undefined) return refuse(unsignedOnly);
  if (!open) return refuse(`nothing to ${verb}: the run doesn't wait for it`);
  return { taken: { verb, by, reason, at, ...(target === undefined ? {} : { target }) } };
}
