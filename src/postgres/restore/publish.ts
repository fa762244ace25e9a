import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { besideName } from '../../domain/ids.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import { quoteIdent, quoteLiteral, type Server, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { assertNames, inTransaction } from '../swap/transaction.ts';
import { connectBeside, type Copy } from './beside.ts';
import { readRestoreMark, restoreMark, type Verified } from './mark.ts';
import { whatItHolds } from './occupants.ts';
import { giveProperties } from './properties.ts';

export interface PublishOrder {
  readonly run: string;
  readonly copy: Copy;
  /** Free, or borne by an empty database where `adopt` says so. */
  readonly finalName: string;
  /** What it has from the moment on at which it bears the name. */
  readonly properties: DatabaseProperties;
  /** An empty database of the final name makes room: it is put aside, looked into once more, and dropped. */
  readonly adopt: boolean;
  /** Leaves a mark in the comment until `finishCluster` takes it away; null: leaves none. */
  readonly mark: { readonly run: string; readonly verified: Verified | null } | null;
  readonly signal: AbortSignal;
}

export interface Published {
  /** false: an earlier attempt had done it. */
  readonly done: boolean;
  readonly notes: readonly string[];
}

const tries = 4;

/** The name under which an empty database waits to be dropped. */
export const asideName = (name: string, run: string) => besideName(name, 'old', run);

/**
 * Gives a finished copy its properties and its final name, in one transaction: nobody ever finds it under that name
 * without them. Whoever is connected to the copy, or to the empty database that makes room, is disconnected. Done
 * twice is done once: what already bears the name is recognised by its OID.
 *
 * A property that the target refuses is a note and doesn't stop the others; `checkProperties` tells what is missing.
 * Rejects with NameTaken, TargetNotEmpty, PlanChanged (the copy is gone or renamed), Busy, or as queries do; then
 * nothing has changed.
 * @param session in neither of the databases
 */
export async function publishCopy(server: Server, session: Session, order: PublishOrder): Promise<Published> {
  const { run, copy, finalName, signal } = order;
  const aside = asideName(finalName, run);
  if ((await nameOf(session, copy)) === finalName) {
    return { done: false, notes: await dropAside(server, session, aside, run) };
  }
  const holder = await holderOf(server, session, order);
  const oids = [copy.oid, ...(holder === undefined ? [] : [holder])];
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const given = await disconnecting(server, { avoid: [copy.name, finalName, aside], oids, run }, () =>
        inTransaction(session, async () => {
          await rename(session, order, holder, aside);
          const notes = await giveProperties(session, { name: finalName, oid: copy.oid }, order);
          await session.query(`ALTER DATABASE ${quoteIdent(finalName)} ALLOW_CONNECTIONS true`);
          return notes;
        }),
      );
      return { done: true, notes: [...given.notes, ...(await dropAside(server, session, aside, run))] };
    } catch (error) {
      // Somebody was connected for longer than PostgreSQL waits.
      if (sqlState(error) !== '55006' || attempt === tries) throw error;
    }
  }
}

/** The copy's name now; PlanChanged where it is neither the copy's nor the final one. */
async function nameOf(session: Session, { oid, name }: Copy): Promise<string> {
  const [row] = await session.query<{ readonly name: string }>(
    'SELECT datname::text AS name FROM pg_database WHERE oid = $1',
    [oid],
  );
  if (row !== undefined) return row.name;
  throw new HoldfastError(
    'PlanChanged',
    `the copy '${name}' (OID ${String(oid)}) is gone`,
    'somebody dropped it: start the restore again',
  );
}

/** The OID of the empty database that makes room; undefined: the name is free. */
async function holderOf(
  server: Server,
  session: Session,
  { finalName, adopt }: PublishOrder,
): Promise<number | undefined> {
  const [row] = await session.query<{ readonly oid: number; readonly open: boolean }>(
    'SELECT oid, datallowconn AND datconnlimit <> -2 AS open FROM pg_database WHERE datname = $1::text',
    [finalName],
  );
  if (row === undefined) return undefined;
  if (!adopt) {
    throw new HoldfastError(
      'NameTaken',
      `there is a database '${finalName}' already`,
      'drop or rename it, or restore under another name',
    );
  }
  const holds = await whatItHolds(server, finalName, row.open);
  if (holds === null) return row.oid;
  throw new HoldfastError(
    'TargetNotEmpty',
    `database '${finalName}' is not empty: it holds ${holds}`,
    'move what it holds away, or restore this database alone',
  );
}

async function rename(session: Session, order: PublishOrder, holder: number | undefined, aside: string): Promise<void> {
  const { copy, finalName, run } = order;
  const names = new Map([[copy.oid, finalName]]);
  if (holder !== undefined) {
    await session.query(`ALTER DATABASE ${quoteIdent(finalName)} RENAME TO ${quoteIdent(aside)}`);
    await session.query(
      `COMMENT ON DATABASE ${quoteIdent(aside)} IS ${quoteLiteral(restoreMark({ run, state: 'aside' }))}`,
    );
    names.set(holder, aside);
  }
  await session.query(`ALTER DATABASE ${quoteIdent(copy.name)} RENAME TO ${quoteIdent(finalName)}`);
  await assertNames(session, names);
}

/** Drops the empty database that made room, unless somebody has put something into it at the last moment. */
export async function dropAside(server: Server, session: Session, name: string, run: string): Promise<string[]> {
  const [row] = await session.query<{ readonly comment: string | null; readonly open: boolean }>(
    `SELECT shobj_description(oid, 'pg_database') AS comment, datallowconn AND datconnlimit <> -2 AS open
       FROM pg_database WHERE datname = $1::text`,
    [name],
  );
  const mark = readRestoreMark(row?.comment ?? null);
  if (row === undefined || mark?.run !== run || mark.state !== 'aside') return [];
  const holds = await whatItHolds(server, name, row.open);
  if (holds !== null) return [`'${name}' was empty when the restore began, and is kept: it holds ${holds} now`];
  await session.query(`DROP DATABASE IF EXISTS ${quoteIdent(name)} WITH (FORCE)`);
  return [];
}

const pauseMs = 50;

/**
 * Ends sessions in these databases for as long as `work` takes. A rename holds back new ones while it waits for those
 * that are there to go, so that clients that keep coming again don't keep it from happening, and nothing has to be
 * closed for it that would stay closed after a crash.
 */
async function disconnecting<T>(
  server: Server,
  { avoid, oids, run }: { readonly avoid: readonly string[]; readonly oids: readonly number[]; readonly run: string },
  work: () => Promise<T>,
): Promise<T> {
  const other = await connectBeside(server, avoid, { applicationName: `holdfast restore ${run}` });
  const over = new AbortController();
  const ending = (async () => {
    while (!over.signal.aborted) {
      await other.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid = ANY($1::oid[]) AND pid <> pg_backend_pid()',
        [oids],
      );
      await sleep(pauseMs);
    }
  })();
  // A rename that meets a session then says so itself.
  ending.catch(() => undefined);
  try {
    return await work();
  } finally {
    over.abort();
    await ending.catch(() => undefined);
    await other.close();
  }
}
