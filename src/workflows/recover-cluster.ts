import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { CnpgCopyInput, CnpgRecoveryLog, ReachedCluster } from '../activities/index.ts';
import { nameOf } from '../domain/cnpg-recovery-choice.ts';
import type { CnpgRecoveryPlan } from '../domain/cnpg-recovery-facts.ts';
import { cnpgRecoveryDigest, refuseHopelessCnpgRecovery } from '../domain/cnpg-recovery-plan.ts';
import type { RecoverCnpgSpec } from '../domain/cnpg-recovery-spec.ts';
import type { FollowUp } from '../domain/decision.ts';
import { code, oneLine } from '../domain/format.ts';
import { shortDigest } from '../domain/plan.ts';
import { renderCnpgRecoveryPlan } from '../domain/render-cnpg-recovery.ts';
import type { RunRecord } from '../domain/run.ts';
import { quick, watching } from './activities.ts';
import { failureText } from './failures.ts';
import { nowIso } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import type { RecoverRun } from './recover-run.ts';

export interface RecoverClusterResult {
  readonly outcome: RunRecord['outcome'];
  /** "production/logto-postgres-recovered-1a2b3c4d" */
  readonly cluster: string;
  /** Leads to its primary. */
  readonly service: string;
  readonly base: string;
  readonly done: readonly string[];
}

/**
 * plan → create → watch → check → a human: promote, which keeps the new Cluster, or throw away. CloudNativePG recovers
 * into a new Cluster and promotes it at the target: nothing of the source changes, and there is no going on.
 */
export async function recoverCluster(run: RecoverRun, spec: RecoverCnpgSpec): Promise<RecoverClusterResult> {
  const { site, cluster } = spec.source;
  const plan = await run.journal.step(
    'plan',
    () => quick(site, (at) => at.planCnpgRecovery({ spec, run: run.identity })),
    (made) => `${shortDigest(cnpgRecoveryDigest(made))}, from base backup ${nameOf(made.facts.base)}`,
  );
  run.show({ plan, digest: cnpgRecoveryDigest(plan), text: renderCnpgRecoveryPlan(plan) });
  const copy: CnpgCopyInput = { spec, plan, run: run.identity };
  try {
    refuseHopelessCnpgRecovery(plan);
    // A prune of volume snapshots leaves the one alone that is read.
    const lease = leaseInput(cluster, 'source', run.identity, plan.facts.base.object ?? plan.facts.base.id ?? '');
    return await withLease(lease, () => makeAndAsk(run, copy));
  } catch (error) {
    if (!isCancellation(error) && spec.repository !== null)
      await run.recordFailureAt({ ...spec, ...spec.source, repository: spec.repository }, error);
    throw error;
  }
}

async function makeAndAsk(run: RecoverRun, copy: CnpgCopyInput): Promise<RecoverClusterResult> {
  let kept = false;
  try {
    const reached = await recovered(run, copy);
    await record(run, copy, 'recovered');
    const { verb, followUp, words } = await decide(run, copy, reached);
    kept = verb === 'promote';
    run.done.push(...words);
    const outcome = kept ? 'promoted' : 'thrown away';
    await record(run, copy, outcome, followUp);
    return resultOf(run, copy.plan, outcome, reached);
  } catch (error) {
    // Whoever cancels, or meets a failure that nothing cures, wants no half-made Cluster.
    if (!kept) await CancellationScope.nonCancellable(() => removeQuietly(run, copy));
    throw error;
  }
}

/** Until the new Cluster is healthy and has been asked what it is. */
async function recovered(run: RecoverRun, copy: CnpgCopyInput): Promise<ReachedCluster> {
  const { journal } = run;
  const { site } = copy.spec.source;
  const { namespace, name } = copy.plan.facts.makes;
  await journal.step(
    'create',
    () => quick(site, (at) => at.createCnpgCopy(copy)),
    () => `Cluster ${code(`${namespace}/${name}`)}`,
  );
  run.done.push(`created Cluster ${namespace}/${name}`);
  const startedAt = nowIso();
  const log: CnpgRecoveryLog = await journal.step('recover', () =>
    watching(site).watchCnpgCopy({ ...copy, startedAt }),
  );
  return journal.step(
    'check',
    () => quick(site, (at) => at.checkCnpgCopy({ ...copy, log })),
    ({ words }) => words.join('; '),
  );
}

