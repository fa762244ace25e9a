import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { loadable } from '../../../src/postgres/script/loadable.ts';
import { stored } from '../restore/contents.ts';
import { passed, refused, survey } from './reading.ts';

const table = 'CREATE TABLE public.t (a text);\n';
const copy = 'COPY public.t (a) FROM stdin;\n';

/** What must never reach psql. MARK stands for a command that leaves a file behind. */
const dangerous: readonly (readonly [what: string, script: string])[] = [
  ['a shell command', '\\! MARK\n'],
  ['a shell command behind a statement', `${table}SELECT 1; \\! MARK\n`],
  ['a shell command inside a statement', 'SELECT 1\n\\! MARK\n;\n'],
  ['backquotes behind \\unrestrict', '\\restrict abc\n\\unrestrict `MARK`\n'],
  ['backquotes behind \\connect', '\\connect `MARK`\n'],
  ['backquotes behind \\encoding', '\\encoding `MARK`\n'],
  ['a second command on the line of a fence', '\\restrict abc\n\\unrestrict abc \\! MARK\n'],
  ['\\copy … program', `${table}\\copy public.t from program 'MARK'\n`],
  ['\\o to a program', '\\o | MARK\nSELECT 1;\n'],
  ['\\g to a program', 'SELECT 1 \\g | MARK\n'],
  ['\\gexec', `SELECT 'SELECT 1' \\gexec\n\\! MARK\n`],
  ['\\set with backquotes', '\\set x `MARK`\n'],
  ['\\if with backquotes', '\\if `MARK`\n\\endif\n'],
  ['\\i of a pipe', '\\i /dev/null\n\\! MARK\n'],
  ['a command behind a comment that a carriage return ends', '-- harmless\r\\! MARK\n'],
  ['a command behind a comment in a comment', '/* /* */ */ \\! MARK\n'],
  ['a command on the line of a COPY', `${table}COPY public.t FROM stdin; \\! MARK\nx\n\\.\n`],
  ['a command right behind the rows', `${table}${copy}x\n\\.\n\\! MARK\n`],
  ['a command behind rows with other line ends', `${table}${copy}x\r\n\\.\r\n\\! MARK\n`],
  ['a command behind a text that ends with a backslash', `SELECT 'a\\'; \\! MARK\n-- '\n`],
  [
    'a command that only standard_conforming_strings = off uncovers',
    `SET standard_conforming_strings = off;\nSELECT 'a\\'' ; \\! MARK\n-- ' ;\n`,
  ],
  ['a change of strings on one line', `SET standard_conforming_strings = off; SELECT 'a\\' \\! MARK\n';\n`],
  ['a command behind a text that goes on in the next line', `SELECT E'a'\n'b\\' \\! MARK\n', 'c';\n`],
  ['a command between two dollar quotes', 'SELECT $a$ $b$ $a$; \\! MARK\n-- $b$\n'],
  ['a command behind a number with a letter', `SELECT 1E'\\' \\! MARK\n--';\n`],
  ['\\; and a command', 'SELECT 1\\; SELECT 2; \\! MARK\n'],
  ['COPY to a program', `COPY (SELECT 1) TO PROGRAM 'MARK';\n`],
  ['COPY from a program', `${table}COPY public.t FROM PROGRAM 'MARK';\n`],
  [
    'COPY from a program, hidden in a body that has ended',
    `${table}CREATE FUNCTION public.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 AS begin; END; COPY public.t FROM PROGRAM 'MARK'; SELECT 1 AS end;\n`,
  ],
  [
    'a command uncovered by a setting that a default changes',
    `CREATE FUNCTION public.off() RETURNS text LANGUAGE sql AS $$ SELECT set_config('standard_conforming_strings', 'off', false) $$;
CREATE TABLE public.trap (a text, b text DEFAULT public.off());
COPY public.trap (a) FROM stdin;
x
\\.
COMMENT ON TABLE public.trap IS 'a\\''; \\! MARK
--';
`,
  ],
  [
    'a command uncovered by an encoding that a default changes',
    `CREATE FUNCTION public.sj() RETURNS text LANGUAGE sql AS $$ SELECT set_config('client_encoding', 'SJIS', false) $$;
CREATE TABLE public.trap (a text, b text DEFAULT public.sj());
COPY public.trap (a) FROM stdin;
x
\\.
COMMENT ON TABLE public.trap IS '\u00e0' || ' \\! MARK
';
`,
  ],
];

