import { CancellationScope } from '@temporalio/workflow';
import type { CnpgCopyInput, Drilled, JudgeCnpgDrillInput } from '../activities/index.ts';
import type { DrillCnpgSpec } from '../domain/cnpg-drill-spec.ts';
import { refuseHopelessCnpgRecovery } from '../domain/cnpg-recovery-plan.ts';
import { code, oneLine } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import { movingBytes, persist, quick, watching } from './activities.ts';
import { nowIso, type Journal } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';

/**
 * plan → create → recover → checks → evidence → remove: a policy's newest backup, and all WAL after it, by CloudNativePG
 * into a Cluster that nobody keeps.
 */
export async function drillCnpg(
  spec: DrillCnpgSpec,
  run: RunIdentity,
  journal: Journal,
  noteOf: (drilled: Drilled) => string,
): Promise<Drilled> {
  const { site, cluster } = spec.source;
  const startedAt = nowIso();
  const { backup, planned } = await journal.step(
    'plan',
    () => quick(site, (at) => at.planCnpgDrill({ spec, run })),
    (found) => found.backup,
  );
  const judge = (outcome: JudgeCnpgDrillInput['outcome']) =>
    journal.step(
      'drill',
      () =>
        persist(site, (attempt) =>
          movingBytes(site).judgeCnpgDrill({ spec, run, backup, outcome, startedAt, attempt }),
        ),
      noteOf,
    );
  if ('flaw' in planned) return judge(planned);
  refuseHopelessCnpgRecovery(planned.plan);
  const copy: CnpgCopyInput = { spec: spec.recovery, plan: planned.plan, run };
  const { namespace, name } = planned.plan.facts.makes;
  // A prune of volume snapshots leaves the one alone that is read.
  return withLease(leaseInput(cluster, 'source', run, backup), async () => {
    try {
      const askedAt = nowIso();
      await journal.step(
        'create',
        () => quick(site, (at) => at.createCnpgCopy(copy)),
        () => `Cluster ${code(`${namespace}/${name}`)}`,
      );
      const watched = await journal.step('recover', () =>
        watching(site).watchCnpgDrill({ ...copy, startedAt: askedAt }),
      );
      const seconds = (Date.parse(nowIso()) - Date.parse(askedAt)) / 1000;
      return await judge('flaw' in watched ? watched : { copy, log: watched.log, seconds });
    } finally {
      await CancellationScope.nonCancellable(() => remove(journal, copy));
    }
  });
}

/** What came of the drill is worth more than what is left, which the next one removes. */
async function remove(journal: Journal, copy: CnpgCopyInput): Promise<void> {
  const { site } = copy.spec.source;
  try {
    await journal.step(
      'remove',
      () => quick(site, (at) => at.removeCnpgCopy(copy)),
      ({ removed }) => oneLine(removed),
    );
  } catch {
    // The step says why.
  }
}
