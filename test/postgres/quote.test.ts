import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';
import { conninfoOf, connectLine, quoteIdent, quoteLiteral } from '../../src/postgres/quote.ts';
import { oddNames } from './dump/sample.ts';

describe('quoting', () => {
  it('always quotes names, and doubles their quotes', () => {
    expect(quoteIdent('select')).toBe('"select"');
    expect(quoteIdent('a"b')).toBe('"a""b"');
  });

  it('writes literals that mean the same whatever standard_conforming_strings is', () => {
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("back\\slash's")).toBe("E'back\\\\slash''s'");
  });

  it('writes names for libpq so that none is read as parameters', () => {
    expect(conninfoOf('host=evil')).toBe("dbname='host=evil'");
    expect(conninfoOf("it's \\")).toBe("dbname='it\\'s \\\\'");
  });

  it("writes \\connect in pg_dump's own form where pg_dump has one", () => {
    expect(connectLine('app')).toBe(`\\connect -reuse-previous=on "dbname='app'"\n`);
    expect(connectLine('a"b')).toBe(`\\connect -reuse-previous=on "dbname='a""b'"\n`);
    expect(connectLine('new\nline')).toBe(`\\connect -reuse-previous=on '"dbname=''new\\nline''"'\n`);
  });
});

describe('on a real server', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major: 15 });
  });

  afterAll(() => server.stop());

  it.each(oddNames)('psql goes where \\connect says: %j', async (name) => {
    await server.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0 STRATEGY file_copy`);
    const there = `SELECT current_database() = ${quoteLiteral(name)}, current_setting('port')`;
    expect(await server.psql('postgres', `${connectLine(name)}${there}`)).toBe(`t|${String(server.port)}`);
  });
});
