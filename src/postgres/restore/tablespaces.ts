import type { Manifest } from '../../domain/manifest.ts';
import type { TablespaceFacts } from '../../domain/restore-report.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';

/** Whether the backup's tablespaces are there, or could be made where they were. Read-only. */
export async function readTablespaceFacts(
  session: Session,
  tablespaces: Manifest['tablespaces'],
): Promise<TablespaceFacts[]> {
  const found: TablespaceFacts[] = [];
  for (const { name, location } of tablespaces) {
    found.push({ name, location, state: await stateOf(session, name, location) });
  }
  return found;
}

async function stateOf(session: Session, name: string, location: string): Promise<TablespaceFacts['state']> {
  const [existing] = await session.query('SELECT FROM pg_tablespace WHERE spcname = $1::text', [name]);
  if (existing !== undefined) return 'exists';
  try {
    const [row] = await session.query<{ readonly isdir: boolean | null }>(
      'SELECT (pg_stat_file($1::text, true)).isdir AS isdir',
      [location],
    );
    if (row?.isdir !== true) return 'directory is missing';
    // A tablespace's directory holds one directory per major and catalog version.
    const [used] = await session.query(
      `SELECT FROM pg_ls_dir($1::text) AS entry
        WHERE entry LIKE 'PG_' || (current_setting('server_version_num')::int / 10000)::text || '\\_%'`,
      [location],
    );
    return used === undefined ? 'directory is there' : 'directory is in use';
  } catch (error) {
    if (sqlState(error) === undefined) throw error;
    return 'unknown';
  }
}
