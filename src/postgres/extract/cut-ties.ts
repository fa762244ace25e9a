import { quoteIdent, type Session } from '../connection.ts';
import { several } from './references.ts';

interface Tie {
  /** Quoted and qualified. */
  readonly table: string;
  readonly name: string;
  readonly isPartition?: boolean;
}

/**
 * Cuts what ties these relations to others of their database: inheritance from a parent that isn't among them, foreign
 * keys to tables that aren't, and triggers and rules, which would act on live tables. Returns what was cut, for people.
 */
export async function cutTies(session: Session, relations: readonly number[]): Promise<string[]> {
  const parents = await session.query<Tie>(
    `SELECT i.inhrelid::regclass::text AS table, i.inhparent::regclass::text AS name, c.relispartition AS "isPartition"
       FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE c.relkind IN ('r', 'p', 'f') AND i.inhrelid = ANY($1::oid[]) AND NOT i.inhparent = ANY($1::oid[])
      ORDER BY 1, 2`,
    [relations],
  );
  for (const { table, name, isPartition } of parents) {
    await session.query(
      isPartition === true
        ? `ALTER TABLE ${name} DETACH PARTITION ${table}`
        : `ALTER TABLE ${table} NO INHERIT ${name}`,
    );
  }
  // After the parents: what a partition had from one went with it.
  const foreignKeys = await session.query<Tie>(
    `SELECT conrelid::regclass::text AS table, conname::text AS name FROM pg_constraint
      WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY($1::oid[]) AND NOT confrelid = ANY($1::oid[])
      ORDER BY 1, 2`,
    [relations],
  );
  for (const { table, name } of foreignKeys) {
    await session.query(`ALTER TABLE ${table} DROP CONSTRAINT ${quoteIdent(name)}`);
  }
  const triggers = await session.query<Tie>(
    `SELECT tgrelid::regclass::text AS table, tgname::text AS name FROM pg_trigger
      WHERE NOT tgisinternal AND tgparentid = 0 AND tgrelid = ANY($1::oid[]) ORDER BY 1, 2`,
    [relations],
  );
  for (const { table, name } of triggers) await session.query(`DROP TRIGGER ${quoteIdent(name)} ON ${table}`);
  const rules = await session.query<Tie>(
    `SELECT ev_class::regclass::text AS table, rulename::text AS name FROM pg_rewrite
      WHERE rulename <> '_RETURN' AND ev_class = ANY($1::oid[]) ORDER BY 1, 2`,
    [relations],
  );
  for (const { table, name } of rules) await session.query(`DROP RULE ${quoteIdent(name)} ON ${table}`);
  const cut = (ties: readonly Tie[]) => ties.map(({ table, name }) => `${quoteIdent(name)} of ${table}`);
  return [
    ...several(
      'tables that are no longer partition or child of a table that was not chosen',
      parents.map(({ table, name }) => `${table} of ${name}`),
    ),
    ...several('foreign keys to tables that were not chosen are left out', cut(foreignKeys)),
    ...several('triggers are left out', cut(triggers)),
    ...several('rules are left out', cut(rules)),
  ];
}
