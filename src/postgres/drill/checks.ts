import type { DrillCheck } from '../../domain/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { DrillCheckResult } from '../../domain/evidence.ts';
import { oneLine } from '../../domain/format.ts';
import { withSession, type Server, type Session } from '../connection.ts';

/** One that takes longer has failed: a drill shall end. */
const timeoutMs = 10 * 60_000;

export const failed = (name: string, detail: string): DrillCheckResult => ({ name, outcome: 'failed', detail });
export const passed = (name: string, detail: string): DrillCheckResult => ({ name, outcome: 'passed', detail });

/**
 * Asks a copy the configured questions, one after the other, each in a read-only transaction of its own. Whatever goes
 * wrong with a question is its result; rejects only with the signal's reason.
 */
export async function runChecks(
  server: Server,
  checks: readonly DrillCheck[],
  signal: AbortSignal,
): Promise<DrillCheckResult[]> {
  const results: DrillCheckResult[] = [];
  for (const check of checks) {
    const name = checkName(check);
    try {
      const answer = await ask(server, check, signal);
      results.push(judgeAnswer(name, answer, check.expect));
    } catch (error) {
      signal.throwIfAborted();
      results.push(failed(name, oneLine(wordsOf(error)).slice(0, 500)));
    }
  }
  return results;
}

/** `gatus: SELECT count(*) FROM results`, on one line, cut. */
export function checkName({ database, sql }: Pick<DrillCheck, 'database' | 'sql'>): string {
  const text = oneLine(`${database}: ${sql.trim().replaceAll(/\s+/g, ' ')}`);
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}

/** What a query answered: at most two rows of it, the first column as text. */
export type Answer = readonly { readonly value: string | null; readonly columns: number }[];

/** Exactly one row of one column, whose text is exactly what was expected. Pure. */
export function judgeAnswer(name: string, answer: Answer, expect: string): DrillCheckResult {
  const [row, another] = answer;
  const wanted = `expected ${shown(expect)}`;
  if (row === undefined) return failed(name, `answered no row, ${wanted}`);
  if (another !== undefined) return failed(name, `answered more than one row, ${wanted}`);
  if (row.columns !== 1) return failed(name, `answered ${String(row.columns)} columns, ${wanted}`);
  if (row.value === null) return failed(name, `answered NULL, ${wanted}`);
  return row.value === expect
    ? passed(name, `answered ${shown(expect)}`)
    : failed(name, `answered ${shown(row.value)}, ${wanted}`);
}

const shown = (text: string) => `'${oneLine(text.length <= 200 ? text : `${text.slice(0, 199)}…`)}'`;

async function ask(server: Server, { database, sql }: DrillCheck, signal: AbortSignal): Promise<Answer> {
  return withSession(server, { database, applicationName: 'holdfast drill', signal }, async (session) => {
    await session.query('BEGIN READ ONLY');
    const path = await usualSearchPath(session);
    await session.query(
      `SELECT set_config('search_path', $1, true), set_config('statement_timeout', $2, true),
         set_config('lock_timeout', $2, true)`,
      [path, String(timeoutMs)],
    );
    // The closing parenthesis on a line of its own: the query may end in a comment.
    const answer = await session.query<Answer[number]>(
      `SELECT q.v::pg_catalog.text AS value,
         (SELECT pg_catalog.count(*)::pg_catalog.int4
            FROM pg_catalog.json_object_keys(pg_catalog.row_to_json(q))) AS columns
       FROM (\n${sql.trim().replace(/(\s*;)+$/, '')}\n) AS q(v) LIMIT 2`,
    );
    await session.query('ROLLBACK');
    return answer;
  });
}

/** What names are looked up by for whoever connects: a session of ours has pg_catalog only. */
async function usualSearchPath(session: Session): Promise<string> {
  const [row] = await session.query<{ readonly path: string }>(
    `SELECT substr(setting, 13) AS path
       FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting
      WHERE setting LIKE 'search_path=%'
        AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
      ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC, s.setdatabase <> 0 DESC LIMIT 1`,
  );
  return row?.path ?? '"$user", public';
}

/** PostgreSQL's own words where there are some. */
const wordsOf = (error: unknown) =>
  messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
