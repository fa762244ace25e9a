import { digestOf, type Json } from '../domain/canonical.ts';
import { HoldfastError, type ErrorType } from '../domain/errors.ts';
import {
  planDigest,
  shortDigest,
  type CopyReport,
  type Obstacle,
  type RestoreFacts,
  type RestorePlan,
} from '../domain/plan.ts';
import type { RunIdentity } from '../domain/run.ts';
import { assertSameTarget, type RestoreSpec } from '../domain/specs.ts';
import type { SwapFacts, SwapInput } from '../domain/swap-report.ts';
import { readIdentity } from '../postgres/inspect.ts';
import { withSession, type Server } from '../postgres/connection.ts';
import { dropAside } from '../postgres/swap/drop-aside.ts';
import { inspectSwap } from '../postgres/swap/inspect.ts';
import { connectForMaintenance } from '../postgres/swap/maintenance.ts';
import { swapObstacles } from '../postgres/swap/obstacles.ts';
import { readPropertiesByOid } from '../postgres/swap/properties.ts';
import { swapState } from '../postgres/swap/state.ts';
import { swapDatabases, undoSwap } from '../postgres/swap/swap.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { leftoverNotes } from './leftovers.ts';
import { plannedManifest, type PlannedRestore } from './plan-restore.ts';
import type { Working } from './working.ts';

export interface PlanSwapInput {
  readonly spec: RestoreSpec;
  readonly planned: PlannedRestore;
  readonly copyOid: number;
  readonly report: CopyReport;
  readonly run: RunIdentity;
}

/** The plan of the swap alone, from what is found now: this is what a human approves. Changes nothing. */
export async function planSwap(
  deps: Dependencies,
  { spec, planned, copyOid, report }: PlanSwapInput,
): Promise<RestorePlan> {
  const server = await serverOf(deps, spec.target);
  const wanted = { ...planned.plan.facts, copyOid, report };
  const first = await lookAgain(server, wanted);
  const other = await successor(server, first.found);
  const { facts, found } =
    other === null ? first : await lookAgain(server, { ...wanted, target: { ...wanted.target, liveOid: other } });
  const state = swapState(found);
  const leftovers = await withSession(server, {}, (session) => leftoverNotes(session, found.asked.liveName, facts.run));
  return {
    facts,
    estimates: { ...planned.plan.estimates, readBytes: 0, needBytes: 0, expectedSeconds: 1, sessions: found.sessions },
    obstacles: [
      ...(state === 'foreign' ? [changed(found)] : []),
      ...(wasUndone(found) ? [undone(found)] : []),
      ...(other === null ? [] : [succeeded(first.found, other)]),
      ...swapObstacles(found).map(({ weight, what, cure }) => ({ weight, what, cure })),
      ...leftovers,
    ],
  };
}

const changed = ({ asked }: SwapFacts): Obstacle => ({
  weight: 'hopeless',
  what: `'${asked.liveName}' or its copy is not what it was: somebody renamed, closed or dropped one of them`,
  cure: 'start the restore again',
});

const undone = ({ asked }: SwapFacts): Obstacle => ({
  weight: 'hopeless',
  what: `the copy '${asked.copyName}' takes no connections: it was live and was swapped back, or somebody closed it`,
  cure: 'start the restore again',
});

/** A copy is open until it is swapped in; one that an undo put aside is closed, and no old approval brings it back. */
const wasUndone = (found: SwapFacts) => swapState(found) === 'before' && found.copy?.allowsConnections === false;

const succeeded = ({ asked }: SwapFacts, oid: number): Obstacle => ({
  weight: 'note',
  what: `'${asked.liveName}' is another database (OID ${String(oid)}) than when this restore began (OID ${String(asked.liveOid)}): it was swapped or made anew meanwhile`,
  cure: 'see to it that this restore is still wanted',
});

/** The database that bears the live name now, if the one that was planned with bears it no more. */
async function successor(server: Server, { asked, live, copy }: SwapFacts): Promise<number | null> {
  if (live?.name === asked.liveName || copy?.name !== asked.copyName) return null;
  const [row] = await withSession(server, {}, (session) =>
    session.query<{ readonly oid: number }>('SELECT oid FROM pg_database WHERE datname = $1::text', [asked.liveName]),
  );
  return row?.oid ?? null;
}

/** Everything in a plan's facts that lies on the server, read anew. */
async function lookAgain(
  server: Server,
  facts: RestoreFacts,
): Promise<{ readonly facts: RestoreFacts; readonly found: SwapFacts }> {
  const target = swapTarget(facts);
  const session = await connectForMaintenance(
    server,
    [target.liveName, target.copyName, target.oldName],
    'holdfast plan',
  );
  try {
    const found = await inspectSwap(session, target);
    const { systemIdentifier, timeline, versionNum } = await readIdentity(session);
    const { properties } = facts;
    const fresh =
      properties?.from === 'live' && found.live !== null
        ? {
            from: 'live' as const,
            digest: digestOf((await readPropertiesByOid(session, target.liveOid)) as unknown as Json),
          }
        : properties;
    return {
      facts: { ...facts, target: { ...facts.target, systemIdentifier, timeline, versionNum }, properties: fresh },
      found,
    };
  } finally {
    await session.close();
  }
}

function swapTarget({ target, copyName, copyOid, oldName }: RestoreFacts) {
  if (
    target.database === null ||
    target.liveOid === null ||
    copyName === null ||
    copyOid === null ||
    oldName === null
  ) {
    throw new HoldfastError(
      'Unexpected',
      'a plan without a live database and a copy has nothing to swap',
      'report this as a bug',
    );
  }
  return { liveName: target.database, liveOid: target.liveOid, copyName, copyOid, oldName };
}

