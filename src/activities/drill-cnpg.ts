import { setTimeout as sleep } from 'node:timers/promises';
import { dirname } from 'node:path';
import type { DrillCnpgSpec } from '../domain/cnpg-drill-spec.ts';
import { objectAt } from '../domain/cnpg-definition.ts';
import type { CnpgRecoveryPlan } from '../domain/cnpg-recovery-facts.ts';
import { HoldfastError, type ErrorType } from '../domain/errors.ts';
import type { DrillCheckResult } from '../domain/evidence.ts';
import { oneLine } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import { newestOfPolicy } from '../kubernetes/cnpg/bases.ts';
import { deleteMade, leftOf, makerOf } from '../kubernetes/cnpg/recovery-cluster.ts';
import { withSession } from '../postgres/connection.ts';
import { findAmcheck, runAmcheck } from '../postgres/drill/amcheck.ts';
import { checkName, failed, passed } from '../postgres/drill/checks.ts';
import { blames, laterOf, nothingRestored, type Restored } from '../postgres/drill/outcome.ts';
import { findTools } from '../postgres/tools.ts';
import type { Dependencies } from './dependencies.ts';
import { recordDrill, type Drilled } from './drill-steps.ts';
import { planCnpgRecovery } from './plan-cnpg-recovery.ts';
import {
  checkCnpgCopy,
  serverOfCopy,
  watchRecovery,
  type CnpgCopyInput,
  type CnpgRecoveryLog,
  type ReachedCluster,
  type WatchCnpgCopyInput,
} from './recover-cnpg.ts';
import type { Working } from './working.ts';

/** Drills of backups that CloudNativePG took: a recovery into a Cluster of its own, asked, measured and removed. */

export interface PlanCnpgDrillInput {
  readonly spec: DrillCnpgSpec;
  readonly run: RunIdentity;
}

const pollMs = 1_500;
const removalMs = 10 * 60_000;

/** What speaks against the backup itself. */
export interface Flaw {
  readonly type: ErrorType;
  readonly message: string;
}

/** The policy's newest backup, and how it is recovered, or why it can't be. */
export interface PlannedDrill {
  /** Name of the Backup object, by which people know it. */
  readonly backup: string;
  readonly planned: { readonly plan: CnpgRecoveryPlan } | { readonly flaw: Flaw };
}

/**
 * Plans the recovery of the policy's newest backup and all WAL after it, and makes room: the Cluster of a drill that is
 * over goes. Busy while another drill has it; NameTaken where it is nobody's that Holdfast knows.
 */
export async function planCnpgDrill(
  deps: Dependencies,
  { spec, run }: PlanCnpgDrillInput,
  work: Working,
): Promise<PlannedDrill> {
  const { cnpg } = spec.source;
  const { namespace } = cnpg;
  const { argument } = spec.recovery;
  await makeRoom(deps, { namespace, name: argument.into?.name ?? '' }, run, work);
  const backup = await newestOfPolicy(await deps.kubernetes(work.signal), cnpg, spec.policy);
  if (backup === undefined)
    throw new HoldfastError(
      'NoSuchBackup',
      `policy ${spec.policy} has no completed backup in namespace ${namespace}`,
      `take one first: 'holdfast backup ${spec.policy}'`,
    );
  const recovery = { ...spec.recovery, argument: { ...argument, backup } };
  try {
    return { backup, planned: { plan: await planCnpgRecovery(deps, { spec: recovery, run }, work) } };
  } catch (error) {
    return { backup, planned: { flaw: flawOf(error) } };
  }
}

/** Throws what says nothing of the backup. */
function flawOf(error: unknown): Flaw {
  const isGone = error instanceof HoldfastError && error.type === 'NoSuchBackup';
  const blame = isGone ? error : blames(error);
  if (blame === undefined) throw error;
  return { type: blame.type, message: blame.message };
}

async function makeRoom(
  deps: Dependencies,
  cluster: { readonly namespace: string; readonly name: string },
  run: RunIdentity,
  { signal, report }: Working,
): Promise<void> {
  const kubernetes = await deps.kubernetes(signal);
  const what = `Cluster ${cluster.namespace}/${cluster.name}`;
  const maker = await makerOf(kubernetes, cluster);
  if (maker === undefined || maker.firstExecutionRunId === run.firstExecutionRunId) return;
  const [over] = await deps.leases.closed([{ workflowId: maker.workflowId, runId: maker.firstExecutionRunId }]);
  if (over === undefined)
    throw new HoldfastError('Busy', `${what} is in use by run ${maker.workflowId}`, 'wait until it is over');
  if (!(await deleteMade(kubernetes, cluster, maker))) return;
  for (const until = performance.now() + removalMs; ;) {
    const left = await leftOf(kubernetes, cluster);
    if (left.length === 0) return;
    if (performance.now() > until)
      throw new HoldfastError(
        'KubernetesUnavailable',
        `${what} of a drill that is over was deleted, and still there are: ${left.join(', ')}`,
        'see what holds them: a finalizer, or a node that does not answer',
      );
    report({ doing: `removing what an earlier drill left: ${left.join(', ')}` });
    await sleep(pollMs, undefined, { signal });
  }
}

