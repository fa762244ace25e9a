import { HoldfastError } from '../../domain/errors.ts';
import { connect, quoteIdent, quoteLiteral, withSession, type Server, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { assertNames, inTransaction } from '../swap/transaction.ts';
import { createDatabaseStatement, type LocaleRecord } from './create-database.ts';
import { systemDatabases } from './occupants.ts';
import { isOurs, markLimit, restoreMark, type Verified } from './mark.ts';

export interface CopyOrder {
  /** Short id of the run; what it made is its own, and nobody else's. */
  readonly run: string;
  /** Of the copy: free, or held by an earlier attempt of this run. */
  readonly name: string;
  readonly record: LocaleRecord;
  /** null: the role that restores. */
  readonly owner: string | null;
  /** null: the cluster's default. */
  readonly tablespace: string | null;
}

export interface Copy {
  readonly name: string;
  readonly oid: number;
}

interface Found {
  readonly oid: number;
  readonly comment: string | null;
  readonly connectionLimit: number;
  readonly allowsConnections: boolean;
}

/**
 * Makes an empty database beside the live one: from template0, with the recorded encoding and locale, marked as this
 * run's, without the right to connect for PUBLIC. What an earlier attempt of this run left under the name is dropped
 * first. Touches no other database.
 *
 * Fails with NameTaken where the name is somebody else's, InvalidArgument, PostgresRefused, PostgresUnavailable.
 * @param session in any database but the copy
 */
export async function createCopy(server: Server, session: Session, order: CopyOrder): Promise<Copy> {
  const { name, run } = order;
  await dropCopy(server, session, { name, run });
  const connectionLimit = markLimit(run);
  await session.query(createDatabaseStatement({ ...order, connectionLimit }, session.versionNum));
  await inTransaction(session, async () => {
    await session.query(
      `COMMENT ON DATABASE ${quoteIdent(name)} IS ${quoteLiteral(restoreMark({ run, state: 'making' }))}`,
    );
    await session.query(`REVOKE CONNECT ON DATABASE ${quoteIdent(name)} FROM PUBLIC`);
    await session.query(`ALTER DATABASE ${quoteIdent(name)} ALLOW_CONNECTIONS true`);
  });
  const found = await findDatabase(session, name);
  if (found === undefined || !isOurs(found, run)) throw taken(name);
  return { name, oid: found.oid };
}

/**
 * Drops what this run made under the name, whoever is connected to it. Returns false where there is nothing.
 * NameTaken where a database bears the name that this run did not make: that is never touched.
 * @param options.oid only this one: a worker that hung must not drop what its successor has made meanwhile
 */
export async function dropCopy(
  server: Server,
  session: Session,
  { name, run, oid }: { readonly name: string; readonly run: string; readonly oid?: number },
): Promise<boolean> {
  const found = await findDatabase(session, name);
  if (found === undefined || (oid !== undefined && found.oid !== oid)) return false;
  if (systemDatabases.includes(name) || !isOurs(found, run)) throw taken(name);
  await forgetSubscriptions(server, session, name, found);
  await session.query(`DROP DATABASE IF EXISTS ${quoteIdent(name)} WITH (FORCE)`);
  return true;
}

export interface LoadedMark {
  readonly name: string;
  readonly run: string;
  /** null: not compared yet. */
  readonly verified?: Verified | null;
}

/**
 * Marks a copy as whole: whoever finds it from here on need not load it again.
 * @param mark.oid the copy's; PlanChanged where the name means another database now
 */
export async function markLoaded(session: Session, mark: LoadedMark & { readonly oid?: number }): Promise<void> {
  await inTransaction(session, async () => {
    await session.query(markLoadedStatement(mark));
    if (mark.oid !== undefined) await assertNames(session, new Map([[mark.oid, mark.name]]));
  });
}

/** The same as a statement, for the transaction that loads the contents. */
export const markLoadedStatement = ({ name, run, verified = null }: LoadedMark) =>
  `COMMENT ON DATABASE ${quoteIdent(name)} IS ${quoteLiteral(restoreMark({ run, state: 'loaded', verified }))}`;

async function findDatabase(session: Session, name: string): Promise<Found | undefined> {
  const [found] = await session.query<Found>(
    `SELECT oid, shobj_description(oid, 'pg_database') AS comment, datconnlimit AS "connectionLimit",
        datallowconn AS "allowsConnections"
       FROM pg_database WHERE datname = $1::text`,
    [name],
  );
  return found;
}

/**
 * A dump makes its subscriptions again, switched off but with the name of the live one's slot. A database with a
 * subscription can't be dropped, and a plain DROP SUBSCRIPTION would drop that slot at the publisher.
 */
async function forgetSubscriptions(server: Server, session: Session, database: string, found: Found): Promise<void> {
  const subscriptions = await session.query<{ readonly name: string }>(
    'SELECT subname::text AS name FROM pg_subscription WHERE subdbid = $1::oid',
    [found.oid],
  );
  if (subscriptions.length === 0) return;
  if (!found.allowsConnections) await session.query(`ALTER DATABASE ${quoteIdent(database)} ALLOW_CONNECTIONS true`);
  await withSession(server, { database, applicationName: 'holdfast clean-up' }, async (inside) => {
    for (const { name } of subscriptions) {
      const subscription = quoteIdent(name);
      await inside.query(`ALTER SUBSCRIPTION ${subscription} DISABLE`);
      await inside.query(`ALTER SUBSCRIPTION ${subscription} SET (slot_name = NONE)`);
      await inside.query(`DROP SUBSCRIPTION ${subscription}`);
    }
  });
}

/** No such database; it takes no connections; we may not connect; pg_hba.conf has no line for it. */
const triesNext: readonly string[] = ['3D000', '55000', '42501', '28000'];

/**
 * A session for making, renaming and dropping databases: in the maintenance database, or in another one that initdb
 * made where that is itself to be replaced.
 * @param avoid names of databases that are to be renamed or dropped
 */
export async function connectBeside(
  server: Server,
  avoid: readonly string[],
  options: { readonly applicationName: string; readonly signal?: AbortSignal },
): Promise<Session> {
  const candidates = [...new Set([server.database, 'postgres', 'template1'])].filter((name) => !avoid.includes(name));
  let refused: unknown;
  for (const database of candidates) {
    try {
      return await connect(server, { ...options, database });
    } catch (error) {
      if (!triesNext.includes(sqlState(error) ?? '')) throw error;
      refused ??= error;
    }
  }
  throw new HoldfastError(
    'PostgresRefused',
    `no database is left to work from: ${candidates.map((name) => `'${name}'`).join(', ')} can't be connected to`,
    'give the cluster a maintenance database of its own (member database of the server)',
    { cause: refused },
  );
}

const taken = (name: string) =>
  new HoldfastError(
    'NameTaken',
    `there is a database '${name}' already, and this restore did not make it`,
    'look at its comment and contents; rename or drop it if nobody needs it, or restore under another name',
  );