export interface SwapActivityInput {
  readonly spec: RestoreSpec;
  readonly planned: PlannedRestore;
  /** The plan that was approved. */
  readonly plan: RestorePlan;
  readonly run: RunIdentity;
}

export interface Swapped {
  /** How long clients were refused, in milliseconds; null where an earlier attempt did it. */
  readonly downtimeMs: number | null;
  readonly sessionsEnded: number;
  readonly notes: readonly string[];
}

/**
 * Reads everything that was approved once more, and exchanges the databases only if it still has the approved digest.
 * An exchange that an earlier attempt began is finished. PlanChanged, ConfigurationChanged, or what swapDatabases
 * throws; the old state holds then.
 */
export async function swap(
  deps: Dependencies,
  input: SwapActivityInput,
  { signal, report }: Working,
): Promise<Swapped> {
  const { spec, plan } = input;
  assertSameTarget(await deps.config(), spec.target);
  const server = await serverOf(deps, spec.target);
  const { facts, found } = await lookAgain(server, plan.facts);
  const state = swapState(found);
  if (state === 'before' || state === 'foreign') {
    const [approved, now] = [planDigest(plan), planDigest({ ...plan, facts })];
    if (approved !== now) {
      throw new HoldfastError(
        'PlanChanged',
        `the target is not what plan ${shortDigest(approved)} was approved for: it would be ${shortDigest(now)} now`,
        'read the new plan and decide again',
      );
    }
    if (wasUndone(found)) {
      throw new HoldfastError('PlanChanged', undone(found).what, 'nothing was exchanged; start the restore again');
    }
  }
  const { downtimeMs, sessionsEnded, notes } = await swapDatabases(server, await swapInput(deps, input), {
    signal,
    onStep: (step) => {
      report({ doing: step });
    },
    failpoint: (name) => deps.failpoint(`swap:${name.replaceAll(' ', '-')}`),
  });
  return { downtimeMs, sessionsEnded, notes };
}

async function swapInput(
  deps: Dependencies,
  { planned, plan }: Pick<SwapActivityInput, 'planned' | 'plan'>,
): Promise<SwapInput> {
  const target = swapTarget(plan.facts);
  const { systemIdentifier } = plan.facts.target;
  if (plan.facts.properties?.from !== 'backup') return { ...target, systemIdentifier, properties: 'live' };
  const manifest = await plannedManifest(deps, planned);
  const record = manifest.databases.find(({ name }) => name === target.liveName);
  if (!record?.properties) {
    throw new HoldfastError(
      'Unexpected',
      `backup ${manifest.id} doesn't hold the properties of '${target.liveName}'`,
      'restore with "properties":"live"',
    );
  }
  return { ...target, systemIdentifier, properties: record.properties };
}

/** Swaps the old database back. Done twice is done once. */
export async function undo(
  deps: Dependencies,
  input: SwapActivityInput,
  { signal, report }: Working,
): Promise<Swapped> {
  assertSameTarget(await deps.config(), input.spec.target);
  const server = await serverOf(deps, input.spec.target);
  const { downtimeMs, sessionsEnded, notes } = await undoSwap(server, await swapInput(deps, input), {
    signal,
    onStep: (step) => {
      report({ doing: step });
    },
    failpoint: (name) => deps.failpoint(`undo:${name.replaceAll(' ', '-')}`),
  });
  return { downtimeMs, sessionsEnded, notes };
}

export interface SettleInput extends SwapActivityInput {
  readonly operation: 'swap' | 'undo';
}

/**
 * Sees to what a swap or an undo left that was cut short and is not to be gone on with: the old state is brought back,
 * unless the names are exchanged already; then the new one is opened. Done twice is done once.
 */
export async function settleSwap(
  deps: Dependencies,
  { operation, ...input }: SettleInput,
): Promise<{ readonly exchanged: boolean }> {
  const server = await serverOf(deps, input.spec.target);
  const exchange = operation === 'swap' ? swapDatabases : undoSwap;
  const goNoFurther = new Error('go no further');
  try {
    await exchange(server, await swapInput(deps, input), { signal: AbortSignal.abort(goNoFurther) });
    return { exchanged: true };
  } catch (error) {
    const settled = error === goNoFurther || (error instanceof HoldfastError && settledTypes.has(error.type));
    if (!settled) throw error;
    return { exchanged: false };
  }
}

/** What swapDatabases says with the old state in place. */
const settledTypes: ReadonlySet<ErrorType> = new Set(['PlanChanged', 'SwapFailed']);

export interface ReleaseInput extends SwapActivityInput {
  /** The swap was undone: what lies aside is the restored database. */
  readonly undone: boolean;
}

/** Drops the database that a swap put aside, for good. The live one is never dropped. */
export async function release(
  deps: Dependencies,
  { spec, plan, undone }: ReleaseInput,
  { signal }: Working,
): Promise<{ readonly dropped: boolean }> {
  assertSameTarget(await deps.config(), spec.target);
  const server = await serverOf(deps, spec.target);
  const { liveName, liveOid, copyName, copyOid, oldName } = swapTarget(plan.facts);
  const { systemIdentifier } = plan.facts.target;
  const aside = undone
    ? { asideName: copyName, asideOid: copyOid, liveName, liveOid }
    : { asideName: oldName, asideOid: liveOid, liveName, liveOid: copyOid };
  const { dropped } = await dropAside(server, { ...aside, systemIdentifier }, { signal });
  return { dropped };
}
