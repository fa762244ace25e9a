import type { Finding, GlobalsReport } from '../../domain/restore-report.ts';
import { listed } from '../../domain/restore-report.ts';
import type { Session } from '../connection.ts';
import type { GlobalsAction, GlobalsTarget } from './globals-plan.ts';
import { judgeStatement } from './said.ts';

export { planGlobals, planRoles, type GlobalsAction, type GlobalsTarget } from './globals-plan.ts';

/** What globals would be applied to; read-only. */
export async function readGlobalsTarget(session: Session): Promise<GlobalsTarget> {
  const [row] = await session.query<Omit<GlobalsTarget, 'versionNum'>>(
    `SELECT (SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles) AS roles,
        (SELECT coalesce(json_agg(spcname), '[]') FROM pg_tablespace) AS tablespaces,
        pg_get_userbyid(10)::text AS "bootstrapRole", current_user::text AS "user"`,
  );
  if (row === undefined) throw new TypeError('the server answered a query for one row with none');
  return { ...row, versionNum: session.versionNum };
}

interface Lists {
  readonly created: Set<string>;
  readonly altered: Set<string>;
  readonly kept: Set<string>;
  readonly tablespaces: Set<string>;
  readonly errors: Finding[];
  readonly notes: string[];
}

/**
 * Carries the plan out, one statement after the other; one that fails is recorded and the next is tried, so that a
 * role that can't be made doesn't cost the others. Done twice is done once: plan anew, what is there is altered.
 * Rejects where nothing more can work: the connection, the disk, the signal.
 */
export async function applyGlobals(
  session: Session,
  actions: readonly GlobalsAction[],
  target: GlobalsTarget,
  signal?: AbortSignal,
): Promise<GlobalsReport> {
  const lists: Lists = {
    created: new Set(),
    altered: new Set(),
    kept: new Set(),
    tablespaces: new Set(),
    errors: [],
    notes: [],
  };
  let standardStrings = true;
  try {
    for (const action of actions) {
      signal?.throwIfAborted();
      if (action.sql !== null && action.standardStrings !== standardStrings) {
        standardStrings = action.standardStrings;
        await session.query(`SET standard_conforming_strings = ${standardStrings ? 'on' : 'off'}`);
      }
      await carryOut(session, action, target, lists);
    }
  } finally {
    if (!standardStrings) await session.query('SET standard_conforming_strings = on').catch(() => undefined);
  }
  return report(lists);
}

async function carryOut(session: Session, action: GlobalsAction, target: GlobalsTarget, lists: Lists): Promise<void> {
  const { sql, verb, subject, why, lost, line } = action;
  if (why !== null && sql === null && verb !== 'create role') lists.notes.push(`${named(action)}: ${why}`);
  if (lost) {
    lists.errors.push({
      kind: 'unsupported',
      weight: 'error',
      line,
      sqlState: null,
      message: `${subject}: ${why ?? ''}`,
    });
  }
  if (sql === null) {
    if (verb === 'alter role') lists.kept.add(subject);
    return;
  }
  if (why !== null) lists.notes.push(`${named(action)}: ${why}`);
  try {
    await session.query(sql);
  } catch (error) {
    const judged = judgeStatement(error, named(action), line === 0 ? null : line);
    if (judged === undefined) throw error;
    const { finding } = judged;
    // Somebody else was quicker: what comes after alters it.
    const isThere = verb === 'create role' && finding.kind === 'already exists';
    if (isThere || finding.weight === 'note') lists.notes.push(finding.message);
    else lists.errors.push(finding);
    return;
  }
  if (verb === 'create role') lists.created.add(subject);
  else if (verb === 'create tablespace') lists.tablespaces.add(subject);
  else if (verb === 'alter role' && target.roles.includes(subject)) lists.altered.add(subject);
}

const named = ({ verb, subject }: GlobalsAction) => (verb === 'other' ? subject : `${verb} ${subject}`);

function report({ created, altered, kept, tablespaces, errors, notes }: Lists): GlobalsReport {
  return {
    created: listed([...created]),
    altered: listed([...altered]),
    kept: listed([...kept]),
    tablespacesCreated: listed([...tablespaces]),
    errors: listed(errors),
    notes: listed([...new Set(notes)]),
  };
}
