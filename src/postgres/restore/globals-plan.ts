import { quoteIdent } from '../connection.ts';
import { orderMemberships, readMembership, renderMembership, type Membership } from './memberships.ts';
import { hasWords, isStatement, nameAt, type MetaCommand, type Statement } from './statements.ts';

/** The cluster that globals are applied to. */
export interface GlobalsTarget {
  readonly versionNum: number;
  /** Every role, PostgreSQL's own (pg_*) among them. */
  readonly roles: readonly string[];
  readonly tablespaces: readonly string[];
  readonly bootstrapRole: string;
  /** The role that restores. */
  readonly user: string;
}

export type GlobalsVerb = 'create role' | 'alter role' | 'create tablespace' | 'other';

/** One statement of the member, and what becomes of it. */
export interface GlobalsAction {
  readonly verb: GlobalsVerb;
  /** The role or tablespace that it is about. */
  readonly subject: string;
  /** null: not executed. */
  readonly sql: string | null;
  /** Why it isn't executed, or not as it stood. */
  readonly why: string | null;
  /** The statement can't be understood: what it would do is missing. */
  readonly lost: boolean;
  readonly line: number;
  readonly standardStrings: boolean;
}

/** Made by operators and images for themselves: their passwords and attributes belong to the target. */
const operatorsRoles = /^(postgres|streaming_replica|cnpg_.*|repmgr)$/;

/** Whether a role, where it exists already, keeps its password and attributes. */
export const keepsItself = (role: string, target: Pick<GlobalsTarget, 'bootstrapRole' | 'user'>) =>
  operatorsRoles.test(role) || role === target.bootstrapRole || role === target.user;

/**
 * What to do with each statement of a globals member, given what is there already: roles that exist are altered, those
 * that keep themselves aren't, tablespaces that exist are taken as they are. Pure.
 */
export function planGlobals(pieces: readonly (Statement | MetaCommand)[], target: GlobalsTarget): GlobalsAction[] {
  const statements = pieces.filter(isStatement).filter(isNoSetting);
  const known = new Set([...target.roles, ...statements.flatMap(roleCreatedBy)]);
  const memberships: Membership[] = [];
  const before: GlobalsAction[] = [];
  const after: GlobalsAction[] = [];
  for (const statement of statements) {
    const membership = readMembership(statement);
    if (membership !== undefined) memberships.push(membership);
    else (memberships.length === 0 ? before : after).push(decide(statement, target));
  }
  const ordered = orderMemberships(memberships, target).map((membership) => grant(membership, target, known));
  return [...before, ...ordered, ...after];
}

/**
 * Of a globals member only what makes these roles, where they don't exist. Pure.
 * @param as `bare`: without login, password and anything else; `dumped`: with attributes, password, settings, comment
 */
export function planRoles(
  pieces: readonly (Statement | MetaCommand)[],
  wanted: readonly string[],
  as: 'bare' | 'dumped',
  target: GlobalsTarget,
): GlobalsAction[] {
  const missing = new Set(wanted.filter((name) => !target.roles.includes(name)));
  if (as === 'bare') {
    return [...missing].map((name) => ({
      ...plain('create role', name, `CREATE ROLE ${quoteIdent(name)} NOLOGIN`),
      line: 0,
      standardStrings: true,
    }));
  }
  return pieces
    .filter(isStatement)
    .filter((statement) => missing.has(roleOf(statement) ?? ''))
    .map((statement) => decide(statement, target));
}

const plain = (verb: GlobalsVerb, subject: string, sql: string) => ({ verb, subject, sql, why: null, lost: false });

/** SET …: a session of ours has its own. */
const isNoSetting = ({ tokens }: Statement) => !hasWords(tokens, ['set']);

const roleCreatedBy = ({ tokens }: Statement): string[] => {
  const name = hasWords(tokens, ['create', 'role']) ? nameAt(tokens, 2) : undefined;
  return name === undefined ? [] : [name];
};

/** The role that a statement makes or changes. */
function roleOf({ tokens }: Statement): string | undefined {
  if (hasWords(tokens, ['create', 'role']) || hasWords(tokens, ['alter', 'role'])) return nameAt(tokens, 2);
  const on = tokens.findIndex((_, at) => hasWords(tokens, ['on', 'role'], at));
  return on === -1 ? undefined : nameAt(tokens, on + 2);
}

function decide(statement: Statement, target: GlobalsTarget): GlobalsAction {
  const { tokens, text, line, standardStrings } = statement;
  const place = { line, standardStrings };
  const role = roleOf(statement);
  if (role !== undefined) {
    const exists = target.roles.includes(role);
    if (hasWords(tokens, ['create'])) {
      return {
        ...plain('create role', role, text),
        ...place,
        ...(exists ? { sql: null, why: 'it exists already' } : {}),
      };
    }
    const attributes = hasWords(tokens, ['alter', 'role']) && hasWords(tokens, ['with'], 3);
    if (attributes && exists && keepsItself(role, target)) {
      return { ...plain('alter role', role, text), ...place, sql: null, why: 'it keeps its password and attributes' };
    }
    if (attributes) return { ...plain('alter role', role, text), ...place };
    if (
      hasWords(tokens, ['alter', 'role']) ||
      hasWords(tokens, ['comment']) ||
      hasWords(tokens, ['security', 'label'])
    ) {
      return { ...plain('other', role, text), ...place };
    }
  }
  return { ...decideTablespace(statement, target), ...place };
}

function decideTablespace(
  { tokens, text }: Statement,
  target: GlobalsTarget,
): Omit<GlobalsAction, 'line' | 'standardStrings'> {
  if (hasWords(tokens, ['create', 'tablespace'])) {
    const name = nameAt(tokens, 2) ?? '';
    const exists = target.tablespaces.includes(name);
    return { ...plain('create tablespace', name, text), ...(exists ? { sql: null, why: 'it exists already' } : {}) };
  }
  if (hasWords(tokens, ['alter', 'tablespace'])) return plain('other', nameAt(tokens, 2) ?? '', text);
  const on = tokens.findIndex((_, at) => hasWords(tokens, ['on', 'tablespace'], at));
  if (on !== -1 && isAboutObject(tokens[0]?.value)) return plain('other', nameAt(tokens, on + 2) ?? '', text);
  if ((hasWords(tokens, ['grant']) || hasWords(tokens, ['revoke'])) && onParameter(tokens) !== -1) {
    const subject = nameAt(tokens, onParameter(tokens) + 2) ?? '';
    if (target.versionNum >= 150_000) return plain('other', subject, text);
    return { verb: 'other', subject, sql: null, lost: true, why: 'privileges on parameters came with PostgreSQL 15' };
  }
  return {
    verb: 'other',
    subject: tokens[0]?.value ?? '',
    sql: null,
    lost: true,
    why: 'it is not a statement that pg_dumpall is known to write',
  };
}

const onParameter = (tokens: Statement['tokens']) =>
  tokens.findIndex((_, at) => hasWords(tokens, ['on', 'parameter'], at));

const isAboutObject = (word: string | undefined) => ['grant', 'revoke', 'comment', 'security'].includes(word ?? '');

function grant(membership: Membership, target: GlobalsTarget, known: ReadonlySet<string>): GlobalsAction {
  const { sql, why } = renderMembership(membership, target, known);
  const { line, standardStrings } = membership.statement;
  return { verb: 'other', subject: membership.role, sql, why, lost: false, line, standardStrings };
}
