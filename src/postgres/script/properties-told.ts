import type { SurveyedDatabase } from '../../domain/dump-survey.ts';
import type { DatabasePrivilege, DatabaseProperties, DatabaseSetting } from '../../domain/swap-report.ts';
import { isListSetting } from '../swap/setting-lists.ts';
import { findOutermost, qualifiedName } from './names.ts';
import { listAt } from './role-names.ts';
import type { Statement } from './statement.ts';

type Created = Omit<SurveyedDatabase, 'name' | 'properties' | 'extensions' | 'tables' | 'roles' | 'tablespaces'>;

/** What the statements about one database as a whole say of it. */
export class PropertiesTold {
  /** False: nothing was said. */
  told = false;
  /** CREATE DATABASE was among it. */
  isMade = false;
  readonly #options = new Map<string, string>();
  #owner = '';
  #comment: string | null = null;
  readonly #settings = new Map<string, DatabaseSetting>();
  #privileges: DatabasePrivilege[] | undefined;
  readonly #labels = new Map<string, string>();

  /** @param user whose session it is: SET SESSION AUTHORIZATION; null: the database's owner, or a superuser */
  apply(statement: Statement, encoding: string, user: string | null): void {
    this.told = true;
    switch (statement.word(0)) {
      case 'create':
        this.isMade = true;
        this.#create(statement, encoding);
        return;
      case 'alter':
        this.#alter(statement, encoding);
        return;
      case 'comment':
        this.#comment = statement.string(5, encoding) ?? null;
        return;
      case 'security':
        this.#label(statement, encoding);
        return;
      case 'update':
        this.#options.set('is_template', statement.string(6, encoding) ?? statement.word(6) ?? 'false');
        return;
      case 'grant':
      case 'revoke':
        this.#grant(statement, encoding, user);
        return;
      default:
    }
  }

  /** What CREATE DATABASE says; '' where it says nothing. */
  get created(): Created {
    const get = (name: string) => this.#options.get(name);
    const provider = get('locale_provider')?.toLowerCase();
    return {
      owner: this.#owner,
      encoding: get('encoding') ?? '',
      collate: get('lc_collate') ?? get('locale') ?? '',
      ctype: get('lc_ctype') ?? get('locale') ?? '',
      localeProvider: provider === 'icu' || provider === 'builtin' ? provider : 'libc',
      locale: get('icu_locale') ?? get('builtin_locale') ?? null,
      icuRules: get('icu_rules') ?? null,
      tablespace: get('tablespace') ?? 'pg_default',
      connectionLimit: Number(get('connection_limit') ?? -1),
      isTemplate: isTrue(get('is_template')),
    };
  }

  get properties(): DatabaseProperties | null {
    if (!this.told) return null;
    const { owner, tablespace, connectionLimit, isTemplate } = this.created;
    return {
      ...{ owner, tablespace, connectionLimit, isTemplate, comment: this.#comment },
      settings: sorted([...this.#settings.values()], ({ role, name }) => [role ?? '', name]),
      privileges: sorted(this.#granted(), ({ grantor, grantee, privilege }) => [grantee ?? '', privilege, grantor]),
      securityLabels: sorted(
        [...this.#labels].map(([provider, label]) => ({ provider, label })),
        ({ provider }) => [provider],
      ),
    };
  }

  #create(statement: Statement, encoding: string): void {
    for (let at = 3; at < statement.count; at += 1) {
      let key = statement.word(at);
      if (key === undefined || key === 'with') continue;
      if (key === 'connection' && statement.is(at + 1, 'limit')) {
        key = 'connection_limit';
        at += 1;
      }
      if (statement.is(at + 1, '=')) at += 1;
      const minus = statement.is(at + 1, '-') ? '-' : '';
      if (minus !== '') at += 1;
      at += 1;
      this.#options.set(key, minus + valueAt(statement, at, encoding));
    }
    this.#owner = this.#options.get('owner') ?? this.#owner;
  }

  #alter(statement: Statement, encoding: string): void {
    if (statement.is(1, 'role') || statement.is(1, 'user')) {
      this.#set(statement, encoding, 6, statement.name(2, encoding) ?? null);
      return;
    }
    let at = 3;
    if (statement.is(at, 'with')) at += 1;
    if (statement.has(at, 'owner', 'to')) this.#owner = statement.name(at + 2, encoding) ?? this.#owner;
    else if (statement.has(at, 'set', 'tablespace'))
      this.#options.set('tablespace', valueAt(statement, at + 2, encoding));
    else if (statement.is(at, 'set')) this.#set(statement, encoding, at, null);
    else if (statement.has(at, 'connection', 'limit')) this.#option(statement, encoding, 'connection_limit', at + 2);
    else if (statement.is(at, 'is_template')) this.#option(statement, encoding, 'is_template', at + 1);
  }

  #option(statement: Statement, encoding: string, key: string, at: number): void {
    const value = statement.is(at, '=') ? at + 1 : at;
    const minus = statement.is(value, '-');
    this.#options.set(key, (minus ? '-' : '') + valueAt(statement, minus ? value + 1 : value, encoding));
  }

  /** SET name TO value, …; FROM CURRENT stands for an empty list, which has no other form. */
  #set(statement: Statement, encoding: string, at: number, role: string | null): void {
    const found = qualifiedName(statement, at + 1, encoding);
    if (!statement.is(at, 'set') || found === undefined) return;
    const name = found.schema === undefined ? found.name : `${found.schema}.${found.name}`;
    const values: string[] = [];
    if (!statement.has(found.next, 'from', 'current')) {
      for (let next = found.next + 1; next < statement.count; next += 1) {
        if (statement.is(next, ',')) continue;
        const minus = statement.is(next, '-');
        if (minus) next += 1;
        values.push((minus ? '-' : '') + valueAt(statement, next, encoding));
      }
    }
    const value = isListSetting(name) ? values.map(asItem).join(', ') : values.join(', ');
    this.#settings.set(JSON.stringify([role, name.toLowerCase()]), { role, name, value });
  }

  #label(statement: Statement, encoding: string): void {
    const provider = statement.name(3, encoding) ?? statement.string(3, encoding);
    const text = statement.string(statement.count - 1, encoding);
    if (provider === undefined) return;
    if (text === undefined) this.#labels.delete(provider);
    else this.#labels.set(provider, text);
  }

