import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { Session } from '../../../src/postgres/connection.ts';
import { quoteIdent, quoteLiteral } from '../../../src/postgres/quote.ts';
import { connectBeside, createCopy, dropCopy, markLoaded } from '../../../src/postgres/restore/beside.ts';
import { createDatabaseStatement, type LocaleRecord } from '../../../src/postgres/restore/create-database.ts';
import { isOurs, markLimit, readRestoreMark, restoreMark } from '../../../src/postgres/restore/mark.ts';
import { inspectServer } from '../../../src/postgres/inspect.ts';
import { makeSample, oddNames } from '../dump/sample.ts';
import { addressOf } from '../swap/pair.ts';
import { inSession, loadInto, plainOf, stored } from './contents.ts';

const plain: LocaleRecord = {
  encoding: 'UTF8',
  collate: 'C.UTF-8',
  ctype: 'C.UTF-8',
  localeProvider: 'libc',
  locale: null,
  icuRules: null,
};

/** Everything about every database and role that a restore beside must not touch. */
const catalogs = (server: PostgresServer) =>
  server.psql(
    'postgres',
    `SELECT d.oid, d.datname, d.datdba, d.datistemplate, d.datallowconn, d.datconnlimit, d.dattablespace, d.datacl FROM pg_database d ORDER BY d.oid;
     SELECT * FROM pg_db_role_setting ORDER BY 1, 2;
     SELECT * FROM pg_shdescription ORDER BY 1, 2;
     SELECT * FROM pg_shseclabel ORDER BY 1, 2;
     SELECT oid, rolname, rolconfig, rolsuper FROM pg_roles ORDER BY 1;
     SELECT * FROM pg_auth_members ORDER BY 1, 2`,
  );

