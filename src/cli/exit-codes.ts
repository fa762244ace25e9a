import type { ErrorType } from '../domain/errors.ts';

/** What a script learns from `holdfast` without reading its text. Numbers are never given another meaning. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  notFound: 4,
  unreachable: 5,
  refused: 6,
  busy: 7,
  damaged: 8,
  waits: 9,
  drillFailed: 10,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** For `holdfast --help` and the reference. */
export const exitCodeMeanings: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [0, 'done'],
  [1, 'the run failed, was cancelled or terminated'],
  [2, 'wrong usage: an unknown option, an argument that is not valid'],
  [3, 'the configuration is not valid, has changed, or asks for what is not built yet'],
  [4, 'no such backup, no such run'],
  [
    5,
    'Temporal, PostgreSQL, Kubernetes or the repository is out of reach, refuses access or is of an unknown version, or no worker is there',
  ],
  [6, 'refused: rejected, expired, not taken, or a plan that can not be carried out'],
  [7, 'the cluster is busy with another run'],
  [8, 'a backup is partial or damaged, or WAL that it needs is missing'],
  [9, 'a plan waits for a decision (status, and restore and recover without a terminal)'],
  [10, 'a drill failed: the backup could not be restored, or a check of it did not pass'],
  [130, 'interrupted by Ctrl-C: what was followed goes on'],
];

/** How a command ends beside the failures that Holdfast's engine names. */
export type CommandErrorType = 'Cancelled' | 'Interrupted' | 'Terminated' | 'TimedOut';

const codes: Readonly<Record<ErrorType | CommandErrorType, ExitCode>> = {
  BackupFailed: exitCodes.failed,
  BackupPartial: exitCodes.damaged,
  BackupStuck: exitCodes.failed,
  Busy: exitCodes.busy,
  Cancelled: exitCodes.failed,
  ConfigurationChanged: exitCodes.configuration,
  ConfigurationInvalid: exitCodes.configuration,
  DecisionRefused: exitCodes.refused,
  DrillFailed: exitCodes.drillFailed,
  DumpFailed: exitCodes.failed,
  DumpRefused: exitCodes.refused,
  Expired: exitCodes.refused,
  Interrupted: exitCodes.interrupted,
  InvalidArgument: exitCodes.usage,
  KubernetesNotUnderstood: exitCodes.unreachable,
  KubernetesRefused: exitCodes.unreachable,
  KubernetesUnavailable: exitCodes.unreachable,
  NameTaken: exitCodes.failed,
  NoSuchBackup: exitCodes.notFound,
  NoSuchRun: exitCodes.notFound,
  NotBuiltYet: exitCodes.configuration,
  NoWorker: exitCodes.unreachable,
  ObjectDamaged: exitCodes.damaged,
  ObjectLocked: exitCodes.refused,
  PlanChanged: exitCodes.refused,
  PlanHopeless: exitCodes.refused,
  PodFailed: exitCodes.failed,
  PodUnavailable: exitCodes.failed,
  PostgresRefused: exitCodes.unreachable,
  PostgresUnavailable: exitCodes.unreachable,
  Rejected: exitCodes.refused,
  RestoreFailed: exitCodes.failed,
  StoreFull: exitCodes.failed,
  StoreNotMounted: exitCodes.unreachable,
  StoreUnavailable: exitCodes.unreachable,
  SwapFailed: exitCodes.failed,
  TargetNotEmpty: exitCodes.refused,
  TemporalUnavailable: exitCodes.unreachable,
  Terminated: exitCodes.failed,
  TimedOut: exitCodes.failed,
  ToolFailed: exitCodes.failed,
  ToolMissing: exitCodes.failed,
  ToolTooOld: exitCodes.failed,
  Unexpected: exitCodes.failed,
  VerificationFailed: exitCodes.damaged,
  WalMissing: exitCodes.damaged,
};

export const exitCodeOf = (type: ErrorType | CommandErrorType): ExitCode => codes[type];
