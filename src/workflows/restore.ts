import { CancellationScope, allHandlersFinished, condition, isCancellation } from '@temporalio/workflow';
import type { LoadedCopy, PlannedRestore } from '../activities/index.ts';
import { parseArgument, restoreArgument } from '../domain/arguments.ts';
import { code, formatCount, formatSeconds } from '../domain/format.ts';
import {
  isUnvouched,
  needsApproval,
  planDigest,
  shortDigest,
  type CopyReport,
  type RestorePlan,
} from '../domain/plan.ts';
import type { RestoreSpec } from '../domain/specs.ts';
import { control, movingBytes, persist, quick } from './activities.ts';
import { fail } from './failures.ts';
import { leaseInput, withLease } from './leasing.ts';
import { RestoreRun, type RestoreResult } from './restore-run.ts';
import { followUps, swapIn } from './restore-swap.ts';

/**
 * plan → restore beside → verify → approval → swap, and later `release` or `undo`.
 * `{"cluster":"jigga","backup":"latest","database":"gatus"}`
 *
 * Nothing of the live database changes before the swap. The run stays open after it, until a human releases the
 * database that was put aside.
 */
export async function restore(input: unknown): Promise<RestoreResult> {
  try {
    const argument = parseArgument('restore', restoreArgument, input);
    const result = await restoreBy(new RestoreRun(argument));
    await condition(allHandlersFinished);
    return result;
  } catch (error) {
    throw fail(error);
  }
}

async function restoreBy(run: RestoreRun): Promise<RestoreResult> {
  const { argument, journal } = run;
  const spec = await journal.step('resolve', () => control.resolveRestore({ argument }));
  const surveyed = argument.foreign === true ? await survey(run, spec) : undefined;
  const planned = await journal.step(
    'plan',
    () => quick(spec.target.site, (at) => at.planRestore({ spec, run: run.identity, surveyed })),
    ({ plan }) => `${shortDigest(planDigest(plan))}, from backup ${plan.facts.source.backup}`,
  );
  run.showPlan(planned.plan);
  try {
    run.refuseHopeless(planned.plan);
    return await byKind(run, spec, planned);
  } catch (error) {
    if (!isCancellation(error)) await run.recordFailure(spec, planned, error);
    throw error;
  }
}

function byKind(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
  switch (planned.plan.facts.kind) {
    case 'cluster':
      return wholeCluster(run, spec, planned);
    case 'swap':
    case 'create':
    case 'schema':
      return oneDatabase(run, spec, planned);
  }
}

/** Reads a dump that nobody vouches for, before anything of it is run. Answers nothing where the catalog has it. */
async function survey(run: RestoreRun, spec: RestoreSpec) {
  const { site } = spec.target;
  const found = await run.journal.step(
    'survey',
    () => persist(site, (attempt) => movingBytes(site).surveyForRestore({ spec, run: run.identity, attempt })),
    (dump) => (dump === null ? 'it is in the catalog' : dump.note),
  );
  return found?.surveyed;
}

async function wholeCluster(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
  const { plan } = planned;
  const { site } = spec.target;
  const report = await withLease(sourceLease(run, planned), async () => {
    if (needsApproval(plan) || spec.approval.gate === 'start') await run.approval(spec, plan);
    return withLease(leaseInput(spec.target.cluster, 'change', run.identity), () => fillCluster(run, spec, planned));
  });
  run.report = report;
  await run.journal.step('finish', () => quick(site, (at) => at.finishCluster({ spec, planned, run: run.identity })));
  run.refuseDifferences(report);
  run.done.push(`restored the whole of backup ${plan.facts.source.backup} into cluster ${spec.target.cluster}`);
  await run.recordDone(spec, planned, 'restored');
  return run.result('restored', planned);
}

/** What is half made when it fails is dropped; databases that are whole already stay. */
async function fillCluster(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore): Promise<CopyReport> {
  const { site } = spec.target;
  const input = { spec, planned, run: run.identity };
  try {
    return await run.journal.step(
      'restore',
      () => persist(site, () => movingBytes(site).restoreCluster(input)),
      reportNote,
    );
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      try {
        await run.journal.step('drop what is half made', () => quick(site, (at) => at.abandonCluster(input)));
      } catch {
        run.done.push(`left behind: half-made databases of run ${run.identity.short}, which could not be dropped`);
      }
    });
    throw error;
  }
}

