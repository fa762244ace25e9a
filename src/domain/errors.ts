import { wellFormed } from './format.ts';

/**
 * Every failure that Holdfast itself names. The type is what workflows, alerts and exit codes go by;
 * the message says what happened, the hint what to do next.
 */

/** What may be tried again without anybody changing something: a mount that comes back, a busy cluster. */
const retryable = {
  BackupFailed: false,
  BackupPartial: false,
  BackupStuck: false,
  Busy: true,
  ConfigurationChanged: false,
  ConfigurationInvalid: false,
  DecisionRefused: false,
  DrillFailed: false,
  DumpFailed: true,
  DumpRefused: false,
  Expired: false,
  InvalidArgument: false,
  KubernetesNotUnderstood: false,
  KubernetesRefused: false,
  KubernetesUnavailable: true,
  NameTaken: false,
  NoSuchBackup: false,
  NoSuchRun: false,
  NotBuiltYet: false,
  NoWorker: false,
  ObjectDamaged: false,
  ObjectLocked: false,
  PlanChanged: false,
  PlanHopeless: false,
  PodFailed: false,
  PodUnavailable: true,
  PostgresRefused: false,
  PostgresUnavailable: true,
  Rejected: false,
  RestoreFailed: false,
  StoreFull: true,
  StoreNotMounted: true,
  StoreUnavailable: true,
  SwapFailed: false,
  TargetNotEmpty: false,
  TemporalUnavailable: true,
  ToolFailed: true,
  ToolMissing: false,
  ToolTooOld: false,
  Unexpected: true,
  VerificationFailed: false,
  WalMissing: false,
} as const;

export type ErrorType = keyof typeof retryable;

export const errorTypes = Object.keys(retryable) as readonly ErrorType[];

export function isRetryable(type: ErrorType): boolean {
  return retryable[type];
}

export class HoldfastError extends Error {
  readonly type: ErrorType;
  /** What to do next, as a sentence without a full stop. */
  readonly hint: string;

  /**
   * @param message starts lowercase, names the thing, ends without a full stop. Text that was cut in the middle of a
   * character is mended: a failure that can't be written as UTF-8 ends the worker that reports it.
   */
  constructor(type: ErrorType, message: string, hint: string, options?: { readonly cause?: unknown }) {
    super(wellFormed(message), options);
    this.name = type;
    this.type = type;
    this.hint = wellFormed(hint);
  }
}

/** The text of anything that was thrown, for messages that quote it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return wellFormed(String(error));
  return wellFormed(error.message === '' ? error.name : error.message);
}
