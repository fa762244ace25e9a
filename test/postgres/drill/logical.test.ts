import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createSample } from '../../../demo/sample.ts';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import type { Manifest } from '../../../src/domain/manifest.ts';
import { findAmcheck, runAmcheck } from '../../../src/postgres/drill/amcheck.ts';
import { runChecks } from '../../../src/postgres/drill/checks.ts';
import { makeLocalServer } from '../../../src/postgres/drill/local-server.ts';
import { readTablespaces, restoreLogical } from '../../../src/postgres/drill/logical.ts';
import { makePlace, removePlace, type DrillPlace } from '../../../src/postgres/drill/place.ts';
import { wishOf } from '../../../src/postgres/drill/scratch-server.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { compressors, toolsOf } from '../dump/dumping.ts';
import { lentServerPrograms, type LentPrograms } from '../instance/programs.ts';
import { backupOf, type Backup } from '../restore/backup.ts';

const { signal } = new AbortController();

/** What a tablespace's directory on the live server holds, and when each file of it was last written. */
const filesBelow = async (directory: string) => (await readdir(directory, { recursive: true })).sort();

describe('a drill of a whole logical backup, on the live server’s own machine', () => {
  let server: PostgresServer;
  let lent: LentPrograms;
  let backup: Backup;
  let scratch: string;
  let fast: string;
  let place: DrillPlace;
  let attempt = 0;

  beforeAll(async () => {
    scratch = await makeScratch('drill', { inMemory: true, owner: serverUser() });
    fast = join(scratch, 'fast');
    await mkdir(fast, { mode: 0o700 });
    const owner = serverUser();
    if (owner !== undefined) await chown(fast, owner.uid, owner.gid);
    lent = await lentServerPrograms(15);
    server = await startPostgres({ major: 15, settings: { archive_mode: 'on', archive_command: '/bin/false' } });
    await createSample(server);
    await server.psql('postgres', `CREATE TABLESPACE fast LOCATION '${fast}'`);
    await server.psql(
      'app',
      `CREATE TABLE app.quick (id int PRIMARY KEY) TABLESPACE fast; INSERT INTO app.quick SELECT generate_series(1, 500);
       ALTER DATABASE app SET search_path = app, public`,
    );
    backup = await backupOf(server);
  });
  afterAll(async () => {
    await server.stop('immediate');
    await lent.giveBack();
    await rm(scratch, { recursive: true, force: true });
  });
  beforeEach(async () => {
    attempt += 1;
    place = await makePlace(join(scratch, 'instances'), { run: '1a2b3c4d', attempt, host: 'here' }, serverUser());
  });
  afterEach(() => removePlace(place, signal));

  const restore = async (manifest: Manifest = backup.manifest) => {
    const begunAt = performance.now();
    const reading = { manifest, read: backup.read, compressors: await compressors(), signal };
    const tablespaces = await readTablespaces(reading);
    const ground = { place, programs: lent.programs, runAs: serverUser(), signal };
    const scratch = await makeLocalServer(ground, wishOf(manifest, tablespaces.length));
    return restoreLogical({
      ...{ ...reading, scratch, tablespaces, begunAt, tools: await toolsOf(server) },
      ...{ run: '1a2b3c4d', jobs: 2, sessions: 2 },
    });
  };

  test('brings everything back, asks, checks, and leaves the live server’s tablespace untouched', async () => {
    const before = await filesBelow(fast);
    const restored = await restore();
    expect(restored.checks.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
      'roles and tablespaces: passed',
      'databases: passed',
      'row counts: passed',
    ]);
    expect(restored.dataOf).toBe(
      backup.manifest.databases
        .flatMap(({ snapshotAt }) => snapshotAt ?? [])
        .sort()
        .at(0),
    );
    expect(restored.restoreSeconds).toBeGreaterThan(0);
    const locations = await withSession(restored.server, {}, (session) =>
      session.query<{ at: string }>(
        `SELECT pg_tablespace_location(oid) AS at FROM pg_tablespace WHERE spcname = 'fast'`,
      ),
    );
    expect(locations).toEqual([{ at: join(place.tablespaces, '1') }]);
    expect((await filesBelow(join(place.tablespaces, '1'))).length).toBeGreaterThan(3);
    const settings = await withSession(restored.server, {}, (session) =>
      session.query(`SELECT current_setting('archive_mode') AS archive, current_setting('listen_addresses') AS listen`),
    );
    expect(settings).toEqual([{ archive: 'off', listen: '' }]);

    const check = (sql: string, expected: string, database = 'app') => ({ database, sql, expect: expected });
    const asked = await runChecks(
      restored.server,
      [
        check('SELECT count(*) FROM quick;', '500'),
        check('SELECT count(*) FROM endpoints -- by search_path', '200'),
        check('SELECT true', 'true'),
        check('VALUES (1), (2)', '1'),
        check('SELECT 1, 2', '1'),
        check('SELECT count(*) FROM missing', '1'),
        check("SELECT setval('results_id_seq', 1)", '1'),
        check('SELECT 1) AS q(v); DROP TABLE quick; SELECT * FROM (SELECT 1', '1'),
        check('SELECT 1', '1', 'nowhere'),
      ],
      signal,
    );
    expect(asked.map(({ outcome, detail }) => `${outcome}: ${detail}`)).toEqual([
      "passed: answered '500'",
      "passed: answered '200'",
      "passed: answered 'true'",
      "failed: answered more than one row, expected '1'",
      "failed: answered 2 columns, expected '1'",
      'failed: relation "missing" does not exist',
      'failed: cannot execute setval() in a read-only transaction',
      expect.stringMatching(/^failed: .*(syntax|column|read-only)/),
      'failed: database "nowhere" does not exist',
    ]);

    expect(
      await runAmcheck(findAmcheck(lent.programs.major, dirname(lent.programs.postgres)), restored.server, signal),
    ).toMatchObject({ outcome: 'passed' });
    // As after a change of the C library's rules of sorting: the index was built by another order than it is read by.
    await withSession(restored.server, { database: 'app' }, (session) =>
      session.query(
        `CREATE FUNCTION public.up(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)';
         CREATE FUNCTION public.down(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
         CREATE OPERATOR CLASS public.fickle FOR TYPE int4 USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
           OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 public.up(int, int);
         CREATE INDEX quick_fickle ON app.quick (id public.fickle);
         UPDATE pg_amproc SET amproc = 'public.down'::regproc WHERE amproc = 'public.up'::regproc`,
      ),
    );
    expect(
      await runAmcheck(findAmcheck(lent.programs.major, dirname(lent.programs.postgres)), restored.server, signal),
    ).toMatchObject({
      outcome: 'failed',
      detail: expect.stringContaining('quick_fickle') as unknown as string,
    });
    await removePlace(place, signal);
    expect(await filesBelow(fast)).toEqual(before);
    expect(await server.psql('app', 'SELECT count(*) FROM app.quick')).toBe('500');
  });

  test('of which the manifest tells more rows than are there fails by name', async () => {
    const databases = backup.manifest.databases.map((record) =>
      record.name === 'gatus'
        ? { ...record, tables: record.tables.map(([schema, table]) => [schema, table, 7] as [string, string, number]) }
        : record,
    );
    const { checks } = await restore({ ...backup.manifest, databases });
    expect(checks.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
      'roles and tablespaces: passed',
      'databases: failed',
      'row counts: failed',
    ]);
    expect(checks[2]?.detail).toMatch(/'gatus': table .*results.*expected 7 rows/);
  });

  test('whose globals name a tablespace that the manifest hides still makes none outside', async () => {
    const before = await filesBelow(fast);
    const { checks } = await restore({ ...backup.manifest, tablespaces: [] });
    expect(checks[0]).toMatchObject({ outcome: 'passed' });
    expect(await filesBelow(fast)).toEqual(before);
  });

  test.each([
    ['a locale of template1', 'template1', { collate: 'xx_XX.UTF-8', ctype: 'xx_XX.UTF-8' }, "locale 'xx_XX.UTF-8'"],
    [
      'a locale',
      'gatus',
      { collate: 'xx_XX.UTF-8', ctype: 'xx_XX.UTF-8' },
      "database 'gatus': the target's system has no",
    ],
    [
      'an extension',
      'gatus',
      { extensions: [{ name: 'postgis', version: '3.4', schema: 'public' }] },
      "database 'gatus': extension 'postgis' is not installed",
    ],
  ])('that needs %s which this machine lacks is no failure of the backup', async (_, name, more, told) => {
    const databases = backup.manifest.databases.map((record) =>
      record.name === name ? { ...record, ...more } : record,
    );
    await expect(restore({ ...backup.manifest, databases })).rejects.toMatchObject({
      name: 'ToolMissing',
      message: expect.stringContaining(told) as unknown as string,
    });
  });

  test('that is larger than what is free begins nothing', async () => {
    const databases = backup.manifest.databases.map((record) => ({ ...record, bytes: 1e18 }));
    await expect(restore({ ...backup.manifest, databases })).rejects.toMatchObject({ name: 'StoreFull' });
    expect(await readdir(place.directory)).not.toContain('data');
  });
});
