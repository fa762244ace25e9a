import type { DatabaseRecord, Extension } from '../../domain/manifest.ts';
import { listedAtMost, type Difference, type VerificationReport } from '../../domain/restore-report.ts';
import { quoteIdent } from '../connection.ts';

/** What is in a restored database. */
export interface FoundContents {
  readonly extensions: readonly Extension[];
  readonly tables: readonly { readonly schema: string; readonly name: string }[];
  /** By tableKey; of those that were counted. */
  readonly rows: ReadonlyMap<string, number>;
  /** Indexes that PostgreSQL does not use, because building them failed. */
  readonly invalidIndexes: readonly string[];
  /** Partitioned indexes that lack an index of some partition: they may be so in the source. */
  readonly incompleteIndexes: readonly string[];
  /** Constraints that are NOT VALID, which a dump carries over. */
  readonly unvalidatedConstraints: readonly string[];
}

export const tableKey = (schema: string, name: string) => `${quoteIdent(schema)}.${quoteIdent(name)}`;

export interface CompareOptions {
  /** What the backup doesn't have is no difference: the database wasn't empty before. */
  readonly othersMayBeThere: boolean;
}

/** Compares what was restored with the manifest's record of it. Pure. */
export function compareContents(
  record: Pick<DatabaseRecord, 'tables' | 'extensions'>,
  found: FoundContents,
  { othersMayBeThere }: CompareOptions,
): VerificationReport {
  const extra = othersMayBeThere ? [] : [...extraTables(record, found), ...extraExtensions(record, found)];
  const differences = [
    ...compareExtensions(record, found),
    ...compareTables(record, found),
    ...compareIndexes(found),
    ...extra,
  ];
  const there = new Set(found.tables.map(({ schema, name }) => tableKey(schema, name)));
  return {
    ok: differences.length === 0,
    tablesCompared: record.tables.filter(([schema, name]) => there.has(tableKey(schema, name))).length,
    rowsCompared: [...found.rows.values()].reduce((sum, rows) => sum + rows, 0),
    differences: differences.slice(0, listedAtMost),
    differenceCount: differences.length,
    errors: [],
    notes: notesOn(record, found),
  };
}

function compareTables({ tables }: Pick<DatabaseRecord, 'tables'>, found: FoundContents): Difference[] {
  const there = new Set(found.tables.map(({ schema, name }) => tableKey(schema, name)));
  return tables.flatMap(([schema, name, rows]): Difference[] => {
    const key = tableKey(schema, name);
    if (!there.has(key)) return [{ object: `table ${key}`, expected: 'a table', found: 'nothing' }];
    const counted = found.rows.get(key);
    if (rows === null || rows === counted) return [];
    const got = counted === undefined ? 'something that holds no rows of its own' : `${String(counted)} rows`;
    return [{ object: `table ${key}`, expected: `${String(rows)} rows`, found: got }];
  });
}

function extraTables({ tables }: Pick<DatabaseRecord, 'tables'>, found: FoundContents): Difference[] {
  const expected = new Set(tables.map(([schema, name]) => tableKey(schema, name)));
  return found.tables
    .map(({ schema, name }) => tableKey(schema, name))
    .filter((key) => !expected.has(key))
    .map((key) => ({ object: `table ${key}`, expected: 'nothing', found: 'a table' }));
}

function compareExtensions({ extensions }: Pick<DatabaseRecord, 'extensions'>, found: FoundContents): Difference[] {
  const byName = new Map(found.extensions.map((extension) => [extension.name, extension]));
  return extensions.flatMap(({ name, version, schema }): Difference[] => {
    const there = byName.get(name);
    if (there === undefined)
      return [
        {
          object: `extension ${name}`,
          expected: version === '' ? 'an extension' : `version ${version}`,
          found: 'nothing',
        },
      ];
    if (there.schema === schema || schema === '') return [];
    return [{ object: `extension ${name}`, expected: `in schema ${schema}`, found: `in schema ${there.schema}` }];
  });
}

/** plpgsql comes with every database. */
function extraExtensions({ extensions }: Pick<DatabaseRecord, 'extensions'>, found: FoundContents): Difference[] {
  const expected = new Set([...extensions.map(({ name }) => name), 'plpgsql']);
  return found.extensions
    .filter(({ name }) => !expected.has(name))
    .map(({ name, version }) => ({ object: `extension ${name}`, expected: 'nothing', found: `version ${version}` }));
}

const compareIndexes = ({ invalidIndexes }: FoundContents): Difference[] =>
  invalidIndexes.map((name) => ({ object: `index ${name}`, expected: 'a valid index', found: 'an invalid one' }));

function notesOn(
  { extensions, tables }: Pick<DatabaseRecord, 'tables' | 'extensions'>,
  found: FoundContents,
): string[] {
  const versions = new Map(found.extensions.map(({ name, version }) => [name, version]));
  const updated = extensions.flatMap(({ name, version }) => {
    const now = versions.get(name) ?? version;
    return now === version || version === ''
      ? []
      : [`extension ${name} was ${version} and is ${now} here: the target brings that version`];
  });
  const uncounted = tables.filter(([, , rows]) => rows === null).length;
  const many = (names: readonly string[], what: string) =>
    names.length === 0
      ? []
      : [`${what}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${String(names.length - 5)} more` : ''}`];
  return [
    ...updated,
    ...(uncounted === 0
      ? []
      : [
          `the backup has no row counts for ${String(uncounted)} of ${String(tables.length)} tables (partitioned, foreign, materialized, or not counted)`,
        ]),
    ...many(found.unvalidatedConstraints, 'constraints that are not validated, as in the source'),
    ...many(found.incompleteIndexes, 'partitioned indexes that lack a partition’s, as in the source'),
  ].slice(0, listedAtMost);
}
