import { describe, expect, test } from '@jest/globals';
import { loginOf } from '../../src/kubernetes/login.ts';

describe('the superuser in a Secret', () => {
  test.each([
    ["Docker's image", { POSTGRES_USER: 'admin', POSTGRES_PASSWORD: 'one' }, { user: 'admin', password: 'one' }],
    ["Docker's image, without a user of its own", { POSTGRES_PASSWORD: 'one' }, { user: 'postgres', password: 'one' }],
    [
      "Bitnami's chart, beside an application's and the replication's",
      { password: 'app', 'postgres-password': 'one', 'replication-password': 'two' },
      { user: 'postgres', password: 'one' },
    ],
    ["Bitnami's older chart", { 'postgresql-password': 'one' }, { user: 'postgres', password: 'one' }],
    [
      "Bitnami's image",
      { POSTGRESQL_USERNAME: 'app', POSTGRESQL_PASSWORD: 'app', POSTGRESQL_POSTGRES_PASSWORD: 'one' },
      { user: 'postgres', password: 'one' },
    ],
    [
      'CloudNativePG',
      { username: 'postgres', password: 'one', dbname: '*', host: 'c-rw', port: '5432', uri: 'postgresql://…' },
      { user: 'postgres', password: 'one' },
    ],
    ['kubectl --from-file', { username: 'postgres\n', password: 'o ne\n' }, { user: 'postgres', password: 'o ne' }],
    [
      'one that says where, too',
      { POSTGRES_USER: 'admin', POSTGRES_PASSWORD: 'one', POSTGRES_HOST: 'postgres-lb', POSTGRES_PORT: '5433' },
      { user: 'admin', password: 'one', host: 'postgres-lb', port: 5433 },
    ],
  ])('of %s', (_, data, login) => {
    const { passwordKey, ...found } = loginOf(data, 'infra/postgres-admin');
    expect(found).toEqual(login);
    expect((data as Record<string, string>)[passwordKey]).toMatch(login.password);
  });

  test('under names of its own is found by those', () => {
    const data = { 'db-user': 'root', 'db-secret': 'one', password: 'another' };
    expect(loginOf(data, 's', { keys: { user: 'db-user', password: 'db-secret' } })).toEqual({
      user: 'root',
      password: 'one',
      passwordKey: 'db-secret',
    });
    expect(loginOf(data, 's', { keys: { password: 'db-secret' } })).toMatchObject({
      user: 'postgres',
      password: 'one',
    });
  });

  test.each([
    [{}, '(none)'],
    [{ zeta: 'hidden', alpha: 'hidden' }, 'alpha, zeta'],
  ])('that is not there is missed with the names that are, and no value', (data, names) => {
    const missing = () => loginOf(data, 'infra/postgres-admin');
    expect(missing).toThrow(
      expect.objectContaining({
        type: 'ConfigurationInvalid',
        message: `Secret infra/postgres-admin has no user and password under names that are known; its keys are: ${names}`,
      }),
    );
    expect(missing).not.toThrow(/hidden/);
  });

  test('is who the configuration says, where the Secret does not', () => {
    expect(loginOf({ POSTGRES_PASSWORD: 'one' }, 's', { user: 'admin' })).toMatchObject({
      user: 'admin',
      password: 'one',
    });
    const chart = { 'postgres-password': 'one', password: 'two' };
    expect(loginOf(chart, 's', { user: 'app' })).toMatchObject({ user: 'app', password: 'two' });
    expect(loginOf(chart, 's', { user: 'postgres' })).toMatchObject({ user: 'postgres', password: 'one' });
    expect(loginOf(chart, 's', { user: 'app', keys: { password: 'postgres-password' } })).toMatchObject({
      password: 'one',
    });
  });

  test('under a name of its own that is not there is not looked for under another', () => {
    expect(() => loginOf({ password: 'x' }, 's', { keys: { password: 'db-secret' } })).toThrow(/keys are: password/);
  });
});
