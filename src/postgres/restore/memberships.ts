import { quoteIdent } from '../connection.ts';
import { hasWords, nameAt, type Statement } from './statements.ts';

/** `GRANT role TO member WITH ADMIN OPTION, INHERIT TRUE GRANTED BY grantor`. */
export interface Membership {
  readonly role: string;
  readonly member: string;
  readonly admin: boolean;
  /** Said since 16 only; undefined: as the member's INHERIT attribute says, and yes. */
  readonly inherit: boolean | undefined;
  readonly set: boolean | undefined;
  readonly grantor: string | undefined;
  readonly statement: Statement;
}

/** undefined: another statement. */
export function readMembership(statement: Statement): Membership | undefined {
  const { tokens } = statement;
  const role = nameAt(tokens, 1);
  const member = nameAt(tokens, 3);
  if (!hasWords(tokens, ['grant']) || !hasWords(tokens, ['to'], 2) || role === undefined || member === undefined)
    return undefined;
  const by = tokens.findIndex((_, at) => at > 3 && hasWords(tokens, ['granted', 'by'], at));
  const options = tokens.slice(4, by === -1 ? undefined : by);
  const option = (name: string): boolean | undefined => {
    const at = options.findIndex((_, index) => hasWords(options, [name], index));
    return at === -1 ? undefined : !hasWords(options, ['false'], at + 1);
  };
  return {
    role,
    member,
    admin: option('admin') ?? false,
    inherit: option('inherit'),
    set: option('set'),
    grantor: by === -1 ? undefined : nameAt(tokens, by + 2),
    statement,
  };
}

/**
 * Since 16 nobody grants a role before he holds it WITH ADMIN OPTION; older dumps list members by name. Those whose
 * grantor never gets there come last, and are granted by whoever restores.
 */
export function orderMemberships(
  memberships: readonly Membership[],
  { versionNum, bootstrapRole }: { readonly versionNum: number; readonly bootstrapRole: string },
): readonly Membership[] {
  if (versionNum < 160_000) return memberships;
  const ordered: Membership[] = [];
  let waiting = memberships;
  for (;;) {
    const admins = new Set(
      ordered.filter(({ admin }) => admin).map(({ role, member }) => JSON.stringify([role, member])),
    );
    const mayGrant = ({ role, grantor }: Membership) =>
      grantor === undefined || grantor === bootstrapRole || admins.has(JSON.stringify([role, grantor]));
    const ready = waiting.filter(mayGrant);
    if (ready.length === 0)
      return [...ordered, ...waiting.map((membership) => ({ ...membership, grantor: undefined }))];
    ordered.push(...ready);
    waiting = waiting.filter((membership) => !mayGrant(membership));
  }
}

/** In the words of the target's version. */
export function renderMembership(
  { role, member, admin, inherit, set, grantor, statement }: Membership,
  { versionNum }: { readonly versionNum: number },
  known: ReadonlySet<string>,
): { readonly sql: string; readonly why: string | null } {
  const grant = `GRANT ${quoteIdent(role)} TO ${quoteIdent(member)}`;
  const by = grantor === undefined || !known.has(grantor) ? '' : ` GRANTED BY ${quoteIdent(grantor)}`;
  const named = hasWords(statement.tokens, ['granted', 'by'], statement.tokens.length - 3);
  const why = by === '' && named ? 'it counts as granted by the role that restores' : null;
  if (versionNum >= 160_000) {
    const flag = (name: string, value: boolean | undefined) =>
      value === undefined ? [] : [`${name} ${value ? 'TRUE' : 'FALSE'}`];
    const options = [...(admin ? ['ADMIN TRUE'] : []), ...flag('INHERIT', inherit), ...flag('SET', set)];
    return { sql: `${grant}${options.length === 0 ? '' : ` WITH ${options.join(', ')}`}${by}`, why };
  }
  const unsaid = inherit === false || set === false ? 'INHERIT FALSE and SET FALSE came with PostgreSQL 16' : why;
  return { sql: `${grant}${admin ? ' WITH ADMIN OPTION' : ''}${by}`, why: unsaid };
}
