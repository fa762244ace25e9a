import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { Session } from '../../../src/postgres/connection.ts';
import { loadable } from '../../../src/postgres/script/loadable.ts';
import { readProperties } from '../../../src/postgres/swap/properties.ts';
import { makeSample } from '../dump/sample.ts';
import { withoutKeys } from '../dump/dumping.ts';
import { inSession, loadInto, stored } from '../restore/contents.ts';
import { makeNasty } from './nasty.ts';
import { dumpBytes, passed, survey } from './reading.ts';

const variants: readonly (readonly string[])[] = [
  [],
  ['--create'],
  ['--clean'],
  ['--clean', '--if-exists', '--create', '--quote-all-identifiers'],
  ['--inserts'],
  ['--column-inserts', '--rows-per-insert=3', '--on-conflict-do-nothing'],
  ['--disable-dollar-quoting', '--disable-triggers'],
  ['--load-via-partition-root', '--no-comments'],
];

/** The same tables, each with the rows that the server counts. */
async function rowsOf(session: Session, tables: readonly (readonly [schema: string, table: string, ...unknown[]])[]) {
  const counted = [];
  for (const [schema, table] of tables) {
    const from = `"${schema.replaceAll('"', '""')}"."${table.replaceAll('"', '""')}"`;
    const [row] = await session.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ONLY ${from}`);
    counted.push([schema, table, row?.rows]);
  }
  return counted;
}

describe.each([
  [15, variants],
  [17, variants.slice(3, 4)],
  [18, variants.slice(0, 2)],
] as const)('dumps of postgresql %i', (major, tried) => {
  let server: PostgresServer;
  let names = 0;
  const original = new Map<string, string>();

  const again = async (database: string) =>
    withoutKeys((await dumpBytes(server, 'pg_dump', database, '--no-subscriptions')).toString());
  const empty = async () => {
    const name = `into_${String((names += 1))}`;
    await server.psql('postgres', `CREATE DATABASE ${name} TEMPLATE template0`);
    return name;
  };

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
    await makeNasty(server);
    for (const database of ['app', 'nasty']) original.set(database, await again(database));
  });
  afterAll(() => server.stop());

  it.each(tried.flatMap((args) => ['app', 'nasty'].map((database) => [database, args] as const)))(
    'of %s with %j hold nothing to be allowed, and load equal',
    async (database, args) => {
      const bytes = await dumpBytes(server, 'pg_dump', database, '--no-subscriptions', ...args);
      const found = await survey(bytes, { unnamed: database });
      expect(found).toMatchObject({ incomplete: null, findings: [], of: 'database' });
      expect(found.databases.map(({ name }) => name)).toEqual([database]);
      const target = await empty();
      const options = { database, allow: [], restrictKey: 'abc123' };
      await loadInto(server, { database: target, stored: loadable(stored(bytes), options) });
      const expected = original.get(database) ?? '';
      if (args.includes('--no-comments')) return;
      expect(await again(target)).toBe(expected);
    },
  );

  it('with SET SESSION AUTHORIZATION hold nothing to be allowed', async () => {
    const bytes = await dumpBytes(server, 'pg_dump', 'nasty', '--use-set-session-authorization', '--no-subscriptions');
    expect(await survey(bytes)).toMatchObject({ incomplete: null, findings: [] });
  });

  it('says of every database of a cluster what the server says', async () => {
    for (const name of ['new\nline', `all "of\nit' \\ \\n`, 'carriage\rreturn'])
      await server.psql('postgres', `DROP DATABASE "${name.replaceAll('"', '""')}"`);
    for (const args of [[], ['--clean', '--if-exists'], ['--quote-all-identifiers']]) {
      const bytes = await dumpBytes(server, 'pg_dumpall', 'postgres', ...args);
      const found = await survey(bytes);
      expect(found).toMatchObject({ incomplete: null, findings: [], of: 'cluster', bootstrapRole: 'postgres' });
      expect(found.parts.reduce((at, { offset, length }) => (offset === at ? at + length : -1), 0)).toBe(bytes.length);
      const listed = await server.psql('postgres', `SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1`);
      expect(found.databases.map(({ name }) => name).sort()).toEqual(listed.split('\n').sort());
      for (const { name, properties, tables } of found.databases) {
        const told = await inSession(server, (session) => readProperties(session, name), name);
        if (properties !== null) expect({ name, ...properties }).toEqual({ name, ...told });
        const counted = tables.filter(([, , rows]) => rows !== null);
        const rows = await inSession(server, (session) => rowsOf(session, counted), name);
        expect([name, counted]).toEqual([name, rows]);
      }
      expect(await survey(bytes, {}, 777)).toEqual(found);
    }
  });

  it('restores one database of a whole file', async () => {
    const bytes = await dumpBytes(server, 'pg_dumpall', 'postgres', '--clean', '--if-exists', '--no-subscriptions');
    const { parts } = await survey(bytes);
    for (const database of ['app', 'nasty']) {
      const part = parts.find((one) => one.database === database);
      if (part === undefined) throw new Error(`no part of ${database}`);
      const target = await empty();
      const content = bytes.subarray(part.offset, part.offset + part.length);
      await loadInto(server, { database: target, stored: loadable(stored(content), { database, allow: [] }) });
      expect(await again(target)).toBe(original.get(database));
    }
  });

  it('keeps every definition and only the chosen rows', async () => {
    const bytes = await dumpBytes(server, 'pg_dump', 'nasty');
    const selection = {
      schemas: [],
      tables: [
        ['s', 'parts'],
        ['public', 'wide'],
      ] as const,
    };
    for (const wishes of [{ trusted: true }, {}]) {
      const target = await empty();
      const options = { database: 'nasty', allow: [], selection, ...wishes };
      await loadInto(server, { database: target, stored: loadable(stored(bytes), options) });
      const count = (table: string) => server.psql(target, `SELECT count(*) FROM ${table}`);
      expect(await count('s.parts')).toBe('2');
      expect(await count('wide')).toBe('3');
      expect(await count('s.refers')).toBe('0');
      expect(await count(`"Sch;ema '--"."tab'le"`)).toBe('0');
      expect(await server.psql(target, 'SELECT last_value FROM serial_like')).toBe('42');
      expect(await count(`pg_constraint WHERE contype = 'f'`)).toBe('0');
      expect(await count(`pg_trigger WHERE NOT tgisinternal`)).toBe('0');
      expect(await count('pg_event_trigger')).toBe('0');
      expect(await count('pg_publication')).toBe('0');
      expect(await count('pg_largeobject_metadata')).toBe('0');
      expect(await count(`pg_policy`)).toBe('1');
    }
  });

  it('gives out the same in whatever pieces it comes', async () => {
    const bytes = await dumpBytes(server, 'pg_dump', 'nasty', '--create', '--clean');
    const whole = await passed(bytes, { database: 'nasty' }, bytes.length);
    for (const chunk of [1, 7, 1000])
      expect((await passed(bytes, { database: 'nasty' }, chunk)).equals(whole)).toBe(true);
    expect(whole.toString().split('\n').length).toBe(bytes.toString().split('\n').length);
  });
});
