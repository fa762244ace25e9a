import type { DatabasePrivilege, DatabaseProperties, DatabaseSetting } from '../../domain/swap-report.ts';
import { quoteIdent, quoteLiteral } from '../quote.ts';
import { compareProperties, sameSetting } from './differences.ts';
import { isListSetting, splitList } from './setting-lists.ts';

/**
 * What makes a database that has `current` have `wanted`: nothing where they are equal. All of it may run in one
 * transaction, and should: revoked rights are granted again further down. Moving to another tablespace may not, and
 * is a statement of its own.
 */
export function propertyStatements(
  database: string,
  current: DatabaseProperties,
  wanted: DatabaseProperties,
): string[] {
  const name = quoteIdent(database);
  const statements: string[] = [];
  if (current.owner !== wanted.owner) statements.push(`ALTER DATABASE ${name} OWNER TO ${quoteIdent(wanted.owner)}`);
  if (privilegesDiffer(current, wanted)) statements.push(...privilegeStatements(name, current, wanted));
  statements.push(...settingStatements(name, current.settings, wanted.settings));
  if (current.comment !== wanted.comment) statements.push(commentStatement(database, wanted.comment));
  statements.push(...labelStatements(name, current, wanted));
  if (current.connectionLimit !== wanted.connectionLimit) {
    statements.push(`ALTER DATABASE ${name} CONNECTION LIMIT ${String(wanted.connectionLimit)}`);
  }
  if (current.isTemplate !== wanted.isTemplate)
    statements.push(`ALTER DATABASE ${name} IS_TEMPLATE ${String(wanted.isTemplate)}`);
  return statements;
}

/** Copies every file of the database and needs it free of sessions; undefined: it lies there already. */
export function tablespaceStatement(
  database: string,
  current: DatabaseProperties,
  wanted: DatabaseProperties,
): string | undefined {
  if (current.tablespace === wanted.tablespace) return undefined;
  return `ALTER DATABASE ${quoteIdent(database)} SET TABLESPACE ${quoteIdent(wanted.tablespace)}`;
}

export const commentStatement = (database: string, comment: string | null) =>
  `COMMENT ON DATABASE ${quoteIdent(database)} IS ${comment === null ? 'NULL' : quoteLiteral(comment)}`;

/** A new owner takes over the rights that the old one had and had granted, so they are settled anew with him. */
const privilegesDiffer = (current: DatabaseProperties, wanted: DatabaseProperties) =>
  current.owner !== wanted.owner ||
  compareProperties({ ...current, privileges: wanted.privileges }, current).length > 0;

/** Everything is taken away from everybody, then given: what was granted onward falls with CASCADE. */
function privilegeStatements(name: string, current: DatabaseProperties, wanted: DatabaseProperties): string[] {
  const holders = new Set<string | null>([null, wanted.owner, ...current.privileges.map(({ grantee }) => grantee)]);
  const revokes = [...holders].map(
    (holder) => `REVOKE ALL PRIVILEGES ON DATABASE ${name} FROM ${roleOrPublic(holder)} CASCADE`,
  );
  const grants = inGrantingOrder(groupGrants(wanted.privileges), wanted.owner).flatMap((grant) => {
    const { grantor, grantee, privileges, grantable } = grant;
    const sql = `GRANT ${privileges.join(', ')} ON DATABASE ${name} TO ${roleOrPublic(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`;
    // GRANTED BY takes nobody but the current user. Whoever isn't the owner has to grant it himself.
    return grantor === wanted.owner ? [sql] : [`SET LOCAL ROLE ${quoteIdent(grantor)}`, sql, 'RESET ROLE'];
  });
  return [...revokes, ...grants];
}

const roleOrPublic = (role: string | null) => (role === null ? 'PUBLIC' : quoteIdent(role));

interface Grant {
  readonly grantor: string;
  readonly grantee: string | null;
  readonly grantable: boolean;
  readonly privileges: readonly string[];
}

function groupGrants(privileges: readonly DatabasePrivilege[]): Grant[] {
  const groups = new Map<string, Grant>();
  for (const { grantor, grantee, grantable, privilege } of privileges) {
    const key = JSON.stringify([grantor, grantee, grantable]);
    groups.set(key, { grantor, grantee, grantable, privileges: [...(groups.get(key)?.privileges ?? []), privilege] });
  }
  return [...groups.values()];
}

/**
 * Nobody can grant before he holds the right with grant option. A grant whose grantor never gets there (he was a
 * superuser then, or a member of the owner) is made by the owner: the right matters more than the record.
 */
function inGrantingOrder(grants: readonly Grant[], owner: string): Grant[] {
  const ordered = grants.filter(({ grantor }) => grantor === owner);
  let waiting = grants.filter(({ grantor }) => grantor !== owner);
  const mayGrant = (role: string, privilege: string) =>
    ordered.some(
      ({ grantee, grantable, privileges }) => grantee === role && grantable && privileges.includes(privilege),
    );
  for (;;) {
    const ready = waiting.filter(({ grantor, privileges }) =>
      privileges.every((privilege) => mayGrant(grantor, privilege)),
    );
    if (ready.length === 0) return [...ordered, ...waiting.map((grant) => ({ ...grant, grantor: owner }))];
    ordered.push(...ready);
    waiting = waiting.filter((grant) => !ready.includes(grant));
  }
}

function settingStatements(
  name: string,
  current: readonly DatabaseSetting[],
  wanted: readonly DatabaseSetting[],
): string[] {
  const named = (list: readonly DatabaseSetting[], { role, name: setting }: DatabaseSetting) =>
    list.some((other) => other.role === role && other.name.toLowerCase() === setting.toLowerCase());
  const resets = current
    .filter((setting) => !named(wanted, setting))
    .map((setting) => `${alterFor(name, setting.role)} RESET ${quoteIdent(setting.name)}`);
  const sets = wanted
    .filter((setting) => !current.some((other) => sameSetting(other, setting)))
    .flatMap((setting) => setStatements(name, setting));
  return [...resets, ...sets];
}

const alterFor = (name: string, role: string | null) =>
  role === null ? `ALTER DATABASE ${name}` : `ALTER ROLE ${quoteIdent(role)} IN DATABASE ${name}`;

function setStatements(name: string, setting: DatabaseSetting): string[] {
  const variable = quoteIdent(setting.name);
  const alter = `${alterFor(name, setting.role)} SET ${variable}`;
  const items = isListSetting(setting.name) ? splitList(setting.value) : undefined;
  if (items === undefined) return [`${alter} TO ${quoteLiteral(setting.value)}`];
  if (items.length > 0) return [`${alter} TO ${items.map(quoteLiteral).join(', ')}`];
  // SET x TO '' would make a list of one empty name; no literal says "an empty list".
  return [`SELECT pg_catalog.set_config(${quoteLiteral(setting.name)}, '', true)`, `${alter} FROM CURRENT`];
}

function labelStatements(name: string, current: DatabaseProperties, wanted: DatabaseProperties): string[] {
  const label = (provider: string, text: string) =>
    `SECURITY LABEL FOR ${quoteIdent(provider)} ON DATABASE ${name} IS ${text}`;
  const providers = new Set(wanted.securityLabels.map(({ provider }) => provider));
  const had = new Map(current.securityLabels.map((entry) => [entry.provider, entry.label]));
  return [
    ...[...had.keys()].filter((provider) => !providers.has(provider)).map((provider) => label(provider, 'NULL')),
    ...wanted.securityLabels
      .filter((entry) => had.get(entry.provider) !== entry.label)
      .map((entry) => label(entry.provider, quoteLiteral(entry.label))),
  ];
}
