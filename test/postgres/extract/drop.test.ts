import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { dropSchema } from '../../../src/postgres/extract/drop.ts';
import { addressOf } from '../swap/pair.ts';
import { catalogsOf, leftBehind, makePlaces, makeRoles, move, run } from './world.ts';

describe('giving up a new schema', () => {
  let server: PostgresServer;
  let places: Awaited<ReturnType<typeof makePlaces>>;
  let before: string;

  beforeAll(async () => {
    server = await startPostgres({ major: 15 });
    await makeRoles(server);
    places = await makePlaces(server, 'app');
    before = await catalogsOf(server, 'app', '');
    await move(server, {
      ...places,
      schema: `odd "one"`,
      selection: {
        schemas: ['whole'],
        tables: [
          ['public', 'orders'],
          ['public', 'events'],
        ],
      },
    });
  });
  afterAll(() => server.stop());

  const drop = (wishes: Partial<Parameters<typeof dropSchema>[0]> = {}) =>
    dropSchema({
      server: addressOf(server),
      live: places.live,
      schema: `odd "one"`,
      run,
      signal: new AbortController().signal,
      ...wishes,
    });

  it.each([
    [
      'a view',
      'CREATE VIEW used AS SELECT count(*) FROM "odd ""one""".orders',
      'rule "_RETURN" on public.used',
      'DROP VIEW used',
    ],
    [
      'a foreign key',
      'CREATE TABLE used (id bigint REFERENCES "odd ""one""".orders)',
      'table constraint used_id_fkey on public.used',
      'DROP TABLE used',
    ],
    ['a column', 'CREATE TABLE used (kind "odd ""one""".kind)', 'table public.used', 'DROP TABLE used'],
    [
      'a column’s default',
      `CREATE TABLE used (id int DEFAULT nextval('"odd ""one""".free'))`,
      'default value for public.used.id',
      'DROP TABLE used',
    ],
    [
      'a function’s argument',
      'CREATE FUNCTION used("odd ""one""".kind) RETURNS int LANGUAGE sql RETURN 1',
      'function public.used("odd ""one""".kind)',
      'DROP FUNCTION used',
    ],
    [
      'a publication',
      'SET client_min_messages = error; CREATE PUBLICATION used FOR TABLE "odd ""one""".orders',
      'publication relation "odd ""one""".orders in publication used',
      'DROP PUBLICATION used',
    ],
    [
      'a policy',
      'CREATE TABLE used (); CREATE POLICY p ON used USING (EXISTS (SELECT FROM "odd ""one""".orders))',
      'policy p on public.used',
      'DROP TABLE used',
    ],
  ])('does not take %s along that somebody has made upon it', async (_what, make, name, unmake) => {
    await server.psql('app', make);
    await expect(drop()).rejects.toMatchObject({
      type: 'TargetNotEmpty',
      message: `schema 'odd "one"' is used from outside and is kept: ${name}`,
    });
    await server.psql('app', unmake);
  });

  it('touches nothing that another run or a person made', async () => {
    await expect(drop({ run: 'another' })).rejects.toMatchObject({ type: 'NameTaken' });
    await expect(drop({ schema: 'shared' })).rejects.toMatchObject({ type: 'NameTaken' });
    await expect(drop({ live: { ...places.live, oid: 1 } })).rejects.toMatchObject({ type: 'PlanChanged' });
  });

  it('leaves the live database as it was before, and done twice is done once', async () => {
    expect(await drop()).toBe(true);
    expect(await drop()).toBe(false);
    expect(await catalogsOf(server, 'app', '')).toBe(before);
    expect(await leftBehind(server)).toBe('');
  });
});
