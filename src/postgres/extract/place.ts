import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { readRestoreMark, type RestoreMark } from '../restore/mark.ts';

/** A database as a plan knows it. */
export interface Place {
  readonly name: string;
  readonly oid: number;
}

/** PlanChanged unless the session is in the database that is meant: another one may bear its name by now. */
export async function assertInside(session: Session, place: Place): Promise<void> {
  const [row] = await session.query<{ readonly oid: number }>(
    'SELECT oid FROM pg_database WHERE datname = current_database()',
  );
  if (row?.oid === place.oid) return;
  throw new HoldfastError(
    'PlanChanged',
    `database '${place.name}' is no longer the one with OID ${String(place.oid)}`,
    'somebody renamed or replaced it meanwhile; nothing was changed: plan again',
  );
}

export interface FoundSchema {
  readonly oid: number;
  /** undefined: no restore made it. */
  readonly mark: RestoreMark | undefined;
}

/** The schema of that name in the session's database, and who made it; undefined: the name is free. */
export async function findSchema(session: Session, name: string): Promise<FoundSchema | undefined> {
  const [row] = await session.query<{ readonly oid: number; readonly comment: string | null }>(
    `SELECT oid, obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = $1::text`,
    [name],
  );
  return row === undefined ? undefined : { oid: row.oid, mark: readRestoreMark(row.comment) };
}

export const schemaTaken = (schema: string, database: string) =>
  new HoldfastError(
    'NameTaken',
    `there is a schema '${schema}' in database '${database}' already, and this restore did not make it`,
    'choose another name for the new schema',
  );

/** InvalidArgument for names that PostgreSQL or pg_dump keep for themselves. */
export function checkSchemaName(schema: string): void {
  const reserved = schema.startsWith('pg_') || schema === 'information_schema' || schema === 'public';
  if (!reserved && schema !== '' && !schema.includes('\0') && Buffer.byteLength(schema) <= 63) return;
  throw new HoldfastError(
    'InvalidArgument',
    `'${schema}' can't be the name of the new schema`,
    "choose one of at most 63 bytes that is not 'public' or 'information_schema' and doesn't begin with 'pg_'",
  );
}