describe.each([15, 17] as const)('a copy beside the live database on postgresql %i', (major) => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
  });
  afterAll(() => server.stop());

  const make = (name: string, record = plain, run = '1a2b3c4d') =>
    inSession(server, (session) =>
      createCopy(addressOf(server), session, { run, name, record, owner: null, tablespace: null }),
    );
  const drop = (name: string, run = '1a2b3c4d', oid?: number) =>
    inSession(server, (session) =>
      dropCopy(addressOf(server), session, { name, run, ...(oid === undefined ? {} : { oid }) }),
    );

  it('is loaded and dropped without a trace in any catalog of the live one', async () => {
    const before = await catalogs(server);
    const contents = await plainOf(server, 'app');
    const copy = await make('app_new_1a2b3c4d');
    await loadInto(server, { database: copy.name, oid: copy.oid, stored: stored(contents) });
    const own = new RegExp(`^${String(copy.oid)}\\|`);
    const others = (text: string) =>
      text.split('\n').filter((line) => !own.test(line) && !line.includes('holdfast: restore 1a2b3c4d'));
    expect(others(await catalogs(server))).toEqual(before.split('\n'));
    await drop(copy.name);
    expect(await catalogs(server)).toBe(before);
  });

  it('is marked as the run’s, closed to the public, and takes any name', async () => {
    for (const name of oddNames.map((each) => `2${each.slice(0, 30)}`)) {
      const { oid } = await make(name);
      const found = await server.psql(
        'postgres',
        `SELECT oid, shobj_description(oid, 'pg_database'), datallowconn, has_database_privilege('granting', oid, 'CONNECT') FROM pg_database WHERE datname = ${quoteLiteral(name)}`,
      );
      expect(found).toBe(`${String(oid)}|holdfast: restore 1a2b3c4d|t|f`);
      expect(await drop(name)).toBe(true);
      expect(await drop(name)).toBe(false);
    }
  });

  it('has the encoding and the locale of every database that there is', async () => {
    const icu = major >= 16 ? `ICU_RULES = '&a < g'` : '';
    await server.psql(
      'postgres',
      `CREATE DATABASE of_icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' ${icu} LOCALE 'C.UTF-8'`,
    );
    if (major >= 17)
      await server.psql(
        'postgres',
        `CREATE DATABASE of_builtin TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'`,
      );
    const look = () => inSession(server, inspectServer);
    const names = ['latin', 'of_icu', 'app', ...(major >= 17 ? ['of_builtin'] : [])];
    for (const name of names) {
      const locale = async (database: string) => {
        const found = (await look()).databases.find((each) => each.name === database);
        if (found === undefined) throw new Error(`no ${database}`);
        const { encoding, collate, ctype, localeProvider, locale: own, icuRules } = found;
        return { encoding, collate, ctype, localeProvider, locale: own, icuRules };
      };
      const record = await locale(name);
      await make('copied', record);
      expect(await locale('copied')).toEqual(record);
      await drop('copied');
    }
  });

  it('takes the place of what an earlier attempt of the run left, at whatever point that died', async () => {
    const name = 'interrupted_new';
    const first = await make(name);
    const second = await make(name);
    expect(second.oid).not.toBe(first.oid);
    await inSession(server, (session) => markLoaded(session, { ...second, run: '1a2b3c4d' }));
    const third = await make(name);
    expect(third.oid).not.toBe(second.oid);
    await drop(name);
    // Dead between CREATE DATABASE and the comment.
    await inSession(server, async (session) => {
      await session.query(
        createDatabaseStatement(
          { name, record: plain, owner: null, tablespace: null, connectionLimit: markLimit('1a2b3c4d') },
          session.versionNum,
        ),
      );
    });
    await make(name);
    expect(await drop(name)).toBe(true);
  });

  it.each([
    ['of another run', `COMMENT ON DATABASE theirs IS 'holdfast: restore 99999999'`],
    ['of another run that died early', `ALTER DATABASE theirs CONNECTION LIMIT ${String(markLimit('99999999'))}`],
    ['of a person', `COMMENT ON DATABASE theirs IS 'mine'`],
    ['of a person who said nothing', 'SELECT 1'],
    ['that a restore has finished', `COMMENT ON DATABASE theirs IS 'holdfast: restore 1a2b3c4d, done'`],
  ])('never takes the place of a database %s', async (_whose, statement) => {
    await server.psql('postgres', `CREATE DATABASE theirs TEMPLATE template0`);
    await server.psql('postgres', statement);
    const before = await catalogs(server);
    await expect(make('theirs')).rejects.toMatchObject({ type: 'NameTaken' });
    await expect(drop('theirs')).rejects.toMatchObject({ type: 'NameTaken' });
    expect(await catalogs(server)).toBe(before);
    await server.psql('postgres', 'DROP DATABASE theirs');
  });

  it('is never one that PostgreSQL needs, whatever its comment says', async () => {
    await server.psql('postgres', `COMMENT ON DATABASE template1 IS 'holdfast: restore 1a2b3c4d, loaded'`);
    await expect(drop('template1')).rejects.toMatchObject({ type: 'NameTaken' });
    await server.psql('postgres', `COMMENT ON DATABASE template1 IS NULL`);
  });

  it('is dropped under people who are connected to it', async () => {
    const { name } = await make('busy_new');
    const held = inSession(server, (session) => session.query('SELECT pg_sleep(1000)'), name).catch(() => 'ended');
    while ((await server.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = 'busy_new'`)) === '0');
    expect(await drop(name)).toBe(true);
    expect(await held).toBe('ended');
  });

  it('is dropped with the subscriptions in it, and the publisher’s slot stays', async () => {
    const { name } = await make('subscribed_new');
    await server.psql(
      name,
      `CREATE SUBSCRIPTION "odd ""sub" CONNECTION 'host=127.0.0.1 port=1 dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = 'of the live one')`.replace(
        'of the live one',
        'of_the_live_one',
      ),
    );
    expect(await drop(name)).toBe(true);
    expect(await server.psql('postgres', 'SELECT count(*) FROM pg_subscription')).toBe('0');
  });

  it('is left alone by a worker that hung while its successor made another one', async () => {
    const first = await make('fenced_new');
    const second = await make('fenced_new');
    expect(await drop('fenced_new', '1a2b3c4d', first.oid)).toBe(false);
    await expect(
      inSession(server, (session) => markLoaded(session, { ...first, run: '1a2b3c4d' })),
    ).rejects.toMatchObject({ type: 'PlanChanged' });
    await expect(
      loadInto(server, { database: 'fenced_new', oid: first.oid, stored: stored(Buffer.from('CREATE TABLE t ();\n')) }),
    ).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await server.psql('fenced_new', `SELECT to_regclass('t') IS NULL`)).toBe('t');
    expect(await server.psql('postgres', `SELECT shobj_description(${String(second.oid)}, 'pg_database')`)).toBe(
      'holdfast: restore 1a2b3c4d',
    );
    await drop('fenced_new');
  });

  it('is worked on from a database that it doesn’t replace', async () => {
    const from = async (avoid: string[]) => {
      const session: Session = await connectBeside(addressOf(server, 'app'), avoid, {
        applicationName: 'holdfast test',
      });
      const [row] = await session.query<{ name: string }>('SELECT current_database()::text AS name');
      await session.close();
      return row?.name;
    };
    expect(await from([])).toBe('app');
    expect(await from(['app'])).toBe('postgres');
    expect(await from(['app', 'postgres'])).toBe('template1');
    await expect(from(['app', 'postgres', 'template1'])).rejects.toMatchObject({ type: 'PostgresRefused' });
  });

  it('lies in the tablespace and belongs to the role that it was asked for', async () => {
    await server.psql('postgres', `SET allow_in_place_tablespaces = on; CREATE TABLESPACE "fast ts" LOCATION ''`);
    await inSession(server, (session) =>
      createCopy(addressOf(server), session, {
        run: '1a2b3c4d',
        name: 'elsewhere',
        record: plain,
        owner: "Reader's",
        tablespace: 'fast ts',
      }),
    );
    expect(
      await server.psql(
        'postgres',
        `SELECT pg_get_userbyid(datdba), spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = 'elsewhere'`,
      ),
    ).toBe("Reader's|fast ts");
    await drop('elsewhere');
  });
});

