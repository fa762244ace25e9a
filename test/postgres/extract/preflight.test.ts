import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { preflightExtract, type ExtractQuestion } from '../../../src/postgres/extract/preflight.ts';
import { similarNames, similarTables } from '../../../src/postgres/extract/similar.ts';
import { inSession } from '../restore/contents.ts';
import { oidOf } from '../swap/pair.ts';

const record: ExtractQuestion['record'] = {
  tables: [
    ['public', 'orders', 300],
    ['public', 'customers', 100],
    ['archive', 'orders', 600],
    ['parts', 'p', null],
  ],
  extensions: [
    { name: 'plpgsql', version: '1.0', schema: 'pg_catalog' },
    { name: 'citext', version: '1.6', schema: 'public' },
  ],
  roles: ['postgres', 'gone'],
  bytes: 10_000_000,
};

describe('what is known of a live database before tables are put into it', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ major: 17 });
    await server.psql('postgres', 'CREATE DATABASE app');
  });
  afterAll(() => server.stop());

  const ask = async (wishes: Partial<ExtractQuestion> = {}) => {
    const live = { name: 'app', oid: await oidOf(server, 'app') };
    const selection = { schemas: [], tables: [['public', 'orders'] as const] };
    const question = { live, schema: 'restored', record, selection, run: '1a2b3c4d', ...wishes };
    return inSession(server, (session) => preflightExtract(session, question), 'app');
  };
  const none = { count: 0, first: [] };

  it('tells size and rows of what was chosen, and what is lacking', async () => {
    expect(await ask()).toEqual({
      schemaFree: true,
      notInBackup: none,
      tables: 1,
      rows: 300,
      needBytes: 3_000_000,
      missingExtensions: { count: 1, first: ['citext'] },
      missingRoles: { count: 1, first: ['gone'] },
      publishesAllTables: none,
      eventTriggers: none,
    });
    expect(await ask({ selection: { schemas: ['parts'], tables: [] } })).toMatchObject({
      tables: 1,
      rows: null,
      needBytes: null,
    });
  });

  it('tells what the backup does not have, and what may have been meant', async () => {
    const { notInBackup, tables } = await ask({
      selection: {
        schemas: ['Public'],
        tables: [
          ['public', 'ordres'],
          ['archive', 'customers'],
          ['x', 'y'],
        ],
      },
    });
    expect(tables).toBe(0);
    expect(notInBackup.first).toEqual([
      { what: 'table "public"."ordres"', similar: ['"public"."orders"', '"archive"."orders"'] },
      { what: 'table "archive"."customers"', similar: ['"public"."customers"'] },
      { what: 'table "x"."y"', similar: [] },
      { what: "schema 'Public'", similar: ['public'] },
    ]);
  });

  it('tells whether the name is free: for the run that made the schema it is', async () => {
    await server.psql(
      'app',
      `CREATE SCHEMA restored; COMMENT ON SCHEMA restored IS 'holdfast: restore 1a2b3c4d, loaded'`,
    );
    expect(await ask()).toMatchObject({ schemaFree: true });
    expect(await ask({ run: 'another' })).toMatchObject({ schemaFree: false });
    await server.psql('app', 'COMMENT ON SCHEMA restored IS NULL');
    expect(await ask()).toMatchObject({ schemaFree: false });
    await expect(ask({ schema: 'pg_new' })).rejects.toMatchObject({ type: 'InvalidArgument' });
    await expect(ask({ live: { name: 'app', oid: 1 } })).rejects.toMatchObject({ type: 'PlanChanged' });
  });

  it('tells who would hear of new tables', async () => {
    await server.psql(
      'app',
      `SET client_min_messages = error; CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION nothing;
       CREATE FUNCTION heard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
       CREATE EVENT TRIGGER listening ON ddl_command_end EXECUTE FUNCTION heard();
       CREATE EVENT TRIGGER deaf ON ddl_command_end EXECUTE FUNCTION heard(); ALTER EVENT TRIGGER deaf DISABLE`,
    );
    expect(await ask()).toMatchObject({
      publishesAllTables: { count: 1, first: ['everything'] },
      eventTriggers: { count: 1, first: ['listening'] },
    });
  });
});

describe('names that may have been meant', () => {
  it.each([
    ['user', ['users', 'User', 'orders'], ['User', 'users']],
    ['a', ['b', 'A'], ['A']],
    ['event_2025', ['events_2025', 'events_2026', 'event'], ['events_2025', 'events_2026']],
    ['', ['a'], []],
  ])('for %j among %j: %j', (name, known, expected) => {
    expect(similarNames(name, known)).toEqual(expected);
  });

  it('are looked for in the same schema first, three at most', () => {
    const known = ['a', 'b', 'c', 'd'].map((schema) => [schema, 'orders'] as const);
    expect(similarTables(['c', 'order'], known).map(([schema]) => schema)).toEqual(['c', 'a', 'b']);
  });
});
