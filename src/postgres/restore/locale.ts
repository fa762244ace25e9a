import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { providerObstacle, type LocaleRecord } from './create-database.ts';

/**
 * Why the target can't make a database with this encoding and locale, as far as can be told without making one; null:
 * nothing found. Read-only: lc_monetary takes exactly the names that the server's C library knows, and is set for one
 * transaction.
 */
export async function localeObstacle(session: Session, record: LocaleRecord): Promise<string | null> {
  const provider = providerObstacle(record, session.versionNum);
  if (provider !== null) return provider;
  if (record.encoding !== '' && !(await isServerEncoding(session, record.encoding)))
    return `the target does not know the encoding ${record.encoding}`;
  for (const name of new Set([record.collate, record.ctype])) {
    if (name !== '' && !(await knowsLocale(session, name))) return `the target's system has no locale '${name}'`;
  }
  if (record.localeProvider !== 'icu') return null;
  const [row] = await session.query(`SELECT FROM pg_collation WHERE collprovider = 'i' LIMIT 1`);
  return row === undefined ? 'the target was built without ICU' : null;
}

async function isServerEncoding(session: Session, encoding: string): Promise<boolean> {
  const [row] = await session.query<{ readonly id: number }>('SELECT pg_char_to_encoding($1::name) AS id', [encoding]);
  // PG_ENCODING_BE_LAST: those beyond it exist in clients only.
  return row !== undefined && row.id >= 0 && row.id <= 34;
}

async function knowsLocale(session: Session, name: string): Promise<boolean> {
  try {
    await session.query(`SELECT set_config('lc_monetary', $1, true)`, [name]);
    return true;
  } catch (error) {
    if (sqlState(error) === '22023' || messageOf(error).includes('lc_monetary')) return false;
    throw error;
  }
}