  /** GRANT CONNECT, … ON DATABASE name TO role, …; REVOKE … FROM. */
  #grant(statement: Statement, encoding: string, user: string | null): void {
    const gives = statement.is(0, 'grant');
    const on = findOutermost(statement, ['on'], 1);
    const to = findOutermost(statement, [gives ? 'to' : 'from'], on);
    const optionOnly = !gives && statement.has(1, 'grant', 'option', 'for');
    const grantable = gives && findOutermost(statement, ['option'], to) !== -1;
    const names = privilegesIn(statement, optionOnly ? 4 : 1, on);
    const isPublic = statement.is(to + 1, 'public');
    const grantees: (string | null)[] = isPublic ? [null] : listAt(statement, to + 1, encoding);
    let privileges = this.#granted();
    for (const grantee of grantees) {
      for (const privilege of names) {
        const same = (other: DatabasePrivilege) => other.grantee === grantee && other.privilege === privilege;
        if (gives) {
          const grantor = user ?? this.#owner;
          const had = privileges.some((other) => same(other) && other.grantor === grantor && other.grantable);
          privileges = privileges.filter((other) => !(same(other) && other.grantor === grantor));
          privileges.push({ grantor, grantee, privilege, grantable: grantable || had });
        } else if (optionOnly)
          privileges = privileges.map((other) => (same(other) ? { ...other, grantable: false } : other));
        else privileges = privileges.filter((other) => !same(other));
      }
    }
    this.#privileges = privileges;
  }

  /** Before anything is granted or revoked: what PostgreSQL assumes then. */
  #granted(): DatabasePrivilege[] {
    const of = (grantee: string | null, privilege: string) => ({
      ...{ grantor: this.#owner, grantee, privilege, grantable: false },
    });
    return (
      this.#privileges ?? [
        ...['CONNECT', 'TEMPORARY'].map((privilege) => of(null, privilege)),
        ...allPrivileges.map((privilege) => of(this.#owner, privilege)),
      ]
    );
  }
}

const allPrivileges = ['CONNECT', 'CREATE', 'TEMPORARY'];

function privilegesIn(statement: Statement, from: number, to: number): string[] {
  const names: string[] = [];
  for (let at = from; at < to; at += 1) {
    const word = statement.word(at)?.toUpperCase();
    if (word === 'ALL') return allPrivileges;
    if (word === 'TEMP') names.push('TEMPORARY');
    else if (word !== undefined && allPrivileges.includes(word)) names.push(word);
  }
  return names;
}

const valueAt = (statement: Statement, at: number, encoding: string) =>
  statement.string(at, encoding) ?? statement.name(at, encoding) ?? statement.raw(at);

const isTrue = (value: string | undefined) => ['true', 't', 'on', 'yes', '1'].includes(value?.toLowerCase() ?? '');

/** As PostgreSQL keeps an item of a list of names. */
const asItem = (value: string) => (/^[a-z_][a-z0-9_$]*$/.test(value) ? value : `"${value.replaceAll('"', '""')}"`);

function sorted<T>(list: readonly T[], key: (item: T) => readonly string[]): T[] {
  const text = (item: T) => JSON.stringify(key(item));
  return [...list].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}