describe('what a forged dump tries', () => {
  let server: PostgresServer;
  let scratch: string;
  let marks = 0;

  beforeAll(async () => {
    server = await startPostgres({ major: 15 });
    scratch = await mkdtemp(join(tmpdir(), 'holdfast-hostile-'));
  });
  afterAll(async () => {
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  /** Runs a script in a database of its own as the loader does, and says whether it left its mark. */
  const leavesMark = async (script: (mark: string) => Promise<Buffer>): Promise<boolean> => {
    const database = `forged_${String((marks += 1))}`;
    await server.psql('postgres', `CREATE DATABASE ${database} TEMPLATE template0`);
    const mark = join(scratch, database);
    const psqlMark = join('/tmp', `holdfast-mark-${String(process.pid)}-${database}`);
    const bytes = await script(`touch ${psqlMark}`);
    await new Promise<void>((resolve) => {
      const env = {
        PATH: process.env['PATH'],
        PGHOST: server.socketDir,
        PGPORT: String(server.port),
        PGUSER: 'postgres',
      };
      const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', '-'];
      const child = execFile(join(server.binDir, 'psql'), args, { env, cwd: scratch }, () => {
        resolve();
      });
      child.stdin?.on('error', () => undefined).end(bytes);
    });
    const left = existsSync(psqlMark) || existsSync(mark);
    await rm(psqlMark, { force: true });
    return left;
  };

  /** Everything that is given out before the refusal, if there is one. */
  const throughReader = async (script: string): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of loadable(stored(Buffer.from(script), undefined, 11), { database: 'app', allow: [] }))
        chunks.push(Buffer.from(chunk));
    } catch (error) {
      expect(error).toMatchObject({ name: expect.stringMatching(/^(DumpRefused|ObjectDamaged)$/) });
    }
    return Buffer.concat(chunks);
  };

  it.each(dangerous)('%s leaves no mark', async (_what, script) => {
    expect(await leavesMark((mark) => throughReader(script.replaceAll('MARK', mark)))).toBe(false);
    const through = await throughReader(script);
    expect(through.toString('latin1').includes('PROGRAM')).toBe(false);
  });

  it('would leave its mark without the reader', async () => {
    const harmless: string[] = [];
    for (const [what, script] of dangerous) {
      if (!(await leavesMark((mark) => Promise.resolve(Buffer.from(script.replaceAll('MARK', mark))))))
        harmless.push(what);
    }
    // psql has been mended there: CVE-2026-18408.
    const mended = ['backquotes behind \\unrestrict', 'a second command on the line of a fence'];
    expect(harmless.filter((what) => !mended.includes(what))).toEqual([]);
  });

  it('is kept from any command by a fence of ours, even if the reader were wrong', async () => {
    for (const script of ['\\! MARK\n', 'SELECT 1; \\! MARK\n', '\\unrestrict other\n\\! MARK\n']) {
      const fenced = (mark: string) =>
        Promise.resolve(Buffer.from(`\\restrict ours\n${script.replaceAll('MARK', mark)}`));
      expect(await leavesMark(fenced)).toBe(false);
    }
  });

  it('is named with line, database and a hint', async () => {
    const script = `${table}${copy}a\nb\n\\.\n\n-- c\n\\! id\n`;
    await expect(passed(Buffer.from(script))).rejects.toMatchObject({
      name: 'DumpRefused',
      message: "the dump holds the psql command \\! in line 8, database 'app'",
      hint: expect.stringContaining('never'),
    });
    await expect(passed(Buffer.from("COPY t TO PROGRAM 'x';\n"))).rejects.toMatchObject({
      message: "the dump holds COPY … PROGRAM in line 1, database 'app'",
      hint: expect.stringContaining('allow server-side'),
    });
    expect(await refused("COPY t TO PROGRAM 'x';\n", { allow: ['server-side'] })).toBeUndefined();
    expect(await refused('VACUUM;\n')).toContain('VACUUM');
    expect(await refused('VACUUM;\n', { allow: ['unexpected'] })).toBeUndefined();
    expect(await refused('\\! id\n', { allow: ['unexpected', 'server-side'] })).toContain('\\!');
  });
});

describe('what only looks like a command', () => {
  const data: readonly (readonly [what: string, script: string])[] = [
    [
      'a \\connect in a function body',
      `CREATE FUNCTION public.f() RETURNS text LANGUAGE plpgsql AS $_$\n\\connect evil\n\\! id\n$_$;\n`,
    ],
    ['a \\connect in rows', `${copy}\\connect evil\n\\\\.\n\\.x\n\\. \n \\.\n\\! id\n\\.\n`],
    ['commands in a text', `COMMENT ON TABLE t IS 'x\n\\! id\n';\n`],
    ['commands in a comment', `/* \\! id /* \\! id */ \\! id */ -- \\! id\nCOMMENT ON TABLE t IS 'x';\n`],
    ['a text that ends with a backslash', `COMMENT ON TABLE t IS 'C:\\';\nCOMMENT ON TABLE t IS '\\! id';\n`],
    ['an array slice', 'CREATE VIEW public.v AS SELECT a[1:2], a[t.lo:t.hi], a[1:"Q"] FROM t;\n'],
    ['dollar quotes in dollar quotes', 'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $a$ $$ $b$ $a $a$;\n'],
    ['semicolons in parentheses', 'CREATE RULE r AS ON INSERT TO t DO ALSO ( NOTIFY a; NOTIFY b );\n'],
  ];

  it.each(data)('%s is data', async (_what, script) => {
    expect(await refused(script)).toBeUndefined();
    for (const chunk of [1, 3])
      expect((await passed(Buffer.from(script), {}, chunk)).equals(await passed(Buffer.from(script)))).toBe(true);
  });

  it('passes on what it was given, without what it leaves out', async () => {
    const script = `-- a\nSET statement_timeout = 0;\n\\connect app\nCREATE DATABASE x;\nCREATE ROLE y;\nDROP TABLE t;\n${table}`;
    expect((await passed(Buffer.from(script))).toString()).toBe(`\nSET statement_timeout = 0;\n\n\n\n\n${table}`);
  });

  it('says anew how texts are to be read, where that could have changed', async () => {
    const script = `SET client_encoding = 'LATIN1';\n\nCOMMENT ON TABLE t IS '\\';\n`;
    expect((await passed(Buffer.from(script))).toString()).toBe(
      `SET client_encoding = 'LATIN1';SET client_encoding = 'LATIN1'; SET standard_conforming_strings = on;\n\nCOMMENT ON TABLE t IS '\\';\n`,
    );
  });
});

