import type { DumpSurvey } from '../../domain/dump-survey.ts';
import type { RoleRecord } from '../../domain/manifest.ts';
import type { Statement } from './statement.ts';

type Roles = Pick<DumpSurvey, 'roles' | 'tablespaces' | 'bootstrapRole'>;

/** What the statements about the cluster as a whole say: its roles and tablespaces. */
export class RolesTold {
  readonly #roles = new Map<string, RoleRecord & { readonly replicates: boolean }>();
  readonly #tablespaces = new Map<string, string>();

  apply(statement: Statement, encoding: string): void {
    const name = statement.name(2, encoding);
    if (name === undefined) return;
    if (statement.has(0, 'create', 'tablespace')) {
      for (let at = 3; at < statement.count; at += 1) {
        if (statement.is(at, 'location')) this.#tablespaces.set(name, statement.string(at + 1, encoding) ?? '');
      }
      return;
    }
    const isRole = statement.is(1, 'role') || statement.is(1, 'user') || statement.is(1, 'group');
    if (!isRole || !(statement.is(0, 'create') || statement.is(0, 'alter'))) return;
    const known = this.#roles.get(name) ?? {
      name,
      superuser: false,
      canLogin: statement.is(1, 'user'),
      replicates: false,
    };
    if (statement.is(0, 'alter') && (statement.is(3, 'set') || statement.is(3, 'in'))) return;
    const words = new Set<string>();
    for (let at = 3; at < statement.count; at += 1) words.add(statement.word(at) ?? '');
    const now = (yes: string, before: boolean) => words.has(yes) || (before && !words.has(`no${yes}`));
    this.#roles.set(name, {
      name,
      superuser: now('superuser', known.superuser),
      canLogin: now('login', known.canLogin),
      replicates: now('replication', known.replicates) && now('bypassrls', true),
    });
  }

  get told(): Roles {
    const roles = [...this.#roles.values()];
    // initdb gives its role everything; a dump doesn't say which one it was.
    const [only, another] = roles.filter(({ superuser, canLogin, replicates }) => superuser && canLogin && replicates);
    const isPostgres = roles.some(({ name, superuser }) => name === 'postgres' && superuser);
    return {
      roles: roles.map(({ name, superuser, canLogin }) => ({ name, superuser, canLogin })),
      tablespaces: [...this.#tablespaces].map(([name, location]) => ({ name, location })),
      bootstrapRole: isPostgres || only === undefined || another !== undefined ? 'postgres' : only.name,
    };
  }
}