describe('the words for a database', () => {
  const icu: LocaleRecord = { ...plain, localeProvider: 'icu', locale: 'de-DE', icuRules: '&a < g' };
  const wishes = (record: LocaleRecord) => ({
    name: 'x"; --',
    record,
    owner: null,
    tablespace: null,
    connectionLimit: 5,
  });

  it('are those of the target’s version', () => {
    expect(createDatabaseStatement(wishes(plain), 130_022)).toBe(
      `CREATE DATABASE ${quoteIdent('x"; --')} WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C.UTF-8' LC_CTYPE = 'C.UTF-8' ALLOW_CONNECTIONS = false CONNECTION LIMIT = 5`,
    );
    expect(createDatabaseStatement(wishes({ ...icu, icuRules: null }), 150_000)).toContain(
      `LOCALE_PROVIDER = icu LC_COLLATE = 'C.UTF-8' LC_CTYPE = 'C.UTF-8' ICU_LOCALE = 'de-DE'`,
    );
    expect(createDatabaseStatement(wishes(icu), 160_000)).toContain(`ICU_RULES = '&a < g'`);
    expect(
      createDatabaseStatement(wishes({ ...plain, localeProvider: 'builtin', locale: 'C.UTF-8' }), 170_000),
    ).toContain(`LOCALE_PROVIDER = builtin LC_COLLATE = 'C.UTF-8' LC_CTYPE = 'C.UTF-8' BUILTIN_LOCALE = 'C.UTF-8'`);
  });

  it.each([
    [icu, 140_000, 'the locale provider icu came with PostgreSQL 15, and the target is 14'],
    [icu, 150_000, 'ICU rules came with PostgreSQL 16, and the target is 15'],
    [
      { ...plain, localeProvider: 'builtin' as const },
      160_000,
      'the locale provider builtin came with PostgreSQL 17, and the target is 16',
    ],
  ])('are missing where the version has none', (record, versionNum, why) => {
    expect(() => createDatabaseStatement(wishes(record), versionNum)).toThrow(why);
  });
});

describe('a mark', () => {
  it.each([
    { run: '1a2b3c4d', state: 'making' },
    { run: '1a2b3c4d', state: 'loaded', verified: { tables: 3, rows: 40_000_000_000 } },
    { run: 'x', state: 'done', verified: { tables: 0, rows: 0 }, comment: 'theirs,\nin two lines' },
    { run: 'x', state: 'done', comment: '' },
    { run: 'x', state: 'aside' },
  ] as const)('is read as it was written: %j', (mark) => {
    expect(readRestoreMark(restoreMark(mark))).toEqual({ verified: null, comment: null, ...mark });
  });

  it.each([
    null,
    '',
    'holdfast',
    'holdfast: restore',
    'my holdfast: restore 1a2b3c4d',
    'holdfast: restore 1a2b3c4d.',
    'holdfast: swap, closed at 1',
  ])('is not seen in %j', (comment) => {
    expect(readRestoreMark(comment)).toBeUndefined();
  });

  it('is the run’s own only', () => {
    expect(isOurs({ comment: 'holdfast: restore a', connectionLimit: -1 }, 'a')).toBe(true);
    expect(isOurs({ comment: 'holdfast: restore a', connectionLimit: markLimit('b') }, 'b')).toBe(false);
    expect(isOurs({ comment: null, connectionLimit: markLimit('b') }, 'b')).toBe(true);
    expect(isOurs({ comment: null, connectionLimit: -1 }, 'b')).toBe(false);
    expect(isOurs({ comment: 'holdfast: restore a, done', connectionLimit: -1 }, 'a')).toBe(false);
  });
});
