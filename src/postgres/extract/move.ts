import { randomBytes } from 'node:crypto';
import type { Selection } from '../../domain/dump-survey.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/restore-report.ts';
import {
  quoteIdent,
  quoteLiteral,
  withSession,
  withToolEnvironment,
  type Server,
  type Session,
} from '../connection.ts';
import { assertSameServer, beginSnapshot } from '../dump/snapshot.ts';
import { endBackends } from '../restore/leftovers.ts';
import { load } from '../restore/load.ts';
import { restoreMark } from '../restore/mark.ts';
import type { Tools } from '../tools.ts';
import { compareSchemas, readSchemaContents, type SchemaContents } from './contents.ts';
import { startSchemaDump } from './dump-schema.ts';
import { assertInside, checkSchemaName, findSchema, schemaTaken, type Place } from './place.ts';
import { prepareSchema } from './prepare.ts';

export interface ExtractOrder {
  readonly server: Server;
  /** Of the server's own major version. */
  readonly tools: Tools;
  /** The restored and verified database that nobody else uses: it is rearranged. */
  readonly copy: Place;
  readonly live: Place;
  /** The new schema: free in the live database, or made by an earlier attempt of this run. */
  readonly schema: string;
  readonly selection: Selection;
  /** Short id of the run; what it made is its own. */
  readonly run: string;
  readonly systemIdentifier: string;
  readonly signal: AbortSignal;
  /** Bytes of SQL that have gone into the live database so far. */
  readonly onProgress?: (bytes: number) => void;
  /** For tests: called between two steps, may fail. */
  readonly failpoint?: (name: ExtractFailpoint) => Promise<void>;
}

/** In their order. */
export const extractFailpoints = ['prepared', 'loading', 'loaded', 'analyzed'] as const;
export type ExtractFailpoint = (typeof extractFailpoints)[number];

export interface ExtractReport {
  readonly tables: number;
  readonly rows: number;
  /** What was left out, or refers to the live database's own; a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Puts the chosen tables and schemas of a copy into a new schema of the live database: definitions, rows, indexes,
 * owners, privileges, comments, policies. All of it in one transaction, with the mark that says whose it is, so that
 * after a failure, a kill or a cut the live database is as it was. Nothing else in it is changed. Then counts every row
 * on both sides. Done twice is done once: what an earlier attempt of this run has committed is recognised by its mark.
 *
 * Left out: foreign keys to what wasn't chosen, triggers, rules, and views of other schemas; what the tables need from
 * elsewhere (types, functions, sequences) is the live database's.
 *
 * Rejects with NameTaken, InvalidArgument (a name that can't be, or two tables of one name), PlanChanged (a database of
 * another OID), PostgresRefused (another server), RestoreFailed (the live database lacks what the tables need, or
 * counts differ), PostgresUnavailable, ToolFailed, or the signal's reason. No process, session or lock is left then.
 */
export async function moveIntoSchema(order: ExtractOrder): Promise<ExtractReport> {
  const { server, copy, live, schema, run, signal } = order;
  checkSchemaName(schema);
  const options = { applicationName: `holdfast extract ${run}`, signal };
  const inCopy = { ...options, database: copy.name };
  const inLive = { ...options, database: live.name };
  const before = await withSession(server, inLive, async (session) => {
    await assertSameServer(session, order.systemIdentifier);
    return inspectLive(session, order);
  });
  const prepared = await withSession(server, inCopy, (session) => prepareSchema(session, order));
  await order.failpoint?.('prepared');
  const expected = await withSession(server, inCopy, async (session) => {
    const snapshot = await beginSnapshot(session, order.systemIdentifier);
    await assertInside(session, copy);
    const counting = readSchemaContents(session, schema);
    counting.catch(() => undefined);
    if (before === 'free') {
      await order.failpoint?.('loading');
      await loadSchema(order, snapshot.id, prepared.comment);
    }
    return counting;
  });
  await order.failpoint?.('loaded');
  const found = await withSession(server, inLive, async (session) => {
    await assertInside(session, live);
    await analyze(session, schema);
    await order.failpoint?.('analyzed');
    await session.query('BEGIN TRANSACTION READ ONLY');
    return readSchemaContents(session, schema);
  });
  return { ...totals(found), notes: [...prepared.notes, ...compareSchemas(expected, found, schema)] };
}

/** Whether the schema is still to be made. NameTaken where somebody else has made it. */
async function inspectLive(session: Session, { live, schema, run }: ExtractOrder): Promise<'free' | 'ours'> {
  await assertInside(session, live);
  const found = await findSchema(session, schema);
  if (found === undefined) return 'free';
  if (found.mark?.run === run) return 'ours';
  throw schemaTaken(schema, live.name);
}

async function loadSchema(order: ExtractOrder, snapshot: string, comment: string | null): Promise<void> {
  const { server, tools, copy, live, schema, run, signal, onProgress } = order;
  const mark = restoreMark({ run, state: 'loaded', comment });
  const from = { database: copy.name, applicationName: `holdfast extract ${run} ${randomBytes(4).toString('hex')}` };
  try {
    await withToolEnvironment(server, from, async (env) => {
      const dump = startSchemaDump({ server, tools, env, schema, snapshot, signal });
      try {
        await load({
          server,
          tools,
          database: live.name,
          oid: live.oid,
          stored: dump.stdout,
          compressor: undefined,
          dumpVersion: tools.version,
          inOneTransaction: `COMMENT ON SCHEMA ${quoteIdent(schema)} IS ${quoteLiteral(mark)}`,
          signal,
          ...(onProgress === undefined ? {} : { onProgress }),
        });
      } catch (error) {
        await dump.kill();
        await endBackends(server, from.applicationName);
        throw error;
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    const state = await stateAfter(order);
    // The commit went through and its answer was lost, or an attempt that was thought dead came first.
    if (state === 'ours') return;
    if (state === 'taken' && saysTaken(error)) throw schemaTaken(schema, live.name);
    throw error;
  }
}

const saysTaken = (error: unknown) =>
  error instanceof HoldfastError && ['42P06', '23505'].includes(findingOf(error)?.sqlState ?? '');

const findingOf = (error: HoldfastError) => ('finding' in error ? (error.finding as Finding) : undefined);

/** What lies under the name now; unknown: the server can't be asked, and what failed before is the cause. */
async function stateAfter({ server, live, schema, run }: ExtractOrder): Promise<'free' | 'ours' | 'taken' | 'unknown'> {
  try {
    const options = { database: live.name, applicationName: `holdfast extract ${run}` };
    const found = await withSession(server, options, async (session) => {
      await assertInside(session, live);
      return findSchema(session, schema);
    });
    return found === undefined ? 'free' : found.mark?.run === run ? 'ours' : 'taken';
  } catch {
    return 'unknown';
  }
}

/** Without the planner's statistics, which a dump doesn't carry, the first queries would be slow. */
async function analyze(session: Session, schema: string): Promise<void> {
  const tables = await session.query<{ readonly identity: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS identity
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1::text AND c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition ORDER BY 1`,
    [schema],
  );
  for (const { identity } of tables) await session.query(`ANALYZE ${identity}`);
}

const totals = ({ tables }: SchemaContents) => ({
  tables: tables.length,
  rows: tables.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
});