interface Decided {
  readonly verb: 'promote' | 'throw-away';
  readonly followUp: FollowUp;
  /** What was done, in words. */
  readonly words: readonly string[];
}

/** What fails is told, and the human asked again: the Cluster is still there. */
async function decide(run: RecoverRun, copy: CnpgCopyInput, reached: ReachedCluster): Promise<Decided> {
  const { site } = copy.spec.source;
  for (;;) {
    const followUp = await run.gate.followUp(['promote', 'throw-away'], reachedBody(copy.plan, reached));
    try {
      if (followUp.verb === 'throw-away') {
        const { removed } = await run.journal.step('throw away', () => quick(site, (at) => at.removeCnpgCopy(copy)));
        return { verb: 'throw-away', followUp, words: [`removed ${removed}`] };
      }
      const { words } = await run.journal.step('promote', () => quick(site, (at) => at.keepCnpgCopy(copy)));
      return { verb: 'promote', followUp, words: [...words, `its service is ${reached.service}`] };
    } catch (error) {
      if (isCancellation(error)) throw error;
      run.journal.refuse({ verb: followUp.verb, by: followUp.by, why: failureText(error), at: nowIso() });
    }
  }
}

/** For a human who decides: what was reached, and how to look. */
function reachedBody({ facts }: CnpgRecoveryPlan, { verdict, words, checks, service, psql }: ReachedCluster): string {
  const { makes } = facts;
  return [
    `### Recovered, ${verdict}`,
    '',
    ...words.map((sentence) => `- ${oneLine(sentence)}`),
    ...checks.map(({ name, outcome, detail }) => `- check ${outcome}: ${code(name)}, ${oneLine(detail)}`),
    `- Cluster ${code(makes.name)} in namespace ${code(makes.namespace)} takes writes at ${code(service)}; it archives nowhere yet. Look with`,
    '',
    '```',
    ...psql,
    '```',
    '',
    'There is no going on from here: CloudNativePG promotes at the target. For a later one throw it away and recover again.',
  ].join('\n');
}

/** In the repository; where the cluster has none, on the Cluster itself, and in what Temporal remembers of the run. */
async function record(
  run: RecoverRun,
  copy: CnpgCopyInput,
  outcome: RunRecord['outcome'],
  followUp?: FollowUp,
): Promise<void> {
  const { spec, plan } = copy;
  if (spec.repository !== null) {
    const place = { ...spec, ...spec.source, repository: spec.repository };
    await run.recordDoneAt(place, outcome, followUp === undefined ? {} : { followUp });
    return;
  }
  if (outcome === 'thrown away') {
    run.done.push('the cluster has no repository: what Temporal remembers of this run is its only record');
    return;
  }
  const text = JSON.stringify({
    workflowId: run.identity.workflowId,
    run: run.identity.short,
    requestedBy: run.argument.requestedBy ?? null,
    plan: shortDigest(cnpgRecoveryDigest(plan)),
    outcome,
    at: nowIso(),
    by: followUp?.by ?? null,
    reason: followUp?.reason ?? null,
  });
  try {
    await quick(spec.source.site, (at) => at.annotateCnpgCopy({ ...copy, record: text }));
    if (outcome === 'promoted')
      run.done.push(
        'the cluster has no repository: its record is annotation holdfast/record of the new Cluster, and what Temporal remembers of this run',
      );
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.done.push(`no record of '${outcome}' could be written: ${failureText(error)}`);
  }
}

const resultOf = (
  run: RecoverRun,
  { facts }: CnpgRecoveryPlan,
  outcome: RunRecord['outcome'],
  { service }: ReachedCluster,
): RecoverClusterResult => ({
  outcome,
  cluster: `${facts.makes.namespace}/${facts.makes.name}`,
  service,
  base: nameOf(facts.base),
  done: [...run.done],
});

async function removeQuietly(run: RecoverRun, copy: CnpgCopyInput): Promise<void> {
  const { namespace, name } = copy.plan.facts.makes;
  try {
    await run.journal.step('remove', () => quick(copy.spec.source.site, (at) => at.removeCnpgCopy(copy)));
  } catch (error) {
    run.done.push(`left behind: Cluster ${namespace}/${name}, which could not be removed: ${failureText(error)}`);
  }
}
