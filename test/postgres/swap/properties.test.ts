import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { connect, type Session } from '../../../src/postgres/connection.ts';
import { quoteIdent } from '../../../src/postgres/quote.ts';
import { applyProperties, compareProperties, readProperties } from '../../../src/postgres/swap/properties.ts';
import { addressOf } from './pair.ts';

describe.each(availableMajors())('the properties of a database on postgresql %i', (major) => {
  let server: PostgresServer;
  let session: Session;
  let made = 0;

  beforeAll(async () => {
    server = await startPostgres({ major });
    session = await connect(addressOf(server));
    await server.psql(
      'postgres',
      `CREATE ROLE "o'wn""er"; CREATE ROLE granter; CREATE ROLE middle; CREATE ROLE reader; CREATE ROLE "Ünï $(id)";
       SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''`,
    );
  });
  afterAll(async () => {
    await session.close();
    await server.stop();
  });

  /** A database of that name, changed by SQL in which @ stands for its name. */
  const make = async (sql: string, name = `d${String((made += 1))} "q" $(id)`) => {
    await server.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0`);
    await server.psql('postgres', sql.replaceAll('@', quoteIdent(name)));
    return name;
  };
  /** The catalog's own row; the order of an ACL's items means nothing. */
  const rights = (name: string) =>
    session.query(
      `SELECT pg_get_userbyid(datdba) AS owner, ARRAY(SELECT item::text FROM unnest(datacl) item ORDER BY 1) AS acl, datconnlimit, datistemplate FROM pg_database WHERE datname = $1::text`,
      [name],
    );

  const everything = `
    ALTER DATABASE @ OWNER TO "o'wn""er";
    REVOKE ALL ON DATABASE @ FROM PUBLIC;
    GRANT TEMPORARY ON DATABASE @ TO PUBLIC;
    GRANT CREATE, CONNECT ON DATABASE @ TO granter WITH GRANT OPTION;
    SET ROLE granter; GRANT CONNECT ON DATABASE @ TO middle WITH GRANT OPTION; RESET ROLE;
    SET ROLE middle; GRANT CONNECT ON DATABASE @ TO "Ünï $(id)", reader; RESET ROLE;
    GRANT CONNECT ON DATABASE @ TO reader;
    ALTER DATABASE @ CONNECTION LIMIT 5;
    ALTER DATABASE @ SET search_path TO '$user', 'a,b', 'with "quotes"', '';
    ALTER DATABASE @ SET temp_tablespaces TO elsewhere;
    ALTER DATABASE @ SET "DateStyle" TO 'German, DMY';
    ALTER DATABASE @ SET log_min_duration_statement TO '1500ms';
    ALTER DATABASE @ SET "my.setting" TO 'it''s = \\ here';
    ALTER DATABASE @ SET "Other.Setting" TO E'two\\nlines';
    ALTER ROLE "Ünï $(id)" IN DATABASE @ SET work_mem TO '9MB';
    ALTER ROLE "Ünï $(id)" IN DATABASE @ SET search_path TO '';
    COMMENT ON DATABASE @ IS E'a comment\\nwith ''quotes'' and \\\\';`;

  it('are the same after they were applied to another database, which had others', async () => {
    const live = await make(everything);
    const copy = await make(`
      GRANT ALL ON DATABASE @ TO reader WITH GRANT OPTION; SET ROLE reader; GRANT CREATE ON DATABASE @ TO middle; RESET ROLE;
      ALTER DATABASE @ SET jit TO off; ALTER DATABASE @ SET search_path TO gone; ALTER ROLE reader IN DATABASE @ SET jit TO on;
      COMMENT ON DATABASE @ IS 'holdfast: restore 1a2b3c4d'`);
    const wanted = await readProperties(session, live);
    expect(compareProperties(wanted, await readProperties(session, copy)).length).toBeGreaterThan(8);
    expect(await applyProperties(session, copy, wanted)).not.toEqual([]);
    expect(await readProperties(session, copy)).toEqual(wanted);
    expect(await rights(copy)).toEqual(await rights(live));
    expect(await server.psql('postgres', settingsOf(copy))).toBe(await server.psql('postgres', settingsOf(live)));
    expect(await server.psql(copy, 'SHOW search_path; SHOW "Other.Setting"')).toBe(
      await server.psql(live, 'SHOW search_path; SHOW "Other.Setting"'),
    );
  });

  it('need no statement when they are applied a second time', async () => {
    const live = await make(everything);
    const copy = await make('');
    const wanted = await readProperties(session, live);
    await applyProperties(session, copy, wanted);
    expect(await applyProperties(session, copy, wanted)).toEqual([]);
  });

  it('of a database that nobody ever changed are spelled out, and can be given to one that was', async () => {
    const plain = await make('');
    const changed = await make(everything);
    const wanted = await readProperties(session, plain);
    expect(wanted).toMatchObject({
      owner: 'postgres',
      comment: null,
      settings: [],
      connectionLimit: -1,
      isTemplate: false,
    });
    expect(wanted.privileges.map(({ grantee, privilege }) => `${grantee ?? 'PUBLIC'} ${privilege}`)).toEqual([
      'PUBLIC CONNECT',
      'PUBLIC TEMPORARY',
      'postgres CONNECT',
      'postgres CREATE',
      'postgres TEMPORARY',
    ]);
    await applyProperties(session, changed, wanted);
    expect(compareProperties(wanted, await readProperties(session, changed))).toEqual([]);
  });

  it('include a list setting that is empty', async () => {
    const live = await make('ALTER DATABASE @ SET jit TO on');
    await server.psql(
      'postgres',
      `SET search_path TO ''; SELECT set_config('search_path', '', false); ALTER DATABASE ${quoteIdent(live)} SET search_path FROM CURRENT`,
    );
    const copy = await make('');
    const wanted = await readProperties(session, live);
    expect(wanted.settings).toContainEqual({ role: null, name: 'search_path', value: '' });
    await applyProperties(session, copy, wanted);
    expect(await readProperties(session, copy)).toEqual(wanted);
    expect(await session.query('SHOW search_path')).toEqual([{ search_path: 'pg_catalog' }]);
  });

  it('include template and tablespace', async () => {
    const live = await make('ALTER DATABASE @ IS_TEMPLATE true; ALTER DATABASE @ SET TABLESPACE elsewhere');
    const copy = await make('');
    const wanted = await readProperties(session, live);
    const statements = await applyProperties(session, copy, wanted);
    expect(statements[0]).toContain('SET TABLESPACE "elsewhere"');
    expect(await readProperties(session, copy)).toEqual(wanted);
    for (const name of [live, copy])
      await server.psql('postgres', `ALTER DATABASE ${quoteIdent(name)} IS_TEMPLATE false`);
  });

  it('leave a database as it was when one of them cannot be given', async () => {
    const copy = await make('ALTER DATABASE @ CONNECTION LIMIT 7');
    const before = await readProperties(session, copy);
    const wanted = { ...before, connectionLimit: 9, settings: [{ role: 'no such role', name: 'jit', value: 'off' }] };
    await expect(applyProperties(session, copy, wanted)).rejects.toThrow('"no such role" does not exist');
    expect(await readProperties(session, copy)).toEqual(before);
    await expect(readProperties(session, 'no such database')).rejects.toMatchObject({ type: 'PostgresRefused' });
  });

  it('include what a security label provider wrote', async () => {
    const live = await make('');
    await server.psql(
      'postgres',
      `INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'selinux', 'it''s' FROM pg_database WHERE datname = '${live}'`,
    );
    const wanted = await readProperties(session, live);
    expect(wanted.securityLabels).toEqual([{ provider: 'selinux', label: "it's" }]);
    const copy = await make('');
    await expect(applyProperties(session, copy, wanted)).rejects.toThrow(
      'security label provider "selinux" is not loaded',
    );
  });

  it('keep a right whose grantor could not grant it any more, and record the owner as its grantor', async () => {
    const live = await make(
      'GRANT CONNECT ON DATABASE @ TO middle WITH GRANT OPTION; SET ROLE middle; GRANT CONNECT ON DATABASE @ TO reader; RESET ROLE',
    );
    const copy = await make('');
    await server.psql('postgres', 'ALTER ROLE middle SUPERUSER');
    const wanted = await readProperties(session, live);
    await applyProperties(session, copy, wanted);
    const differences = compareProperties(wanted, await readProperties(session, copy));
    expect(differences.map(({ weight }) => weight)).toEqual(['record']);
    expect(differences[0]).toMatchObject({
      property: 'grantor of CONNECT to role reader',
      expected: 'middle',
      found: 'postgres',
    });
    await server.psql('postgres', 'ALTER ROLE middle NOSUPERUSER');
  });
});

const settingsOf = (name: string) =>
  `SELECT setrole::regrole, unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE datname = '${name}' ORDER BY 1, 2`;