describe('what can not be read safely', () => {
  const never: readonly (readonly [script: string | Buffer, what: string])[] = [
    [Buffer.from('SELECT 1;\0\n'), 'NUL'],
    [Buffer.from(`${copy}a\0b\n\\.\n`), 'NUL'],
    [`SET client_encoding = 'SJIS';\n`, 'client_encoding SJIS'],
    [`SET client_encoding = 'shift-jis';\n`, 'client_encoding'],
    [`set CLIENT_ENCODING to big5;\n`, 'client_encoding big5'],
    [`SET "client_encoding" = 'UTF8';\n`, 'client_encoding'],
    [`SET LOCAL client_encoding = 'GBK';\n`, 'client_encoding'],
    [`SET NAMES 'SJIS';\n`, 'SET NAMES'],
    ['\\encoding SJIS\n', '\\encoding SJIS'],
    ['\\encoding GB18030\n', '\\encoding'],
    ['SET standard_conforming_strings = DEFAULT;\n', 'standard_conforming_strings'],
    ['SET standard_conforming_strings TO off, on;\n', 'standard_conforming_strings'],
    ['COPY t FROM stdin WITH (FORMAT csv);\na\n\\.\n', 'stdin'],
    ['COPY t FROM stdout;\na\n\\.\n', 'stdin'],
    ['COPY BINARY t FROM stdin;\na\n\\.\n', 'stdin'],
    ['CREATE VIEW v AS SELECT :LAST_ERROR_MESSAGE;\n', 'psql variable'],
    [`CREATE VIEW v AS SELECT a[1:'x'];\n`, 'psql variable'],
    ['\\restrict a\n\\unrestrict b\n', 'another key'],
    ['\\unrestrict a\n', 'without'],
    ['\\restrict a\n\\restrict b\n', 'inside a fence'],
    ['\\restrict a\n\\connect app\n', 'inside a fence'],
    ['\\restrict a b\n', '\\restrict'],
    ['\\connect other\n', 'another database'],
    ['\\connect host=evil.invalid\n', '\\connect'],
    [`\\connect "host=evil.invalid dbname=app"\n`, '\\connect'],
    [`\\connect -reuse-previous=on "dbname='app' host=evil.invalid"\n`, '\\connect'],
    ['\\connect app evil\n', '\\connect'],
  ];

  it.each(never)('%j is refused whatever is allowed', async (script, what) => {
    expect(await refused(script, { allow: ['server-side', 'unexpected'] })).toContain(what);
  });

  it.each([
    'SELECT',
    `COMMENT ON TABLE t IS 'x`,
    'CREATE TABLE "x',
    '/* x',
    'CREATE FUNCTION f() AS $$ x',
    `${copy}a\n`,
    `${copy}a\n\\.`,
    'COPY t FROM stdin;',
    '\\restrict a\n',
  ])('%j is not whole', async (script) => {
    await expect(passed(Buffer.from(script))).rejects.toMatchObject({ name: 'ObjectDamaged' });
  });

  it('reads a comment without a line end as the end', async () => {
    expect((await passed(Buffer.from(`${table}-- done`))).toString()).toBe(table);
  });

  it('reads lines of many megabytes once, in any pieces', async () => {
    const long = 'x'.repeat(8 * 1024 * 1024);
    const values = Array.from({ length: 200_000 }, (_, at) => `(${String(at)},'v')`).join(',');
    const script = `COMMENT ON TABLE t IS '${long}';\nINSERT INTO public.t VALUES ${values};\n${copy}${long}\n\\.\n`;
    const found = await survey(Buffer.from(script), {}, 65_536);
    expect(found.findings).toEqual([]);
    expect(found.databases[0]?.tables).toEqual([['public', 't', 200_001]]);
  });

  it('goes on digesting what it can not read', async () => {
    const script = Buffer.from(`${table}\0${table}`);
    const found = await survey(script);
    expect(found.findings).toMatchObject([{ needs: 'never', what: expect.stringContaining('NUL'), line: 2 }]);
    expect(found.plain.length).toBe(script.length);
    expect(found.incomplete).toContain('NUL');
  });
});
