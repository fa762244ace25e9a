import { HoldfastError } from '../../domain/errors.ts';
import type { AsideTarget, DropResult, SwapDatabaseFacts, SwapFacts } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { quoteIdent } from '../quote.ts';
import type { Server } from '../server.ts';
import { inspectSwap } from './inspect.ts';
import { openDesk } from './maintenance.ts';
import { endSessions, pauseFor, whoIsInTheWay } from './sessions.ts';
import { boundWaits, mayPass } from './steps.ts';
import { assertNames, inTransaction } from './transaction.ts';

export interface DropOptions {
  /** Heeded until the DROP itself has begun. */
  readonly signal: AbortSignal;
  /** How long its sessions and locks are waited for; default 30 s. */
  readonly maxWaitMs?: number;
}

/**
 * Drops the database that a swap (or its undo) put aside: the one of that OID, if it still has that name, and only
 * while the live one is there, so that the last copy of somebody's data never goes. What is gone already is a success,
 * and so is a second call after a crash; a database that only has the same name is never touched.
 *
 * PlanChanged where names and OIDs aren't as planned; SwapFailed where something keeps it (prepared transactions, a
 * subscription, a slot in use); Busy, PostgresUnavailable and PostgresRefused as for the swap.
 */
export async function dropAside(server: Server, target: AsideTarget, options: DropOptions): Promise<DropResult> {
  const { asideName, asideOid, liveName, liveOid } = target;
  if (asideOid === liveOid || asideName === liveName) {
    throw new HoldfastError(
      'InvalidArgument',
      `'${asideName}' (OID ${String(asideOid)}) is the live database itself`,
      'give the database that was put aside',
    );
  }
  const desk = await openDesk(
    server,
    { operation: 'drop', oids: [asideOid, liveOid], names: [asideName, liveName] },
    { takeOver: true },
  );
  try {
    // The one to go is in the place of the live one: its slots, subscriptions and workers are what counts.
    const asked = { liveName: asideName, liveOid: asideOid, copyName: liveName, copyOid: liveOid, oldName: asideName };
    const facts = await inspectSwap(desk.session, asked);
    const aside = judgeDrop(facts, target);
    if (aside === null) return { dropped: false, notes: [] };
    options.signal.throwIfAborted();
    await drop(desk.session, aside, facts.user.superuser, options);
    return { dropped: true, notes: slotNotes(facts) };
  } finally {
    await desk.close();
  }
}

/** The database to drop; null: it is gone; throws where it must stay. */
function judgeDrop(facts: SwapFacts, target: AsideTarget): SwapDatabaseFacts | null {
  const { asideName, asideOid, liveName, liveOid, systemIdentifier } = target;
  const refuse = (type: 'PlanChanged' | 'SwapFailed', why: string, hint: string) =>
    new HoldfastError(type, `can't drop '${asideName}' (OID ${String(asideOid)}): ${why}`, hint);
  if (systemIdentifier !== undefined && systemIdentifier !== facts.systemIdentifier) {
    throw refuse(
      'PlanChanged',
      `this is another cluster, with system identifier ${facts.systemIdentifier}`,
      'check where host and port lead now',
    );
  }
  const { live: aside, copy: live } = facts;
  if (aside === null) return null;
  if (aside.name !== asideName) {
    throw refuse(
      'PlanChanged',
      `it is named '${aside.name}' now`,
      'somebody uses it under that name; drop it by hand if it may go',
    );
  }
  if (live?.name !== liveName || live.invalid) {
    throw refuse(
      'PlanChanged',
      `'${liveName}' (OID ${String(liveOid)}) isn't there any more, so this may be the last copy of its data`,
      'look at what happened to it; drop this one by hand if it may go',
    );
  }
  if (facts.preparedTransactionCount > 0) {
    const gids = facts.preparedTransactions.map(({ gid }) => `'${gid}'`).join(', ');
    throw refuse(
      'SwapFailed',
      `prepared transactions: ${gids}`,
      'COMMIT PREPARED or ROLLBACK PREPARED in it first: open it with ALTER DATABASE … ALLOW_CONNECTIONS true',
    );
  }
  if (facts.subscriptionCount > 0) {
    const names = facts.subscriptions.map(({ name }) => `'${name}'`).join(', ');
    throw refuse(
      'SwapFailed',
      `it holds subscriptions: ${names}`,
      'open it with ALTER DATABASE … ALLOW_CONNECTIONS true, drop the subscriptions in it, and release again',
    );
  }
  const active = facts.slots.filter((slot) => slot.active).map(({ name }) => `'${name}'`);
  if (active.length > 0) {
    throw refuse(
      'SwapFailed',
      `logical slots are in use: ${active.join(', ')}`,
      'stop their consumers, and release again',
    );
  }
  return aside;
}

const slotNotes = ({ slotCount, slots }: SwapFacts) =>
  slotCount === 0
    ? []
    : [`dropped with it: ${String(slotCount)} logical slots (${slots.map(({ name }) => `'${name}'`).join(', ')})`];

const defaultMaxWaitMs = 30_000;

async function drop(
  session: Session,
  aside: SwapDatabaseFacts,
  superuser: boolean,
  options: DropOptions,
): Promise<void> {
  const name = quoteIdent(aside.name);
  const { signal, maxWaitMs = defaultMaxWaitMs } = options;
  const until = performance.now() + maxWaitMs;
  const left = () => until - performance.now();
  // A drop that was cut short leaves a database to which nothing but DROP applies.
  if (!aside.invalid) {
    await inTransaction(session, async () => {
      await boundWaits(session);
      await session.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      if (aside.isTemplate) await session.query(`ALTER DATABASE ${name} IS_TEMPLATE false`);
      await assertNames(session, new Map([[aside.oid, aside.name]]));
    });
  }
  for (;;) {
    await endSessions(session, [aside.oid], { signal, left, superuser, ended: new Set() });
    await assertNames(session, new Map([[aside.oid, aside.name]]));
    try {
      // Without FORCE: a database that somebody uses isn't the one that was closed above.
      await session.query(`DROP DATABASE ${name}`);
      return;
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (left() <= 0) throw await notDropped(session, aside, error);
      await pauseFor(100, signal);
    }
  }
}

async function notDropped(session: Session, { name, oid }: SwapDatabaseFacts, error: unknown): Promise<HoldfastError> {
  const who = await whoIsInTheWay(session, [oid]);
  return new HoldfastError(
    'SwapFailed',
    `can't drop '${name}'${who === '' ? '' : `: ${who}`}`,
    'end what the text names, and release again',
    { cause: error },
  );
}
