import { describe, expect, it } from '@jest/globals';
import { isStatement, splitStatements } from '../../../src/postgres/restore/statements.ts';

const texts = (script: string) => splitStatements(script).map(({ text }) => text);

describe('splitting a psql script', () => {
  it('gives each statement without its semicolon, with the line on which it begins', () => {
    expect(
      splitStatements('-- a; comment\nSELECT 1;\n\n/* a; /* nested; */ one */ SELECT\n  2 ;').map(({ text, line }) => [
        text,
        line,
      ]),
    ).toEqual([
      ['SELECT 1', 2],
      ['SELECT\n  2', 4],
    ]);
  });

  it('never splits inside quotes of any kind', () => {
    const statements = [
      `COMMENT ON ROLE a IS 'x; ''y''; z'`,
      `COMMENT ON ROLE "a;""b;" IS E'it\\'s; \\\\'`,
      'SELECT $$one; $x$ two;$$',
      'SELECT $body$; $$ ; $bod$ $body$',
      `SELECT U&'d;' || B'1' || x'1F;'`,
      'SELECT a$b$c',
    ];
    expect(texts(statements.map((statement) => `${statement};\n`).join(''))).toEqual(statements);
  });

  it('never splits inside parentheses', () => {
    expect(texts('CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);')).toHaveLength(1);
  });

  it('separates the lines that are for psql', () => {
    const script = `\\restrict abc\n\nSET a = 1;\n\\connect -reuse-previous=on "dbname='a; b'"\nSELECT 2;\n\\unrestrict abc\n`;
    expect(splitStatements(script).map(({ kind, text }) => [kind, text])).toEqual([
      ['meta', '\\restrict abc'],
      ['sql', 'SET a = 1'],
      ['meta', `\\connect -reuse-previous=on "dbname='a; b'"`],
      ['sql', 'SELECT 2'],
      ['meta', '\\unrestrict abc'],
    ]);
  });

  it('takes no line of a string or a comment for one of psql', () => {
    const comment = `COMMENT ON DATABASE a IS 'one\n\\connect evil\n-- PostgreSQL database cluster dump complete'`;
    expect(splitStatements(`/*\n\\connect evil\n*/\n${comment};`).map(({ kind, text }) => [kind, text])).toEqual([
      ['sql', comment],
    ]);
  });

  it('reads backslashes as escapes where the script has switched standard_conforming_strings off', () => {
    const script = `SET standard_conforming_strings = off;\nCOMMENT ON ROLE a IS 'it\\'s; here';\nSET standard_conforming_strings = on;\nCOMMENT ON ROLE a IS 'back\\';SELECT 1;`;
    const found = splitStatements(script).filter(isStatement);
    expect(found.map(({ text }) => text)).toEqual([
      'SET standard_conforming_strings = off',
      `COMMENT ON ROLE a IS 'it\\'s; here'`,
      'SET standard_conforming_strings = on',
      `COMMENT ON ROLE a IS 'back\\'`,
      'SELECT 1',
    ]);
    expect(found.map(({ standardStrings }) => standardStrings)).toEqual([true, false, false, true, true]);
  });

  it('tells names and texts as they are meant', () => {
    const [statement] = splitStatements(`CREATE TABLESPACE "a ""b""" OWNER Alice LOCATION E'/data/it\\'s\\\\';`).filter(
      isStatement,
    );
    expect(statement?.tokens.map(({ kind, value }) => [kind, value])).toEqual([
      ['word', 'create'],
      ['word', 'tablespace'],
      ['identifier', 'a "b"'],
      ['word', 'owner'],
      ['word', 'alice'],
      ['word', 'location'],
      ['string', "/data/it's\\"],
    ]);
    const name = statement?.tokens[2];
    expect(statement?.text.slice(name?.start, name?.end)).toBe('"a ""b"""');
  });

  it.each([
    ['a quoted text', `SELECT 1;\nSELECT 'abc`, 2],
    ['a quoted text', 'SELECT "abc', 1],
    ['a dollar-quoted text', 'SELECT $x$ abc $$', 1],
    ['a comment', '/* a /* b */', 1],
  ])('fails where it ends inside %s', (what, script, line) => {
    expect(() => splitStatements(script)).toThrow(`the SQL ends inside ${what} that begins in line ${String(line)}`);
  });

  it('fails where it ends in the middle of a statement', () => {
    expect(() => splitStatements('SELECT 1;\n\nALTER ROLE a WITH')).toThrow(
      'in the middle of the statement that begins in line 3',
    );
    expect(() => splitStatements('ALTER ROLE a\n\\connect b\n;')).toThrow(
      'a backslash command stands in the middle of a statement in line 2',
    );
  });

  it('takes ten thousand roles in one go', () => {
    const script = Array.from(
      { length: 10_000 },
      (_, i) => `CREATE ROLE r${String(i)};\nALTER ROLE r${String(i)} WITH NOLOGIN;\n`,
    ).join('');
    expect(splitStatements(script).at(-1)).toMatchObject({ text: 'ALTER ROLE r9999 WITH NOLOGIN', line: 20_000 });
  });
});
