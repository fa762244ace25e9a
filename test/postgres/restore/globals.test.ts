import { mkdir, rm } from 'node:fs/promises';
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { applyGlobals, planGlobals, planRoles, readGlobalsTarget } from '../../../src/postgres/restore/globals.ts';
import { splitStatements } from '../../../src/postgres/restore/statements.ts';
import { printed } from '../dump/dumping.ts';
import { inSession } from './contents.ts';

/** pg_dumpall's globals without the passwords of those who keep theirs. */
const globalsOf = (server: PostgresServer) => printed(server, 'pg_dumpall', 'postgres', '--globals-only');
const withoutOwn = (globals: string) =>
  globals
    .split('\n')
    .filter((line) => !/^ALTER ROLE (postgres|streaming_replica) WITH|LOCATION/.test(line))
    .join('\n');

const apply = (server: PostgresServer, globals: string) =>
  inSession(server, async (session) => {
    const target = await readGlobalsTarget(session);
    return applyGlobals(session, planGlobals(splitStatements(globals), target), target);
  });

describe.each([
  [15, 15],
  [17, 17],
  [15, 17],
  [17, 15],
] as const)('globals of postgresql %i on postgresql %i', (from, to) => {
  let source: PostgresServer;
  let target: PostgresServer;
  let scratch: string;
  let globals: string;

  beforeAll(async () => {
    [source, target] = await Promise.all([startPostgres({ major: from }), startPostgres({ major: to })]);
    scratch = await makeScratch('tablespaces', { owner: serverUser() });
    for (const name of ['fast', 'slow']) await mkdir(join(scratch, name));
    const owner = serverUser();
    if (owner !== undefined)
      for (const name of ['fast', 'slow']) await chown(join(scratch, name), owner.uid, owner.gid);
    await source.psql(
      'postgres',
      `CREATE ROLE app LOGIN PASSWORD 'source' CREATEDB CONNECTION LIMIT 9 VALID UNTIL '2031-01-01';
       CREATE ROLE "odd ""; '' $$ name" NOINHERIT; CREATE ROLE admin; CREATE ROLE grantor; CREATE ROLE reader; CREATE ROLE streaming_replica REPLICATION;
       COMMENT ON ROLE app IS E'it''s; \\\\connect evil\n\\\\connect evil';
       ALTER ROLE app SET search_path = app, "odd ""; schema";
       ALTER ROLE app SET "my.setting" = E'a;''b\\\\c\nd';
       ALTER ROLE postgres SET log_min_messages = 'error';
       GRANT reader TO grantor WITH ADMIN OPTION;
       GRANT pg_monitor TO reader;
       GRANT "odd ""; '' $$ name" TO admin;
       SET ROLE grantor;
       GRANT reader TO app;
       RESET ROLE;
       GRANT SET ON PARAMETER log_statement TO app;
       CREATE TABLESPACE "fast ts" OWNER app LOCATION '${join(scratch, 'fast')}';
       ALTER TABLESPACE "fast ts" SET (random_page_cost = 1.5);
       GRANT CREATE ON TABLESPACE "fast ts" TO reader;
       COMMENT ON TABLESPACE "fast ts" IS 'c;';
       CREATE TABLESPACE lost LOCATION '${join(scratch, 'slow')}'`,
    );
    globals = await globalsOf(source);
    await source.psql('postgres', `DROP TABLESPACE "fast ts"; DROP TABLESPACE lost`);
    await rm(join(scratch, 'slow'), { recursive: true });
    // What images and operators make beforehand.
    await target.psql(
      'postgres',
      `CREATE ROLE app LOGIN PASSWORD 'made by the image' CREATEROLE; ALTER ROLE app SET work_mem = '7MB';
       CREATE ROLE streaming_replica LOGIN REPLICATION PASSWORD 'the operator’s';
       CREATE ROLE somebody_else`,
    );
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
    await rm(scratch, { recursive: true, force: true });
  });

  const password = (server: PostgresServer, role: string) =>
    server.psql('postgres', `SELECT rolpassword FROM pg_authid WHERE rolname = '${role}'`);

  it('are applied, whoever is there already', async () => {
    const before = {
      postgres: await password(target, 'postgres'),
      replica: await password(target, 'streaming_replica'),
    };
    const report = await apply(target, globals);
    expect(report.created.first).toEqual(expect.arrayContaining(['admin', 'grantor', "odd \"; '' $$ name", 'reader']));
    expect(report.altered.first).toEqual(['app']);
    expect(report.kept.first).toEqual(['postgres', 'streaming_replica']);
    expect(report.tablespacesCreated.first).toEqual(['fast ts']);
    // Its directory is gone; everything else went on.
    expect(report.errors.first).toEqual([
      expect.objectContaining({
        kind: 'missing tablespace',
        weight: 'error',
        message: expect.stringContaining('create tablespace lost') as unknown,
      }),
    ]);
    expect(await password(target, 'app')).toBe(await password(source, 'app'));
    expect(await password(target, 'postgres')).toBe(before.postgres);
    expect(await password(target, 'streaming_replica')).toBe(before.replica);
    expect(
      await target.psql(
        'postgres',
        `SELECT rolcreaterole, rolcreatedb, rolconnlimit FROM pg_roles WHERE rolname = 'app'`,
      ),
    ).toBe('f|t|9');
  });

  it('may be applied again', async () => {
    const first = await globalsOf(target);
    const report = await apply(target, globals);
    expect(report.created.count).toBe(0);
    expect(report.errors.count).toBe(1);
    expect(await globalsOf(target)).toBe(first);
  });

  it('leave the same roles, settings, memberships and tablespaces', async () => {
    const members = (server: PostgresServer) =>
      server.psql(
        'postgres',
        `SELECT r.rolname, m.rolname, a.admin_option FROM pg_auth_members a JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member
          WHERE a.member >= 16384 ORDER BY 1, 2`,
      );
    expect(await members(target)).toBe(await members(source));
    await target.psql('postgres', `ALTER ROLE app RESET work_mem; DROP ROLE somebody_else`);
    if (from !== to) return;
    const expected = withoutOwn(globals)
      .split('\n')
      .filter((line) => !line.includes('lost'));
    expect(withoutOwn(await globalsOf(target)).split('\n')).toEqual(expected);
  });
});

