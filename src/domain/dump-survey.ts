import type { Allowance, DatabaseRecord, PartFormat, RoleRecord } from './manifest.ts';

/** What is found in a dump that Holdfast didn't make, by reading all of it. */

export interface DumpFinding {
  /** never: it can't be allowed. */
  readonly needs: Exclude<Allowance, 'flawed-tools'> | 'never';
  /** A phrase such as "COPY … FROM PROGRAM". */
  readonly what: string;
  /** Line of the unpacked file, from 1. */
  readonly line: number;
  /** null: in the globals. */
  readonly database: string | null;
}

export interface SurveyedPart {
  readonly name: 'globals' | 'properties' | 'content' | 'footer';
  readonly database?: string;
  /** Of the unpacked bytes. */
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

/** What the dump itself tells of a database; the rest of a DatabaseRecord can't be known. */
export type SurveyedDatabase = Pick<
  DatabaseRecord,
  | 'name'
  | 'owner'
  | 'encoding'
  | 'collate'
  | 'ctype'
  | 'localeProvider'
  | 'locale'
  | 'icuRules'
  | 'tablespace'
  | 'connectionLimit'
  | 'isTemplate'
  | 'properties'
  | 'extensions'
  | 'tables'
  | 'roles'
  | 'tablespaces'
>;

export interface DumpSurvey {
  readonly format: PartFormat;
  /** pg_dumpall's whole server, or pg_dump's one database. */
  readonly of: 'cluster' | 'database';
  /** "15.18", from the dump's own head; null where it doesn't tell. */
  readonly serverVersion: string | null;
  readonly dumpVersion: string | null;
  /** null: it ends as a whole dump does. Else why not. */
  readonly incomplete: string | null;
  /** Of the unpacked bytes; of the stored ones for archives, which unpack themselves. */
  readonly plain: { readonly length: number; readonly sha256: string };
  /** In the file's order; for an archive one content part. */
  readonly parts: readonly SurveyedPart[];
  readonly databases: readonly SurveyedDatabase[];
  readonly roles: readonly RoleRecord[];
  readonly tablespaces: readonly { readonly name: string; readonly location: string }[];
  /** The role whose CREATE ROLE a restore leaves out; 'postgres' where the dump doesn't tell. */
  readonly bootstrapRole: string;
  /** The first hundred, in the order of their lines. */
  readonly findings: readonly DumpFinding[];
  readonly findingCount: number;
  /** What couldn't be told from the dump, a sentence each. */
  readonly notes: readonly string[];
}

/** What of a database is to be restored: these tables and schemas with their rows, and every definition. */
export interface Selection {
  readonly schemas: readonly string[];
  /** [schema, table] */
  readonly tables: readonly (readonly [schema: string, table: string])[];
}

export const describeDumpFinding = ({ what, line, database }: DumpFinding) =>
  `${what} in line ${String(line)}${database === null ? '' : `, database '${database}'`}`;

export const selects = (selection: Selection, schema: string, table: string) =>
  selection.schemas.includes(schema) ||
  selection.tables.some(([inSchema, name]) => inSchema === schema && name === table);
