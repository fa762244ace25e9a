import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseRecord } from '../../domain/manifest.ts';
import { quoteIdent, quoteLiteral } from '../connection.ts';

export type LocaleRecord = Pick<
  DatabaseRecord,
  'encoding' | 'collate' | 'ctype' | 'localeProvider' | 'locale' | 'icuRules'
>;

export interface CreateWishes {
  readonly name: string;
  readonly record: LocaleRecord;
  /** null: the role that creates it. */
  readonly owner: string | null;
  /** null: the cluster's default. */
  readonly tablespace: string | null;
  readonly connectionLimit: number;
}

/** Why a server of this version can't make a database with this locale provider; null: it can. */
export function providerObstacle({ localeProvider, icuRules }: LocaleRecord, versionNum: number): string | null {
  const since = { libc: 0, icu: 150_000, builtin: 170_000 }[localeProvider];
  const major = (version: number) => String(Math.floor(version / 10_000));
  if (versionNum < since) {
    return `the locale provider ${localeProvider} came with PostgreSQL ${major(since)}, and the target is ${major(versionNum)}`;
  }
  if (icuRules !== null && versionNum < 160_000)
    return `ICU rules came with PostgreSQL 16, and the target is ${major(versionNum)}`;
  return null;
}

/**
 * CREATE DATABASE from template0 with the recorded encoding and locale, in the words of the target's version; closed
 * to connections. Pure; InvalidArgument where that version has no words for it.
 */
export function createDatabaseStatement(wishes: CreateWishes, versionNum: number): string {
  const { name, record, owner, tablespace, connectionLimit } = wishes;
  const obstacle = providerObstacle(record, versionNum);
  if (obstacle !== null) {
    throw new HoldfastError(
      'InvalidArgument',
      `database '${name}' can't be made: ${obstacle}`,
      'restore onto a server of that version or a newer one',
    );
  }
  const options = [
    ...(owner === null ? [] : [`OWNER = ${quoteIdent(owner)}`]),
    'TEMPLATE = template0',
    ...(record.encoding === '' ? [] : [`ENCODING = ${quoteLiteral(record.encoding)}`]),
    ...localeOptions(record, versionNum),
    ...(tablespace === null ? [] : [`TABLESPACE = ${quoteIdent(tablespace)}`]),
    'ALLOW_CONNECTIONS = false',
    `CONNECTION LIMIT = ${String(connectionLimit)}`,
  ];
  return `CREATE DATABASE ${quoteIdent(name)} WITH ${options.join(' ')}`;
}

function localeOptions(
  { collate, ctype, localeProvider, locale, icuRules }: LocaleRecord,
  versionNum: number,
): string[] {
  if (collate === '' && locale === null) return [];
  const libc = [`LC_COLLATE = ${quoteLiteral(collate)}`, `LC_CTYPE = ${quoteLiteral(ctype)}`];
  if (versionNum < 150_000) return libc;
  const provider = [`LOCALE_PROVIDER = ${localeProvider}`, ...libc];
  switch (localeProvider) {
    case 'libc':
      return provider;
    case 'builtin':
      return [...provider, ...(locale === null ? [] : [`BUILTIN_LOCALE = ${quoteLiteral(locale)}`])];
    case 'icu':
      return [
        ...provider,
        ...(locale === null ? [] : [`ICU_LOCALE = ${quoteLiteral(locale)}`]),
        ...(icuRules === null ? [] : [`ICU_RULES = ${quoteLiteral(icuRules)}`]),
      ];
  }
}
