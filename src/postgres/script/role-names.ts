import { findOutermost, outermost } from './names.ts';
import type { Statement } from './statement.ts';

/** Roles that a statement makes owner of something, or grants something to or takes it from. Pure. */
export function roleNames(statement: Statement, encoding: string): string[] {
  const first = statement.word(0);
  const names = (at: number) => (at === -1 ? [] : listAt(statement, at + 1, encoding));
  switch (first) {
    case 'grant':
      return [...names(findOutermost(statement, ['to'], 1)), ...grantor(statement, encoding)];
    case 'revoke':
      return [...names(findOutermost(statement, ['from'], 1)), ...grantor(statement, encoding)];
    case 'alter': {
      const owner = findOutermost(statement, ['owner'], 2);
      if (owner !== -1 && statement.is(owner + 1, 'to')) return names(owner + 1);
      if (statement.has(1, 'default', 'privileges')) return inDefaults(statement, encoding);
      return statement.has(1, 'role') && statement.is(3, 'in') ? names(1) : [];
    }
    case 'create':
      if (statement.is(1, 'policy')) return names(findOutermost(statement, ['to'], 2));
      if (statement.has(1, 'user', 'mapping')) return names(findOutermost(statement, ['for'], 3));
      return statement.is(1, 'schema') ? names(findOutermost(statement, ['authorization'], 2)) : [];
    case 'set':
      return statement.has(1, 'session', 'authorization') ? names(2) : [];
    default:
      return [];
  }
}

function inDefaults(statement: Statement, encoding: string): string[] {
  const found: string[] = [];
  for (const at of outermost(statement, 3)) {
    const named =
      (statement.is(at, 'role') && statement.is(at - 1, 'for')) || statement.is(at, 'to') || statement.is(at, 'from');
    if (named) found.push(...listAt(statement, at + 1, encoding));
  }
  return found;
}

function grantor(statement: Statement, encoding: string): string[] {
  const at = findOutermost(statement, ['granted'], 1);
  return at === -1 ? [] : listAt(statement, at + 2, encoding);
}

const nobody = new Set(['public', 'current_user', 'session_user', 'current_role', 'default', 'user', 'none']);

/** Names between commas. */
export function listAt(statement: Statement, at: number, encoding: string): string[] {
  const found: string[] = [];
  for (let next = at; ; next += 2) {
    if (statement.is(next, 'group')) next += 1;
    const name = statement.name(next, encoding) ?? statement.string(next, encoding);
    if (name === undefined) return found;
    if (statement.kind(next) !== 'word' || !nobody.has(name)) found.push(name);
    if (!statement.is(next + 1, ',')) return found;
  }
}