describe('globals of an old habit', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ major: 17 });
  });
  afterAll(() => server.stop());

  it('mean what they meant with standard_conforming_strings off', async () => {
    const globals = `SET standard_conforming_strings = off;\nCREATE ROLE a;\nCOMMENT ON ROLE a IS 'back\\\\slash and it\\'s';\n`;
    expect((await apply(server, globals)).errors.count).toBe(0);
    expect(await server.psql('postgres', `SELECT shobj_description('a'::regrole, 'pg_authid')`)).toBe(
      `back\\slash and it's`,
    );
  });

  it('leave out a setting that this version doesn’t know, and say so', async () => {
    const report = await apply(
      server,
      `CREATE ROLE b;\nALTER ROLE b SET vacuum_cleanup_index_scale_factor TO '0.2';\nALTER ROLE b SET work_mem TO '5MB';\n`,
    );
    expect(report.errors.count).toBe(0);
    expect(report.notes.first).toContainEqual(expect.stringContaining('vacuum_cleanup_index_scale_factor'));
    expect(await server.psql('postgres', `SELECT rolconfig FROM pg_roles WHERE rolname = 'b'`)).toBe('{work_mem=5MB}');
  });

  it('make only the roles that are asked for', async () => {
    const script = splitStatements(`CREATE ROLE c;\nALTER ROLE c WITH LOGIN PASSWORD 'p';\nCREATE ROLE d;\n`);
    const make = (names: string[], as: 'bare' | 'dumped') =>
      inSession(server, async (session) => {
        const target = await readGlobalsTarget(session);
        return applyGlobals(session, planRoles(script, names, as, target), target);
      });
    expect((await make(['c', 'e"'], 'bare')).created.first).toEqual(['c', 'e"']);
    expect(
      await server.psql('postgres', `SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'c'`),
    ).toBe('f|t');
    expect((await make(['c', 'd'], 'dumped')).created.first).toEqual(['d']);
  });

  it('stop where the connection is gone', async () => {
    const applying = inSession(server, async (session) => {
      const target = await readGlobalsTarget(session);
      await server.psql('postgres', `SELECT pg_terminate_backend(${String(session.backendPid)})`);
      return applyGlobals(session, planGlobals(splitStatements('CREATE ROLE f;\nCREATE ROLE g;\n'), target), target);
    });
    await expect(applying).rejects.toMatchObject({ type: 'PostgresUnavailable' });
    await expect(
      inSession(server, async (session) => {
        const target = await readGlobalsTarget(session);
        return applyGlobals(
          session,
          planGlobals(splitStatements('CREATE ROLE f;\n'), target),
          target,
          AbortSignal.abort(new Error('enough')),
        );
      }),
    ).rejects.toThrow('enough');
  });
});
