import { selects, type Selection } from '../../domain/dump-survey.ts';

/** A line of `pg_restore -l`. */
export interface ListedEntry {
  readonly id: number;
  /** Kind, schema ('-' for none), name and owner, as pg_restore prints them: names may hold spaces, so only by order. */
  readonly text: string;
}

/** Comments, empty lines and the head are left out. Pure. */
export function parseList(list: string): ListedEntry[] {
  return list.split('\n').flatMap((line) => {
    const found = /^(\d+); \d+ \d+ (.*)$/.exec(line);
    return found === null ? [] : [{ id: Number(found[1]), text: found[2] ?? '' }];
  });
}

/**
 * What would fail or do harm where other tables are empty or missing, or reach beyond the database: foreign keys,
 * triggers, subscriptions, contents of views and large objects.
 */
const leftOut = [
  'FK CONSTRAINT',
  'TRIGGER',
  'EVENT TRIGGER',
  'PUBLICATION',
  'PUBLICATION TABLE',
  'PUBLICATION TABLES IN SCHEMA',
  'SUBSCRIPTION',
  'SUBSCRIPTION TABLE',
  'MATERIALIZED VIEW DATA',
  'BLOB',
  'BLOBS',
  'BLOB COMMENTS',
  'BLOB METADATA',
  'LARGE OBJECT',
  'LARGE OBJECTS',
];

/** What is said about one of these; a constraint may be a foreign key. */
const aboutLeftOut =
  /^(?:(?:COMMENT|SECURITY LABEL) .*\b(?:TRIGGER|CONSTRAINT|PUBLICATION|SUBSCRIPTION) |(?:COMMENT|SECURITY LABEL|ACL) - LARGE OBJECTS? )/;

/**
 * The entries that bring a database with all its definitions and the rows of the selected tables only, in the list's
 * order. Where names with spaces leave it open which table is meant, its rows stay. Pure.
 */
export const chooseEntries = (entries: readonly ListedEntry[], selection: Selection): ListedEntry[] =>
  entries.filter(({ text }) => {
    if (leftOut.some((kind) => text.startsWith(`${kind} `)) || aboutLeftOut.test(text)) return false;
    return !text.startsWith(tableData) || mayBeSelected(text.slice(tableData.length), selection);
  });

const tableData = 'TABLE DATA ';

/** pg_restore prints line breaks as spaces. */
const printed = (name: string) => name.replace(/[\r\n]/g, ' ');

const mayBeSelected = (text: string, { schemas, tables }: Selection) =>
  schemas.some((schema) => text.startsWith(`${printed(schema)} `)) ||
  tables.some(([schema, table]) => text.startsWith(`${printed(schema)} ${printed(table)} `));

/** For `pg_restore -L`. */
export const renderList = (entries: readonly ListedEntry[]) =>
  entries.map(({ id, text }) => `${String(id)}; ${text.replace(/[^\x20-\x7e]/g, '?')}\n`).join('');

const identifier = String.raw`("(?:[^"]|"")+"|[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*)`;
const attached = new RegExp(
  `^ALTER TABLE ONLY ${identifier}\\.${identifier} ATTACH PARTITION ${identifier}\\.${identifier} `,
  'gm',
);
const unquoted = (word = '') => (word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word);

/**
 * The selection with the partitions of what it selects, of which the definitions tell: the rows of a partitioned table
 * are theirs. Pure.
 * @param definitions what pg_restore prints of the section pre-data
 */
export function withPartitions(selection: Selection, definitions: string): Selection {
  const pairs = [...definitions.matchAll(attached)].map(([, schema, table, ofSchema, partition]) => ({
    of: [unquoted(schema), unquoted(table)] as const,
    partition: [unquoted(ofSchema), unquoted(partition)] as const,
  }));
  const tables = [...selection.tables];
  for (let grown = true; grown;) {
    grown = false;
    for (const { of, partition } of pairs) {
      const all = { schemas: selection.schemas, tables };
      if (!selects(all, ...of) || selects(all, ...partition)) continue;
      tables.push(partition);
      grown = true;
    }
  }
  return { schemas: selection.schemas, tables };
}
