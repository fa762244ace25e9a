import type { V1Container, V1EnvFromSource, V1PodSpec } from '@kubernetes/client-node';
import { loginOf, type LoginKeys } from '../login.ts';
import type { PostgresContainer } from './containers.ts';
import { sourceOf, type Source } from './sources.ts';

/** Which Secret holds the superuser's password, and under which keys. */
export interface SuperuserReference {
  readonly secret: string;
  /** Names of the keys; undefined: those that images and charts use. */
  readonly keys: LoginKeys | undefined;
  readonly passwordKey: string;
  /** undefined: no key is known to hold the user's name. */
  readonly userKey: string | undefined;
  /** Written out beside the password and not in the Secret; undefined: the Secret says, or it is postgres. */
  readonly user: string | undefined;
  /** What a person has to look at. */
  readonly doubts: readonly string[];
}

/** Or a sentence's end that says why there is none: "its password is written out in its environment: …". */
export type Superuser = SuperuserReference | { readonly missing: string };

/** Of the one who may do everything, whoever else has a password too. */
const ofPostgres = ['POSTGRES_POSTGRES_PASSWORD', 'POSTGRESQL_POSTGRES_PASSWORD', 'POSTGRESQL_ADMIN_PASSWORD'];
const passwords = ['POSTGRES_PASSWORD', 'POSTGRESQL_PASSWORD', 'PGPASSWORD_SUPERUSER'];
const users = ['POSTGRES_USER', 'POSTGRESQL_USERNAME', 'POSTGRESQL_USER', 'PGUSER_SUPERUSER'];

/** The user that Bitnami's images make is an application's; only postgres may do everything. */
const noSuperuser =
  'is no superuser, which a logical backup needs: name a Secret with the password of postgres, then add a policy';

export const isSuperuser = ({ doubts }: SuperuserReference) => !doubts.some((doubt) => doubt.endsWith(noSuperuser));

/** Reads the pod's specification alone, never a Secret. */
export function superuserOf(spec: V1PodSpec | undefined, { container, flavour }: PostgresContainer): Superuser {
  const own = sourceOf(spec, container, ofPostgres);
  if (own !== undefined) return referenceOf(own, undefined, []);
  const user = sourceOf(spec, container, users);
  const password = sourceOf(spec, container, passwords);
  const doubts =
    flavour === 'bitnami' && user?.from === 'text' && user.text !== 'postgres' ? [`${user.text} ${noSuperuser}`] : [];
  if (password !== undefined) return referenceOf(password, user, doubts);
  return fromWholeSecrets(container, user, doubts);
}

function referenceOf(password: Source, user: Source | undefined, doubts: readonly string[]): Superuser {
  switch (password.from) {
    case 'text':
      return { missing: 'its password is written out in its environment: put it into a Secret' };
    case 'configMap':
      return { missing: `its password lies in ConfigMap ${password.configMap}: put it into a Secret` };
    case 'elsewhere':
      return { missing: `its password comes from ${password.what}: put it into a Secret` };
    case 'secret':
      return inSecret(password, user, doubts);
  }
}

function inSecret(
  { secret, key }: Extract<Source, { readonly from: 'secret' }>,
  user: Source | undefined,
  doubts: readonly string[],
): SuperuserReference {
  const named = { secret, passwordKey: key, userKey: undefined };
  const doubt = (where: string) =>
    `the user's name lies in ${where}: unless it is postgres, put it into Secret ${secret} beside the password, and name its key`;
  switch (user?.from) {
    case undefined:
      return { ...named, keys: keysUnlessKnown(undefined, key), user: undefined, doubts };
    case 'text':
      if (user.text === 'postgres') return { ...named, keys: keysUnlessKnown(undefined, key), user: undefined, doubts };
      return { ...named, keys: keysBesideUser(key), user: user.text, doubts };
    case 'secret':
      return user.secret === secret
        ? { ...named, userKey: user.key, keys: keysUnlessKnown(user.key, key), user: undefined, doubts }
        : {
            ...named,
            keys: keysUnlessKnown(undefined, key),
            user: undefined,
            doubts: [...doubts, doubt(`Secret ${user.secret} (key ${user.key})`)],
          };
    case 'configMap':
    case 'elsewhere': {
      const where = user.from === 'configMap' ? `ConfigMap ${user.configMap} (key ${user.key})` : user.what;
      return {
        ...named,
        keys: keysUnlessKnown(undefined, key),
        user: undefined,
        doubts: [...doubts, doubt(where)],
      };
    }
  }
}

/** undefined where the keys are found by their usual names. */
function keysUnlessKnown(user: string | undefined, password: string): LoginKeys | undefined {
  const keys = { ...(user === undefined ? {} : { user }), password };
  try {
    const login = loginOf({ ...(user === undefined ? {} : { [user]: 'U' }), [password]: 'P' }, '');
    return login.password === 'P' && login.user === (user === undefined ? 'postgres' : 'U') ? undefined : keys;
  } catch {
    return keys;
  }
}

/** Whoever isn't postgres is looked for under this key first; under another one the Secret may hold somebody else's. */
const keysBesideUser = (password: string): LoginKeys | undefined =>
  password === 'POSTGRES_PASSWORD' ? undefined : { password };

/** `envFrom`: the Secret's keys are the variables' names, less a prefix; which of them it has isn't known. */
function fromWholeSecrets(
  { envFrom = [] }: V1Container,
  user: Source | undefined,
  doubts: readonly string[],
): Superuser {
  const secrets = envFrom.flatMap(({ secretRef, prefix = '' }: V1EnvFromSource) => {
    const password = passwords.find((name) => name.startsWith(prefix) && name !== prefix);
    return secretRef?.name === undefined || password === undefined
      ? []
      : [{ secret: secretRef.name, prefix, key: password.slice(prefix.length) }];
  });
  const [first, ...others] = [...secrets].sort((one, other) => likelihood(other.secret) - likelihood(one.secret));
  if (first === undefined) {
    const maps = envFrom.flatMap(({ configMapRef }) => (configMapRef?.name === undefined ? [] : [configMapRef.name]));
    return {
      missing:
        maps.length === 0
          ? 'no Secret with its password is referred to'
          : `its password seems to lie in ConfigMap ${maps.join(' or ')}: put it into a Secret`,
    };
  }
  const { secret, prefix, key } = first;
  const more =
    others.length === 0
      ? []
      : [`the password may as well lie in Secret ${others.map((other) => other.secret).join(' or ')}`];
  if (user !== undefined || prefix === '') {
    const reference = inSecret({ from: 'secret', secret, key }, user, doubts);
    return { ...reference, doubts: [...reference.doubts, ...more] };
  }
  const userKey = users.find((name) => name.startsWith(prefix) && name !== prefix)?.slice(prefix.length);
  return {
    secret,
    passwordKey: key,
    userKey,
    keys: { ...(userKey === undefined ? {} : { user: userKey }), password: key },
    user: undefined,
    doubts: [...doubts, ...more],
  };
}

const likelihood = (secret: string) => (/postgres|pgsql|(^|-)(pg|db)(-|$)/.test(secret) ? 1 : 0);
