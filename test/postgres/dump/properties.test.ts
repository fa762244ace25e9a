import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { renderProperties } from '../../../src/postgres/dump/properties.ts';
import { inspectServer, type DatabaseEntry } from '../../../src/postgres/inspect.ts';
import { readProperties } from '../../../src/postgres/swap/properties.ts';
import { addressOf } from '../swap/pair.ts';
import { printed } from './dumping.ts';

const since =
  (major: number, ...statements: string[]) =>
  (server: PostgresServer) =>
    server.major >= major ? statements : [];

/** Every way in which a database can be told how to sort, by the version that brought it. */
const kinds = [
  since(15, `CREATE DATABASE plain TEMPLATE template0 LOCALE 'C'`),
  since(15, `CREATE DATABASE halves TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'`),
  since(15, `CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`),
  since(15, `CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`),
  since(16, `CREATE DATABASE rules TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES '&V << w <<< W'`),
  since(17, `CREATE DATABASE builtin TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'`),
  since(
    16,
    `SET allow_in_place_tablespaces = on; CREATE TABLESPACE "sp ace" LOCATION ''; CREATE DATABASE elsewhere TEMPLATE template0 TABLESPACE "sp ace"`,
  ),
];

describe.each(availableMajors())('properties of databases of PostgreSQL %i', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major });
    for (const statement of kinds.flatMap((kind) => kind(server))) await server.psql('postgres', statement);
  });

  afterAll(() => server.stop());

  const lookAt = () => withSession(addressOf(server), {}, (session) => inspectServer(session));

  const rendered = (database: DatabaseEntry) =>
    withSession(addressOf(server, database.name), {}, async (session) =>
      renderProperties(database, await readProperties(session, database.name), {
        versionNum: session.versionNum,
        afterForeignEncoding: false,
      }),
    );

  it("make a database in pg_dump's own words", async () => {
    const { databases } = await lookAt();
    const made = databases.filter(({ name }) => !['template0', 'template1', 'postgres'].includes(name));
    expect(made.length).toBeGreaterThan(3);
    for (const database of made) {
      const statement = /^CREATE DATABASE .*;$/m.exec(await rendered(database))?.[0];
      const theirs = /^CREATE DATABASE .*;$/m.exec(
        await printed(server, 'pg_dump', database.name, '--create', '--schema-only'),
      )?.[0];
      expect(statement?.replace(`"${database.name}"`, database.name)).toBe(theirs);
    }
  });

  it('have nothing to say about a database that nobody has changed, but how to get in', async () => {
    const plain = (await lookAt()).databases.find(({ name }) => name === 'plain');
    if (plain === undefined) throw new Error('no database plain');
    expect(await rendered(plain)).toBe(
      [
        '--\n-- Database "plain" dump\n--\n',
        "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n",
        `CREATE DATABASE "plain" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C';`,
        'ALTER DATABASE "plain" OWNER TO "postgres";\n',
        `\\connect -reuse-previous=on "dbname='plain'"`,
        'SET default_transaction_read_only = off;\n\n',
      ].join('\n'),
    );
  });

  it('do not make what initdb has made', async () => {
    for (const name of ['template1', 'postgres']) {
      const database = (await lookAt()).databases.find((each) => each.name === name);
      if (database === undefined) throw new Error(`no database ${name}`);
      const script = await rendered(database);
      expect(script).not.toContain('CREATE DATABASE');
      expect(script).toContain(`COMMENT ON DATABASE "${name}" IS `);
    }
  });

  it('are known to the last one', async () => {
    expect((await lookAt()).warnings).toEqual([]);
  });
});
