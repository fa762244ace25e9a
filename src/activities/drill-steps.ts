import { sha256Hex } from '../domain/canonical.ts';
import { HoldfastError } from '../domain/errors.ts';
import { drillKey, drillOutcome, type DrillCheckResult, type DrillEvidence } from '../domain/evidence.ts';
import { oneLine } from '../domain/format.ts';
import type { DrillSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { runAmcheck } from '../postgres/drill/amcheck.ts';
import { failed, runChecks } from '../postgres/drill/checks.ts';
import type { DrillServer } from '../postgres/drill/logical.ts';
import { ageSeconds, blames, nothingRestored, type Restored } from '../postgres/drill/outcome.ts';
import type { Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

/** The backup that a drill restores. */
export interface DrilledBackup {
  readonly backup: string;
  readonly manifestKey: string;
}

export interface DrillInput {
  readonly spec: DrillSpec;
  readonly drilled: DrilledBackup;
  readonly run: RunIdentity;
  /** No other attempt of this run has it. */
  readonly attempt: number;
}

/** A drill, as its evidence names it. */
export interface DrillOfBackup {
  readonly spec: Pick<DrillSpec, 'policy' | 'source' | 'repository'>;
  readonly drilled: Pick<DrilledBackup, 'backup'>;
  readonly run: RunIdentity;
  readonly attempt: number;
}

export interface Drilled {
  readonly backup: string;
  readonly outcome: 'passed' | 'failed';
  readonly restoreSeconds: number | null;
  readonly dataAgeSeconds: number | null;
  readonly checks: readonly DrillCheckResult[];
  /** Where the evidence lies. */
  readonly evidence: string;
  /** What could not be removed, of this drill or of earlier ones; the next tries again. */
  readonly leftBehind: readonly string[];
}

export interface Drilling extends Working {
  /** Filled as they are found. */
  readonly toolVersions: Record<string, string>;
}

/** A restore that fails by the backup's own fault is a result. */
export async function tried(signal: AbortSignal, drill: () => Promise<Restored>): Promise<Restored> {
  try {
    return await drill();
  } catch (error) {
    signal.throwIfAborted();
    const blame = blames(error);
    if (blame === undefined) throw error;
    return nothingRestored(failed('restore', oneLine(`${blame.type}: ${blame.message}`).slice(0, 1_000)));
  }
}

export function ask({ checks }: DrillSpec, { server }: DrillServer, { signal, report }: Drilling) {
  if (checks.length > 0) report({ doing: 'drill: asking the checks' });
  return runChecks(server, checks, signal);
}

export function checkSound(program: string | undefined, { server }: DrillServer, { signal, report }: Drilling) {
  report({ doing: 'drill: amcheck' });
  return runAmcheck(program, server, signal);
}

/** Writes what came of a drill beside its backup. */
export async function recordDrill(
  deps: Dependencies,
  input: DrillOfBackup,
  { restored, startedAt, toolVersions }: RecordedDrill,
  signal: AbortSignal,
): Promise<Omit<Drilled, 'leftBehind'>> {
  const evidence = evidenceOf(input, { restored, startedAt, toolVersions });
  const key = await writeEvidence(deps, input, evidence, signal);
  const { outcome, restoreSeconds, dataAgeSeconds, checks } = evidence;
  return { backup: input.drilled.backup, outcome, restoreSeconds, dataAgeSeconds, checks, evidence: key };
}

interface RecordedDrill {
  readonly restored: Restored;
  readonly startedAt: Date;
  readonly toolVersions: Readonly<Record<string, string>>;
}

function evidenceOf(
  { spec, drilled, run }: DrillOfBackup,
  { restored, startedAt, toolVersions }: RecordedDrill,
): DrillEvidence {
  const { checks, restoreSeconds, dataOf, reached } = restored;
  return {
    version: 1,
    kind: 'drill',
    backup: drilled.backup,
    cluster: spec.source.cluster,
    policy: spec.policy,
    outcome: drillOutcome(checks),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    run,
    restoreSeconds,
    dataAgeSeconds: ageSeconds(dataOf, startedAt),
    checks,
    reached,
    toolVersions,
  };
}

async function writeEvidence(
  deps: Dependencies,
  { spec, run, attempt }: DrillOfBackup,
  evidence: DrillEvidence,
  signal: AbortSignal,
): Promise<string> {
  const { cluster, backup, finishedAt, outcome } = evidence;
  const text = `${JSON.stringify(evidence)}\n`;
  const key = drillKey(cluster, backup, new Date(finishedAt), sha256Hex(text).slice(0, 8), outcome);
  const repository = deps.openRepository(spec.repository);
  await repository.put(key, { run: run.short, attempt }, new TextEncoder().encode(text), signal);
  await deps.failpoint('drill:evidence');
  return key;
}

export const backupGone = ({ backup }: DrilledBackup) =>
  new HoldfastError('NoSuchBackup', `backup ${backup} is gone since the drill chose it`, 'start the drill again');