async function oneDatabase(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore): Promise<RestoreResult> {
  const { plan } = planned;
  const { kind } = plan.facts;
  const approvedAtStart = spec.approval.gate === 'start' && kind === 'swap';
  let swapped: RestorePlan | undefined;
  try {
    const { copy, report } = await withLease(sourceLease(run, planned), async () => {
      if (approvedAtStart || isUnvouched(plan)) await run.approval(spec, plan);
      return makeCopy(run, spec, planned);
    });
    run.report = report;
    run.refuseDifferences(report);
    if (kind === 'create') await nameCopy(run, spec, planned, copy.oid);
    else if (kind === 'schema') await putIntoSchema(run, spec, planned, copy.oid);
    else swapped = await swapIn(run, spec, planned, copy.oid, report, approvedAtStart);
  } catch (error) {
    await CancellationScope.nonCancellable(() => dropCopy(run, spec, planned));
    throw error;
  }
  await run.recordDone(spec, planned, swapped === undefined ? 'created' : 'swapped');
  return swapped === undefined ? run.result('created', planned) : followUps(run, spec, planned, swapped);
}

async function makeCopy(
  run: RestoreRun,
  spec: RestoreSpec,
  planned: PlannedRestore,
): Promise<{ copy: LoadedCopy; report: CopyReport }> {
  const { site } = spec.target;
  const input = { spec, planned, run: run.identity };
  const copy = await run.journal.step(
    'restore beside',
    () => persist(site, () => movingBytes(site).loadCopy(input)),
    ({ seconds }) => `${code(planned.plan.facts.copyName ?? '')} in ${formatSeconds(seconds)}`,
  );
  const report = await run.journal.step(
    'verify',
    () => persist(site, () => movingBytes(site).verifyCopy(input)),
    reportNote,
  );
  return { copy, report };
}

async function nameCopy(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore, oid: number): Promise<void> {
  const created = await run.journal.step('name', () =>
    quick(spec.target.site, (at) => at.nameCopy({ spec, planned, oid, run: run.identity })),
  );
  run.done.push(
    `created database ${created.database} from backup ${planned.plan.facts.source.backup}`,
    ...(created.notes ?? []),
  );
}

/** Beside backups and other restores, but not beside a swap of the live database: so its lease is a backup's. */
async function putIntoSchema(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore, oid: number): Promise<void> {
  const { site, cluster } = spec.target;
  const { schema = '', target, source } = planned.plan.facts;
  const moved = await withLease(leaseInput(cluster, 'backup', run.identity), () =>
    orTakenBack(run, spec, planned, () =>
      run.journal.step(
        'put into the schema',
        () => persist(site, () => movingBytes(site).moveIntoSchema({ spec, planned, oid, run: run.identity })),
        ({ tables, rows }) => `${formatCount(tables, 'table')}, ${formatCount(rows, 'row')}`,
      ),
    ),
  );
  run.done.push(
    `created schema ${schema} in database ${target.database ?? ''} from backup ${source.backup}: ${formatCount(moved.tables, 'table')}, ${formatCount(moved.rows, 'row')}`,
    ...moved.notes,
  );
  await dropCopy(run, spec, planned);
}

/** A schema that was made and found wanting goes again, also when the run is cancelled. */
async function orTakenBack<T>(
  run: RestoreRun,
  spec: RestoreSpec,
  planned: PlannedRestore,
  move: () => Promise<T>,
): Promise<T> {
  try {
    return await move();
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      try {
        await run.journal.step('drop the schema', () =>
          quick(spec.target.site, (at) => at.dropExtracted({ spec, planned, run: run.identity })),
        );
      } catch {
        run.done.push(
          `left behind: schema ${planned.plan.facts.schema ?? ''}, if it was made; it could not be dropped`,
        );
      }
    });
    throw error;
  }
}

/** Keeps the backup from being pruned while it is read. */
const sourceLease = (run: RestoreRun, planned: PlannedRestore) =>
  leaseInput(run.argument.cluster, 'source', run.identity, planned.plan.facts.source.backup);

/** One that can't be dropped now is named, so that a human can. */
async function dropCopy(run: RestoreRun, spec: RestoreSpec, planned: PlannedRestore): Promise<void> {
  try {
    await run.journal.step('drop the copy', () =>
      quick(spec.target.site, (at) => at.dropCopy({ spec, planned, run: run.identity })),
    );
  } catch {
    run.done.push(`left behind: database ${planned.plan.facts.copyName ?? ''}, which could not be dropped`);
  }
}

const reportNote = ({ ok, tables, rows, differences }: CopyReport) =>
  `${ok ? 'equal' : `${String(differences.length)} DIFFERENCES`}, ${formatCount(tables, 'table')}, ${formatCount(rows, 'row')}`;
