import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';
import { withSession } from '../../src/postgres/connection.ts';
import { inspectDatabase } from '../../src/postgres/inspect-database.ts';
import { inspectServer } from '../../src/postgres/inspect.ts';
import { addressOf } from './swap/pair.ts';

describe.each(availableMajors())('a look at PostgreSQL %i', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major });
    await server.psql(
      'postgres',
      `CREATE ROLE app LOGIN; CREATE ROLE reader; CREATE ROLE by_policy; CREATE ROLE by_setting; CREATE ROLE stranger;
       CREATE DATABASE app OWNER app CONNECTION LIMIT 5;
       ALTER ROLE by_setting IN DATABASE app SET work_mem = '1MB';
       SET allow_in_place_tablespaces = on; CREATE TABLESPACE space LOCATION ''; CREATE TABLESPACE unused LOCATION ''`,
    );
    await server.psql(
      'app',
      `CREATE SCHEMA two AUTHORIZATION app;
       CREATE EXTENSION hstore SCHEMA two;
       SET SESSION AUTHORIZATION app;
       CREATE TABLE two.a (i int);
       GRANT SELECT ON two.a TO reader;
       RESET SESSION AUTHORIZATION;
       CREATE POLICY p ON two.a TO by_policy USING (true);
       CREATE TABLE two.b (i int) TABLESPACE space;
       ALTER TABLE two.b OWNER TO app;
       CREATE VIEW two.v AS SELECT * FROM two.a;
       ALTER VIEW two.v OWNER TO app;
       CREATE TEMPORARY TABLE t (i int)`,
    );
  });

  afterAll(() => server.stop());

  it('tells the server, its databases in order, its roles and tablespaces', async () => {
    const look = await withSession(addressOf(server), {}, (session) => inspectServer(session));
    expect(look.server).toEqual({
      version: expect.stringContaining(String(major)),
      versionNum: expect.any(Number),
      systemIdentifier: await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
      timeline: 1,
      inRecovery: false,
      bootstrapRole: 'postgres',
    });
    expect(look.canReadPasswords).toBe(true);
    expect(look.databases.map(({ name }) => name)).toEqual(['template1', 'app', 'postgres', 'template0']);
    expect(look.databases.find(({ name }) => name === 'app')).toMatchObject({
      ...{ owner: 'app', encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8', localeProvider: 'libc', locale: null },
      ...{ icuRules: null, tablespace: 'pg_default', connectionLimit: 5, isTemplate: false },
      bytes: expect.any(Number),
    });
    expect([...look.closed.keys()]).toEqual(['template0']);
    expect(look.roles.map(({ name }) => name)).toEqual([
      'app',
      'by_policy',
      'by_setting',
      'postgres',
      'reader',
      'stranger',
    ]);
    expect(look.roles.find(({ name }) => name === 'app')).toEqual({ name: 'app', superuser: false, canLogin: true });
    expect(look.tablespaces.map(({ name }) => name)).toEqual(['space', 'unused']);
  });

  it('tells what a database needs, and nothing that it does not', async () => {
    const contents = await withSession(addressOf(server, 'app'), {}, (session) => inspectDatabase(session));
    expect(contents.tables.map(({ schema, name }) => `${schema}.${name}`)).toEqual(['two.a', 'two.b']);
    expect(contents.extensions.map(({ name, schema }) => `${name} in ${schema}`)).toEqual([
      'hstore in two',
      'plpgsql in pg_catalog',
    ]);
    // The bootstrap role owns the extension only, and that belongs to whoever restores it.
    expect(contents.roles).toEqual(['app', 'by_policy', 'by_setting', 'reader']);
    expect(contents.tablespaces).toEqual(['space']);
  });

  it('tells that the bootstrap role is needed where something of it is there', async () => {
    await server.psql('app', 'CREATE TABLE two.of_postgres (i int)');
    const contents = await withSession(addressOf(server, 'app'), {}, (session) => inspectDatabase(session));
    expect(contents.roles).toContain('postgres');
  });
});
