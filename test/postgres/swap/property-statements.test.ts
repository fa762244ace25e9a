import { expect, it } from '@jest/globals';
import type { DatabaseProperties, DatabasePrivilege } from '../../../src/domain/swap-report.ts';
import { compareProperties, describeDifference } from '../../../src/postgres/swap/differences.ts';
import { propertyStatements, tablespaceStatement } from '../../../src/postgres/swap/property-statements.ts';

const grant = (grantor: string, grantee: string | null, privilege: string, grantable = false): DatabasePrivilege => ({
  ...{ grantor, grantee, privilege, grantable },
});

const plain: DatabaseProperties = {
  owner: 'app',
  tablespace: 'pg_default',
  connectionLimit: -1,
  isTemplate: false,
  comment: null,
  settings: [],
  privileges: [grant('app', null, 'CONNECT'), grant('app', 'app', 'CONNECT')],
  securityLabels: [],
};

it('equal properties need no statement', () => {
  expect(propertyStatements('db', plain, plain)).toEqual([]);
  expect(tablespaceStatement('db', plain, plain)).toBeUndefined();
  expect(compareProperties(plain, plain)).toEqual([]);
});

it('each property that differs is one difference, and is set', () => {
  const wanted: DatabaseProperties = {
    owner: 'app',
    tablespace: 'fast "disk"',
    connectionLimit: 5,
    isTemplate: true,
    comment: `it's \\ here`,
    settings: [
      { role: null, name: 'search_path', value: '"$user", public' },
      { role: 'a "role"', name: 'work_mem', value: '9MB' },
    ],
    privileges: plain.privileges,
    securityLabels: [{ provider: 'selinux', label: 'l' }],
  };
  expect(propertyStatements('d"b', plain, wanted)).toEqual([
    `ALTER DATABASE "d""b" SET "search_path" TO '$user', 'public'`,
    `ALTER ROLE "a ""role""" IN DATABASE "d""b" SET "work_mem" TO '9MB'`,
    `COMMENT ON DATABASE "d""b" IS E'it''s \\\\ here'`,
    `SECURITY LABEL FOR "selinux" ON DATABASE "d""b" IS 'l'`,
    'ALTER DATABASE "d""b" CONNECTION LIMIT 5',
    'ALTER DATABASE "d""b" IS_TEMPLATE true',
  ]);
  expect(tablespaceStatement('d"b', plain, wanted)).toBe('ALTER DATABASE "d""b" SET TABLESPACE "fast ""disk"""');
  expect(compareProperties(wanted, plain).map(({ weight, property }) => `${weight} ${property}`)).toEqual([
    'record tablespace',
    'effect connection limit',
    'effect is template',
    'effect comment',
    'effect setting search_path',
    'effect setting work_mem of role a "role"',
    'effect security label of selinux',
  ]);
});

it('what the copy had and the live one has not is taken away', () => {
  const had: DatabaseProperties = {
    ...plain,
    comment: 'holdfast: restore 1a2b3c4d',
    settings: [
      { role: null, name: 'jit', value: 'off' },
      { role: 'r', name: 'jit', value: 'on' },
    ],
    securityLabels: [{ provider: 'selinux', label: 'l' }],
  };
  expect(propertyStatements('db', had, plain)).toEqual([
    'ALTER DATABASE "db" RESET "jit"',
    'ALTER ROLE "r" IN DATABASE "db" RESET "jit"',
    'COMMENT ON DATABASE "db" IS NULL',
    'SECURITY LABEL FOR "selinux" ON DATABASE "db" IS NULL',
  ]);
});

it('rights are granted in the order in which their grantors get to hold them', () => {
  const wanted: DatabaseProperties = {
    ...plain,
    privileges: [
      grant('c', 'd', 'CONNECT'),
      grant('b', 'c', 'CONNECT', true),
      grant('app', 'b', 'CONNECT', true),
      grant('app', 'b', 'CREATE', true),
      grant('app', 'e', 'CONNECT'),
    ],
  };
  expect(propertyStatements('db', plain, wanted)).toEqual([
    'REVOKE ALL PRIVILEGES ON DATABASE "db" FROM PUBLIC CASCADE',
    'REVOKE ALL PRIVILEGES ON DATABASE "db" FROM "app" CASCADE',
    'GRANT CONNECT, CREATE ON DATABASE "db" TO "b" WITH GRANT OPTION',
    'GRANT CONNECT ON DATABASE "db" TO "e"',
    'SET LOCAL ROLE "b"',
    'GRANT CONNECT ON DATABASE "db" TO "c" WITH GRANT OPTION',
    'RESET ROLE',
    'SET LOCAL ROLE "c"',
    'GRANT CONNECT ON DATABASE "db" TO "d"',
    'RESET ROLE',
  ]);
});

it('a right whose grantor never gets to hold it is granted by the owner', () => {
  const wanted = { ...plain, privileges: [grant('former superuser', 'd', 'CONNECT')] };
  expect(propertyStatements('db', plain, wanted).at(-1)).toBe('GRANT CONNECT ON DATABASE "db" TO "d"');
});

it('a new owner comes first, and rights are settled anew with him', () => {
  const [first, ...rest] = propertyStatements('db', { ...plain, owner: 'maker' }, plain);
  expect(first).toBe('ALTER DATABASE "db" OWNER TO "app"');
  expect(rest).toContain('GRANT CONNECT ON DATABASE "db" TO PUBLIC');
});

it('two spellings of one list, or of a name, are no difference', () => {
  const setting = (name: string, value: string) => ({ ...plain, settings: [{ role: null, name, value }] });
  const [a, b] = [setting('search_path', '"$user",  public'), setting('Search_Path', '"$user", "public"')];
  expect(compareProperties(a, b)).toEqual([]);
  expect(propertyStatements('db', a, b)).toEqual([]);
  expect(propertyStatements('db', a, setting('search_path', '"$user"'))).toHaveLength(1);
});

it('an empty list is set from the session, as no literal means it', () => {
  const wanted = { ...plain, settings: [{ role: null, name: 'search_path', value: '' }] };
  expect(propertyStatements('db', plain, wanted)).toEqual([
    `SELECT pg_catalog.set_config('search_path', '', true)`,
    'ALTER DATABASE "db" SET "search_path" FROM CURRENT',
  ]);
});

it('who granted a right is a matter of record, who holds it one of effect', () => {
  const other = { ...plain, privileges: [grant('b', null, 'CONNECT'), grant('app', 'app', 'CONNECT')] };
  expect(compareProperties(plain, other).map(describeDifference)).toEqual([
    "grantor of CONNECT to PUBLIC: expected 'app', found 'b'",
  ]);
  expect(compareProperties(plain, other)[0]?.weight).toBe('record');
  const fewer = { ...plain, privileges: [grant('app', 'app', 'CONNECT', true)] };
  expect(compareProperties(plain, fewer).map(describeDifference)).toEqual([
    "privileges of PUBLIC: expected 'CONNECT', found none",
    "privileges of role app: expected 'CONNECT', found 'CONNECT WITH GRANT OPTION'",
  ]);
});
