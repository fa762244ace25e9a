import type { Difference } from '../../domain/restore-report.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { compareProperties, isEffect } from '../swap/differences.ts';
import { propertyStatements, readPropertiesByOid } from '../swap/properties.ts';
import type { Copy } from './beside.ts';
import { readRestoreMark, restoreMark, type Verified } from './mark.ts';
import { judgeStatement } from './said.ts';

export interface Given {
  /** What a person should know: settings that this version doesn't have, statements that were refused. */
  readonly notes: readonly string[];
}

export interface Gift {
  readonly properties: DatabaseProperties;
  /** Leaves a mark in the comment; null: leaves none. */
  readonly mark: { readonly run: string; readonly verified: Verified | null } | null;
}

/**
 * Gives a database these properties within the transaction that the session is in, each statement for itself: what the
 * target refuses doesn't cost the others, and shows when they are compared.
 */
export async function giveProperties(
  session: Session,
  { name, oid }: Copy,
  { properties, mark }: Gift,
): Promise<Given> {
  const { known, notes } = await withoutUnknown(session, properties);
  const comment = mark === null ? known.comment : restoreMark({ ...mark, state: 'done', comment: known.comment });
  const current = await readPropertiesByOid(session, oid);
  for (const statement of propertyStatements(name, current, { ...known, comment })) {
    await session.query('SAVEPOINT property');
    try {
      await session.query(statement);
    } catch (error) {
      const judged = judgeStatement(error, statement.slice(0, 120), null);
      if (judged === undefined) throw error;
      notes.push(judged.finding.message);
      await session.query('ROLLBACK TO SAVEPOINT property');
    }
    await session.query('RELEASE SAVEPOINT property');
  }
  return { notes };
}

/** What a database has otherwise than it should, its mark and what its version can't have left aside. */
export async function checkProperties(
  session: Session,
  { name, oid }: Copy,
  properties: DatabaseProperties,
): Promise<Difference[]> {
  const { known } = await withoutUnknown(session, properties);
  const found = await readPropertiesByOid(session, oid);
  const mark = readRestoreMark(found.comment);
  const comment = mark === undefined ? found.comment : mark.comment;
  return compareProperties(known, { ...found, comment })
    .filter(isEffect)
    .map((difference) => ({
      object: `${difference.property} of database ${name}`,
      expected: difference.expected ?? 'none',
      found: difference.found ?? 'none',
    }));
}

/** Settings of PostgreSQL's own that were dropped since, or came later; those of extensions have a dot and stay. */
async function withoutUnknown(
  session: Session,
  properties: DatabaseProperties,
): Promise<{ readonly known: DatabaseProperties; readonly notes: string[] }> {
  const plain = properties.settings.map(({ name }) => name.toLowerCase()).filter((name) => !name.includes('.'));
  const rows = await session.query<{ readonly name: string }>(
    `SELECT asked AS name FROM unnest($1::text[]) AS asked
      WHERE NOT EXISTS (SELECT FROM pg_settings s WHERE lower(s.name) = asked)`,
    [plain],
  );
  const unknown = new Set(rows.map(({ name }) => name));
  const notes = [...unknown].map((name) => `setting ${name} is not known to this version of PostgreSQL, and left out`);
  const settings = properties.settings.filter(({ name }) => !unknown.has(name.toLowerCase()));
  return { known: { ...properties, settings }, notes };
}
