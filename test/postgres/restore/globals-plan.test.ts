import { describe, expect, it } from '@jest/globals';
import { planGlobals, planRoles, type GlobalsTarget } from '../../../src/postgres/restore/globals.ts';
import { splitStatements } from '../../../src/postgres/restore/statements.ts';

const target = (wishes: Partial<GlobalsTarget> = {}): GlobalsTarget => ({
  versionNum: 170_011,
  roles: ['postgres', 'pg_monitor'],
  tablespaces: ['pg_default', 'pg_global'],
  bootstrapRole: 'postgres',
  user: 'postgres',
  ...wishes,
});

const plan = (script: string, wishes?: Partial<GlobalsTarget>) => planGlobals(splitStatements(script), target(wishes));
const executed = (script: string, wishes?: Partial<GlobalsTarget>) =>
  plan(script, wishes).flatMap(({ sql }) => (sql === null ? [] : [sql]));

describe('planning globals', () => {
  it('leaves psql’s commands and settings out', () => {
    expect(
      plan(`\\restrict x\nSET default_transaction_read_only = off;\nSET client_encoding = 'UTF8';\n\\unrestrict x\n`),
    ).toEqual([]);
  });

  it('creates what is not there, and alters what is', () => {
    const script = `CREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'p';\nCREATE ROLE "o;""dd";\nALTER ROLE "o;""dd" WITH NOLOGIN;\n`;
    expect(plan(script, { roles: ['postgres', 'app'] }).map(({ verb, subject, sql }) => [verb, subject, sql])).toEqual([
      ['create role', 'app', null],
      ['alter role', 'app', `ALTER ROLE app WITH LOGIN PASSWORD 'p'`],
      ['create role', 'o;"dd', 'CREATE ROLE "o;""dd"'],
      ['alter role', 'o;"dd', 'ALTER ROLE "o;""dd" WITH NOLOGIN'],
    ]);
  });

  it.each(['postgres', 'streaming_replica', 'cnpg_pooler_pgbouncer', 'repmgr', 'boot', 'restorer'])(
    'leaves password and attributes of %s alone where it exists, and gives it its settings',
    (role) => {
      const script = `CREATE ROLE ${role};\nALTER ROLE ${role} WITH SUPERUSER PASSWORD 'theirs';\nALTER ROLE ${role} SET work_mem TO '9MB';\nCOMMENT ON ROLE ${role} IS 'c';\n`;
      const there = { roles: [role, 'boot', 'restorer'], bootstrapRole: 'boot', user: 'restorer' };
      expect(executed(script, there)).toEqual([
        `ALTER ROLE ${role} SET work_mem TO '9MB'`,
        `COMMENT ON ROLE ${role} IS 'c'`,
      ]);
    },
  );

  it('creates an operator’s role that is not there as it was', () => {
    const script = `CREATE ROLE repmgr;\nALTER ROLE repmgr WITH REPLICATION;\n`;
    expect(executed(script)).toEqual(['CREATE ROLE repmgr', 'ALTER ROLE repmgr WITH REPLICATION']);
  });

  it('takes tablespaces that are there as they are', () => {
    const script = `CREATE TABLESPACE "fast ts" OWNER app LOCATION '/x';\nALTER TABLESPACE "fast ts" SET (random_page_cost=1.1);\nGRANT ALL ON TABLESPACE "fast ts" TO app;\nCOMMENT ON TABLESPACE "fast ts" IS 'c';\n`;
    expect(executed(script)).toHaveLength(4);
    expect(executed(script, { tablespaces: ['fast ts'] })).toEqual(executed(script).slice(1));
  });

  it('grants memberships in the words of the target’s version', () => {
    const script = `CREATE ROLE a;\nCREATE ROLE b;\nGRANT a TO b WITH ADMIN OPTION, INHERIT FALSE, SET TRUE GRANTED BY postgres;\n`;
    expect(executed(script).at(-1)).toBe(
      'GRANT "a" TO "b" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE GRANTED BY "postgres"',
    );
    const old = plan(script, { versionNum: 150_018 }).at(-1);
    expect(old).toMatchObject({
      sql: 'GRANT "a" TO "b" WITH ADMIN OPTION GRANTED BY "postgres"',
      why: 'INHERIT FALSE and SET FALSE came with PostgreSQL 16',
    });
  });

  it('lets nobody grant a role before he may', () => {
    const script = `CREATE ROLE a;\nCREATE ROLE b;\nCREATE ROLE c;\nCREATE ROLE d;\nGRANT a TO b GRANTED BY c;\nGRANT a TO c WITH ADMIN OPTION GRANTED BY d;\nGRANT a TO d WITH ADMIN OPTION GRANTED BY postgres;\n`;
    expect(executed(script).slice(4)).toEqual([
      'GRANT "a" TO "d" WITH ADMIN TRUE GRANTED BY "postgres"',
      'GRANT "a" TO "c" WITH ADMIN TRUE GRANTED BY "d"',
      'GRANT "a" TO "b" GRANTED BY "c"',
    ]);
  });

  it('grants in its own name what somebody without the right had granted', () => {
    const script = `CREATE ROLE a;\nCREATE ROLE b;\nGRANT a TO b GRANTED BY former_boss;\n`;
    expect(plan(script).at(-1)).toMatchObject({
      sql: 'GRANT "a" TO "b"',
      why: 'it counts as granted by the role that restores',
    });
  });

  it('does not take a role’s name for an option', () => {
    const script = `CREATE ROLE admin;\nCREATE ROLE inherit;\nCREATE ROLE b;\nGRANT b TO inherit GRANTED BY admin;\n`;
    expect(executed(script, { versionNum: 150_000 }).at(-1)).toBe('GRANT "b" TO "inherit" GRANTED BY "admin"');
  });

  it('carries privileges on parameters over where the target has them, and says where it hasn’t', () => {
    const script = `GRANT SET ON PARAMETER work_mem TO app;\n`;
    expect(executed(script)).toEqual(['GRANT SET ON PARAMETER work_mem TO app']);
    expect(plan(script, { versionNum: 140_000 })).toMatchObject([
      { sql: null, lost: true, why: 'privileges on parameters came with PostgreSQL 15' },
    ]);
  });

  it('executes nothing that pg_dumpall does not write', () => {
    for (const script of [
      'DROP ROLE app;',
      'CREATE DATABASE x;',
      'COPY a TO PROGRAM $$id$$;',
      'ALTER SYSTEM SET a = 1;',
      'DO $$ $$;',
    ]) {
      expect(plan(script)).toMatchObject([{ sql: null, lost: true }]);
    }
  });
});

describe('planning only the roles that are missing', () => {
  const script = `CREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'p';\nCREATE ROLE other;\nALTER ROLE other WITH LOGIN;\nALTER ROLE app SET a.b TO 'c';\nCOMMENT ON ROLE app IS 'x';\nGRANT other TO app;\n`;
  const planned = (as: 'bare' | 'dumped', roles: readonly string[] = []) =>
    planRoles(splitStatements(script), ['app', 'not "dumped"'], as, target({ roles })).map(({ sql }) => sql);

  it('makes them bare, without login', () => {
    expect(planned('bare')).toEqual(['CREATE ROLE "app" NOLOGIN', 'CREATE ROLE "not ""dumped""" NOLOGIN']);
    expect(planned('bare', ['app'])).toEqual(['CREATE ROLE "not ""dumped""" NOLOGIN']);
  });

  it('or as they were dumped', () => {
    expect(planned('dumped')).toEqual([
      'CREATE ROLE app',
      `ALTER ROLE app WITH LOGIN PASSWORD 'p'`,
      `ALTER ROLE app SET a.b TO 'c'`,
      `COMMENT ON ROLE app IS 'x'`,
    ]);
    expect(planned('dumped', ['app'])).toEqual([]);
  });
});