/** What came of the recovery. One that failed by the backup's own fault is a result, too. */
export type WatchedDrill = { readonly log: CnpgRecoveryLog } | { readonly flaw: Flaw };

/** As watchCnpgCopy; fails with what keeps the drill from being made, which says nothing of the backup. */
export async function watchCnpgDrill(
  deps: Dependencies,
  input: WatchCnpgCopyInput,
  work: Working,
): Promise<WatchedDrill> {
  const ended = await watchRecovery(deps, input, work);
  return ended instanceof HoldfastError ? { flaw: flawOf(ended) } : { log: ended };
}

export interface JudgeCnpgDrillInput {
  readonly spec: DrillCnpgSpec;
  readonly run: RunIdentity;
  readonly backup: string;
  readonly outcome: { readonly flaw: Flaw } | RecoveredDrill;
  /** ISO: when the drill began. */
  readonly startedAt: string;
  readonly attempt: number;
}

export interface RecoveredDrill {
  readonly copy: CnpgCopyInput;
  readonly log: CnpgRecoveryLog;
  /** From asking for the Cluster until it was healthy. */
  readonly seconds: number;
}

/** Asks the recovered Cluster the policy's checks, and writes what came of it as evidence, passed or failed. */
export async function judgeCnpgDrill(
  deps: Dependencies,
  { spec, run, backup, outcome, startedAt, attempt }: JudgeCnpgDrillInput,
  work: Working,
): Promise<Drilled> {
  const toolVersions: Record<string, string> = { holdfast: deps.version };
  const restored =
    'flaw' in outcome
      ? nothingRestored(failed('restore', oneLine(`${outcome.flaw.type}: ${outcome.flaw.message}`).slice(0, 1_000)))
      : await askCopy(deps, spec, outcome, toolVersions, work);
  await deps.failpoint('drill:checked');
  const result = await recordDrill(
    deps,
    { spec, drilled: { backup }, run, attempt },
    { restored, startedAt: new Date(startedAt), toolVersions },
    work.signal,
  );
  return { ...result, leftBehind: [] };
}

async function askCopy(
  deps: Dependencies,
  spec: DrillCnpgSpec,
  { copy, log, seconds }: RecoveredDrill,
  toolVersions: Record<string, string>,
  work: Working,
): Promise<Restored> {
  const reached = await checkCnpgCopy(deps, { ...copy, log }, work);
  const { base } = copy.plan.facts;
  return {
    checks: [
      recoveryCheck(reached),
      ...asked(spec, reached),
      ...(spec.amcheck ? [await soundness(deps, copy, reached, toolVersions, work)] : []),
    ],
    restoreSeconds: seconds,
    dataOf: laterOf(log.lastTransactionTime, base.finishedAt),
    reached: null,
  };
}

const recoveryCheck = ({ verdict, words }: ReachedCluster): DrillCheckResult =>
  (verdict === 'not as asked' ? failed : passed)('recovery', oneLine(words.join('; ')).slice(0, 1_000));

/** A check that nobody could be asked is told as such. */
const asked = ({ recovery }: DrillCnpgSpec, { checks, words }: ReachedCluster): readonly DrillCheckResult[] =>
  checks.length > 0
    ? checks
    : recovery.checks.map((check) => ({
        name: checkName(check),
        outcome: 'skipped',
        detail: oneLine(words.slice(-2).join('; ')),
      }));

async function soundness(
  deps: Dependencies,
  { spec, plan }: CnpgCopyInput,
  { service }: ReachedCluster,
  toolVersions: Record<string, string>,
  { signal, report }: Working,
): Promise<DrillCheckResult> {
  const to = await serverOfCopy(await deps.kubernetes(signal), { spec, plan, host: service });
  const isSuper = objectAt(plan.facts.makes.object, 'spec')['enableSuperuserAccess'] === true;
  if (!('server' in to) || !isSuper)
    return { name: 'amcheck', outcome: 'skipped', detail: 'the Cluster lets no superuser in' };
  const versionNum = await withSession(to.server, { signal }, (session) => Promise.resolve(session.versionNum));
  const tools = await findTools(versionNum, deps.toolPlaces(await deps.config()));
  toolVersions['psql'] = tools.version;
  report({ doing: 'drill: amcheck' });
  return runAmcheck(findAmcheck(tools.major, dirname(tools.psql)), to.server, signal);
}
