import type { DatabaseProperties } from '../../domain/swap-report.ts';
import type { DatabaseEntry } from '../inspect.ts';
import { connectLine, quoteIdent, quoteLiteral } from '../quote.ts';
import { propertyStatements } from '../swap/property-statements.ts';

/** Where in the file, and from what, properties are written. */
export interface PropertiesPlace {
  /** Of the server they come from. */
  readonly versionNum: number;
  /** The database that psql is in when it comes to them has another encoding than UTF-8. */
  readonly afterForeignEncoding: boolean;
}

/** Worth a warning where U+FFFD stands in what renderProperties returns. */
export const notUtf8 = 'its properties hold text that is not valid UTF-8';

/** These are made by initdb: they are there already, wherever the file is restored. */
const madeByInitdb = ['template1', 'postgres'];

/**
 * The properties member of a database, as a psql script: makes the database (template1 and postgres are there
 * already), gives it what it had, and ends inside it, with its settings in force. pg_dump --create writes the same,
 * but with a process for each database, and not at all for a name that holds a line break.
 */
export function renderProperties(
  database: DatabaseEntry,
  properties: DatabaseProperties,
  place: PropertiesPlace,
): string {
  const { name } = database;
  const enter = connectLine(name);
  const create = madeByInitdb.includes(name) ? [] : [createDatabase(database, place.versionNum)];
  const owner = `ALTER DATABASE ${quoteIdent(name)} OWNER TO ${quoteIdent(properties.owner)}`;
  // Inside the database, as pg_dump does it: a comment is kept in the encoding of the database it is written from.
  const later = propertyStatements(name, asCreated(properties), properties).map(outsideTransaction);
  return [
    `--\n-- Database "${name.replace(/[\r\n]/g, ' ')}" dump\n--\n\n`,
    // So is a database's name.
    place.afterForeignEncoding ? connectLine('template1') : '',
    preamble,
    script([...create, owner]),
    later.length === 0 ? '' : `${enter}${preamble}${script(later)}`,
    enter,
    // This one of its settings would keep the contents out.
    script(['SET default_transaction_read_only = off']),
  ].join('');
}

const script = (statements: readonly string[]) => `${statements.map((statement) => `${statement};\n`).join('')}\n`;

const preamble = script(["SET client_encoding = 'UTF8'", 'SET standard_conforming_strings = on']);

/** What a database has right after CREATE DATABASE and ALTER DATABASE … OWNER TO. */
function asCreated({ owner, tablespace }: DatabaseProperties): DatabaseProperties {
  const everybody = (privilege: string) => ({ grantor: owner, grantee: null, privilege, grantable: false });
  const itsOwner = (privilege: string) => ({ grantor: owner, grantee: owner, privilege, grantable: false });
  return {
    owner,
    tablespace,
    connectionLimit: -1,
    isTemplate: false,
    comment: null,
    settings: [],
    privileges: [...['CONNECT', 'TEMPORARY'].map(everybody), ...['CONNECT', 'CREATE', 'TEMPORARY'].map(itsOwner)],
    securityLabels: [],
  };
}

/**
 * The statements are made for one transaction. A script for psql has none, so that one that fails (a provider of
 * labels that isn't loaded) doesn't take the others with it, and LOCAL means nothing there.
 */
function outsideTransaction(statement: string): string {
  return statement
    .replace(/^SET LOCAL ROLE /, 'SET ROLE ')
    .replace(/^(SELECT pg_catalog\.set_config\('[a-z_]+', ''), true\)$/, '$1, false)');
}

function createDatabase(database: DatabaseEntry, versionNum: number): string {
  const { encoding, collate, ctype, localeProvider, locale, icuRules, tablespace } = database;
  const options = [
    'TEMPLATE = template0',
    `ENCODING = ${quoteLiteral(encoding)}`,
    ...(versionNum >= 150_000 ? [`LOCALE_PROVIDER = ${localeProvider}`] : []),
    ...(collate === ctype
      ? [`LOCALE = ${quoteLiteral(collate)}`]
      : [`LC_COLLATE = ${quoteLiteral(collate)}`, `LC_CTYPE = ${quoteLiteral(ctype)}`]),
    ...(locale === null
      ? []
      : [`${localeProvider === 'builtin' ? 'BUILTIN' : 'ICU'}_LOCALE = ${quoteLiteral(locale)}`]),
    ...(icuRules === null ? [] : [`ICU_RULES = ${quoteLiteral(icuRules)}`]),
    ...(tablespace === 'pg_default' ? [] : [`TABLESPACE = ${quoteIdent(tablespace)}`]),
  ];
  return `CREATE DATABASE ${quoteIdent(database.name)} WITH ${options.join(' ')}`;
}
