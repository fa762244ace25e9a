import { HoldfastError } from '../domain/errors.ts';

/** Who to be, as a Secret says it, and where, if it does. */
export interface Login {
  readonly user: string;
  readonly password: string;
  /** Of the Secret: where its password stands. */
  readonly passwordKey: string;
  readonly host?: string;
  readonly port?: number;
}

/**
 * Pairs of keys that images, charts and operators use, the superuser's first: a chart's Secret may hold an application's
 * password beside it. A user that has no key of its own is the one that such a password always belongs to.
 */
const pairs: readonly (readonly [user: string | { readonly always: string }, password: string])[] = [
  [{ always: 'postgres' }, 'postgres-password'],
  [{ always: 'postgres' }, 'POSTGRESQL_POSTGRES_PASSWORD'],
  ['POSTGRES_USER', 'POSTGRES_PASSWORD'],
  ['POSTGRESQL_USERNAME', 'POSTGRESQL_PASSWORD'],
  ['username', 'password'],
  ['user', 'password'],
  [{ always: 'postgres' }, 'POSTGRES_PASSWORD'],
  [{ always: 'postgres' }, 'POSTGRESQL_PASSWORD'],
  [{ always: 'postgres' }, 'postgresql-password'],
  [{ always: 'postgres' }, 'password'],
];

/** Names of the keys, where a Secret has names of its own. */
export interface LoginKeys {
  readonly user?: string | undefined;
  readonly password: string;
}

/** Of a user that the Secret doesn't name: its application's password first, a chart's own superuser's last. */
const passwords = ['POSTGRES_PASSWORD', 'POSTGRESQL_PASSWORD', 'password', 'postgres-password', 'postgresql-password'];

/** What a configuration says beside the Secret's name. */
export interface LoginWishes {
  /** The user itself. */
  readonly user?: string | undefined;
  readonly keys?: LoginKeys | undefined;
}

/**
 * Finds user and password in a Secret by the names that are in use: Docker's POSTGRES_USER, Bitnami's
 * postgres-password, a basic-auth Secret's username. Values are trimmed of one newline at their end, as `kubectl create
 * secret --from-file` leaves it. ConfigurationInvalid that names the keys that are there, never a value.
 * @param name of the Secret, for messages
 */
export function loginOf(data: Readonly<Record<string, string>>, name: string, wishes: LoginWishes = {}): Login {
  const value = (key: string) => data[key]?.replace(/\r?\n$/, '');
  const wanted = pairsFor(wishes);
  for (const [userKey, passwordKey] of wanted) {
    const user = typeof userKey === 'string' ? value(userKey) : userKey.always;
    const password = value(passwordKey);
    if (user === undefined || user === '' || password === undefined) continue;
    const host = value('POSTGRES_HOST');
    const port = Number(value('POSTGRES_PORT') ?? '');
    return {
      user,
      password,
      passwordKey,
      ...(host === undefined || host === '' ? {} : { host }),
      ...(Number.isInteger(port) && port > 0 ? { port } : {}),
    };
  }
  const there = Object.keys(data).sort().join(', ');
  throw new HoldfastError(
    'ConfigurationInvalid',
    `Secret ${name} has no user and password under names that are known; its keys are: ${there === '' ? '(none)' : there}`,
    'name the keys in the configuration: keys: { user: …, password: … }',
  );
}

function pairsFor({ user, keys }: LoginWishes): typeof pairs {
  if (user === undefined || user === 'postgres')
    return keys === undefined ? pairs : [[keys.user ?? { always: 'postgres' }, keys.password]];
  return (keys === undefined ? passwords : [keys.password]).map((key) => [{ always: user }, key] as const);
}
