import type { Obstacle } from '../domain/plan.ts';
import { quoteIdent, type Session } from '../postgres/connection.ts';

const beside = /^(?<base>.*)_(?<role>new|old)_(?<run>[0-9a-f]{8})$/s;

/**
 * Databases that other restores of the same name made or put aside, as notes for a plan. A run that was terminated
 * leaves its copy behind, and nothing else would ever name it; whether the run still lives can't be seen from here.
 */
export async function leftoverNotes(session: Session, name: string, run: string): Promise<Obstacle[]> {
  const rows = await session.query<{ readonly name: string }>(
    `SELECT datname::text AS name FROM pg_database WHERE datname ~ '_(new|old)_[0-9a-f]{8}$' ORDER BY datname`,
  );
  return rows.flatMap((row) => {
    const found = beside.exec(row.name)?.groups;
    // A long name is cut to make room for its ending.
    const isOfName =
      found?.['base'] === name || (byteLength(row.name) > 59 && name.startsWith(found?.['base'] ?? name));
    if (!found || found['run'] === run || !isOfName) return [];
    const what = found['role'] === 'new' ? 'the copy' : 'what a swap put aside';
    return [
      {
        weight: 'note' as const,
        what: `database '${row.name}' is ${what} of another restore (run ${found['run'] ?? ''})`,
        cure: `if that run is gone and nobody needs it: DROP DATABASE ${quoteIdent(row.name)}`,
      },
    ];
  });
}

const byteLength = (text: string) => new TextEncoder().encode(text).length;
