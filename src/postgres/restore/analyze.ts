import { withSession, type Server } from '../connection.ts';
import { tableKey } from './compare.ts';
import { abreast } from './abreast.ts';

export interface AnalyzeInput {
  readonly server: Server;
  readonly database: string;
  /** How many sessions work at once. */
  readonly sessions: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: { readonly tablesDone: number; readonly tablesTotal: number }) => void;
}

/**
 * Gathers the planner's statistics, which a dump doesn't carry: without them the first hours after a restore are slow.
 * Partitioned tables too, which autovacuum never looks at.
 */
export async function analyzeDatabase(input: AnalyzeInput): Promise<void> {
  const { server, database, sessions, signal } = input;
  const options = { database, applicationName: 'holdfast analyze', signal };
  // ANALYZE of a partitioned table goes on to its partitions by itself.
  const tables = await withSession(server, options, (session) =>
    session.query<{ readonly schema: string; readonly name: string }>(
      `SELECT n.nspname::text AS schema, c.relname::text AS name
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_(toast|temp)' AND n.nspname <> 'information_schema'
        ORDER BY pg_relation_size(c.oid) DESC`,
    ),
  );
  let tablesDone = 0;
  await abreast(server, tables, { ...options, sessions }, async (session, { schema, name }) => {
    await session.query(`ANALYZE ${tableKey(schema, name)}`);
    tablesDone += 1;
    input.onProgress?.({ tablesDone, tablesTotal: tables.length });
  });
}
