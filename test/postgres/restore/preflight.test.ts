import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { clusterObstacles, databaseObstacles } from '../../../src/domain/obstacles.ts';
import type { DatabaseRecord } from '../../../src/domain/manifest.ts';
import { localeObstacle } from '../../../src/postgres/restore/locale.ts';
import { preflight, preflightCluster } from '../../../src/postgres/restore/preflight.ts';
import { makeSample } from '../dump/sample.ts';
import { addressOf, oidOf } from '../swap/pair.ts';
import { backupOf, type Backup } from './backup.ts';
import { inSession } from './contents.ts';

/** What a look must leave as it was. */
const everyChange = (server: PostgresServer) =>
  server.psql(
    'postgres',
    `SELECT pg_current_wal_lsn(), (SELECT sum(xact_commit) > 0 FROM pg_stat_database), (SELECT max(age(xmin)) >= 0 FROM pg_database)`,
  );

describe.each([15, 17] as const)('a look at a target on postgresql %i', (major) => {
  let server: PostgresServer;
  let bare: PostgresServer;
  let backup: Backup;
  let scratch: string;

  const recordOf = (name: string): DatabaseRecord => {
    const record = backup.manifest.databases.find((each) => each.name === name);
    if (record === undefined) throw new Error(`no record of ${name}`);
    return record;
  };
  const look = (
    target: PostgresServer,
    wishes: { record?: Partial<DatabaseRecord>; database?: string; freeNames?: string[] } = {},
  ) =>
    inSession(target, (session) =>
      preflight(session, {
        manifest: backup.manifest,
        record: { ...recordOf('app'), ...wishes.record },
        database: wishes.database ?? 'app',
        freeNames: wishes.freeNames ?? [],
      }),
    );
  const lookAtAll = (target: PostgresServer, manifest = backup.manifest) =>
    inSession(target, (session) => preflightCluster(addressOf(target), session, { manifest }));

  beforeAll(async () => {
    scratch = await makeScratch('tablespaces');
    [server, bare] = await Promise.all([
      startPostgres({ major, settings: { wal_level: 'logical', max_prepared_transactions: '10', autovacuum: 'off' } }),
      startPostgres({ major, settings: { autovacuum: 'off' } }),
    ]);
    await makeSample(server);
    backup = await backupOf(server);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), bare.stop()]);
    await rm(scratch, { recursive: true, force: true });
  });

  it('tells who the target is', async () => {
    const { target, source } = await look(server);
    expect(target).toMatchObject({
      ...backup.manifest.server,
      user: 'postgres',
      superuser: true,
      maintenanceDatabase: 'postgres',
      freeBytes: expect.any(Number) as unknown,
    });
    expect(source.versionNum).toBe(backup.manifest.server.versionNum);
  });

  it('finds nothing in the way where nothing is', async () => {
    const facts = await look(server);
    expect(facts.needs).toEqual({
      database: 'app',
      missingRoles: { count: 0, first: [] },
      extensions: { count: 0, first: [] },
      missingTablespaces: { count: 0, first: [] },
      locale: null,
    });
    expect(facts.needBytes).toBe(recordOf('app').bytes);
    expect(
      databaseObstacles(facts, { missingRoles: 'fail', swap: true }).filter(({ weight }) => weight === 'hopeless'),
    ).toEqual([]);
  });

  it('names roles, extensions, tablespaces and locales that are missing', async () => {
    const facts = await look(bare, {
      record: {
        extensions: [
          { name: 'timescaledb', version: '2.1', schema: 'public' },
          { name: 'pgcrypto', version: '0.9', schema: 'public' },
        ],
        tablespaces: ['fast'],
        tablespace: 'slow',
        collate: 'tlh_XX.utf8',
      },
    });
    expect(facts.needs.missingRoles.first).toEqual(expect.arrayContaining(['owner_of_app', 'grantée', "Reader's"]));
    expect(facts.needs.missingRoles.first).not.toContain('postgres');
    expect(facts.needs.extensions.first).toEqual([
      { name: 'timescaledb', version: '2.1', available: null },
      { name: 'pgcrypto', version: '0.9', available: expect.stringMatching(/^1\./) as unknown },
    ]);
    expect(facts.needs.missingTablespaces.first).toEqual(['slow', 'fast']);
    expect(facts.needs.locale).toBe("the target's system has no locale 'tlh_XX.utf8'");
    expect(
      databaseObstacles(facts, { missingRoles: 'fail', swap: false }).filter(({ weight }) => weight === 'hopeless'),
    ).toHaveLength(4);
  });

  it.each([
    [{}, null],
    [{ collate: 'C', ctype: 'POSIX', encoding: 'SQL_ASCII' }, null],
    [{ encoding: 'SJIS' }, 'the target does not know the encoding SJIS'],
    [{ encoding: 'nonsense' }, 'the target does not know the encoding nonsense'],
    [{ ctype: `x'; --` }, `the target's system has no locale 'x'; --'`],
    [{ localeProvider: 'icu' as const, locale: 'de' }, null],
    [
      { localeProvider: 'builtin' as const, locale: 'C.UTF-8' },
      major >= 17 ? null : 'the locale provider builtin came with PostgreSQL 17, and the target is 15',
    ],
  ])('knows whether it can make a database of %j', async (change, obstacle) => {
    expect(await inSession(server, (session) => localeObstacle(session, { ...recordOf('app'), ...change }))).toBe(
      obstacle,
    );
  });

  it('names what stands in the way of a swap, and who is connected', async () => {
    // A slot waits for transactions that are open: first of all.
    await server.psql(
      'app',
      `SELECT pg_create_logical_replication_slot('slot', 'pgoutput'); SELECT pg_create_physical_replication_slot('physical')`,
    );
    await server.psql(
      'app',
      `SET default_transaction_read_only = off; BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'it''s prepared'`,
    );
    await server.psql(
      'app',
      `SET default_transaction_read_only = off; CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE, enabled = false, create_slot = false)`,
    );
    const held = server.psql('app', 'SELECT pg_sleep(1000)').catch(() => 'ended');
    while (
      (await server.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)) === '0'
    );
    const { live } = await look(server);
    expect(live).toEqual({
      oid: await oidOf(server, 'app'),
      owner: 'owner_of_app',
      bytes: expect.any(Number) as unknown,
      sessions: 1,
      isTemplate: false,
      isMaintenance: false,
      allowsConnections: true,
      invalid: false,
      preparedTransactions: { count: 1, first: ["it's prepared"] },
      logicalSlots: { count: 1, first: ['slot'] },
      subscriptions: { count: 1, first: ['sub'] },
    });
    await server.psql('app', `SET default_transaction_read_only = off; DROP SUBSCRIPTION sub`);
    await server.psql(
      'app',
      `ROLLBACK PREPARED 'it''s prepared'; SELECT pg_drop_replication_slot('slot'), pg_drop_replication_slot('physical')`,
    );
    await server.psql(
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`,
    );
    expect(await held).toBe('ended');
  });

  it('tells a template, the maintenance database and a closed one from others', async () => {
    expect((await look(server, { database: 'tmpl' })).live).toMatchObject({ isTemplate: true });
    expect((await look(server, { database: 'postgres' })).live).toMatchObject({ isMaintenance: true });
    expect((await look(server, { database: 'closed' })).live).toMatchObject({ allowsConnections: false });
    expect((await look(server, { database: 'nowhere' })).live).toBeNull();
    expect((await look(server, { freeNames: ['app', 'nowhere', 'latin'] })).namesTaken).toEqual(['app', 'latin']);
  });

  it('needs no right to write, and changes nothing', async () => {
    const before = await everyChange(bare);
    await look(bare);
    await lookAtAll(bare);
    expect(await everyChange(bare)).toBe(before);
  });

  it('finds a cluster empty whose databases hold nothing of anybody’s', async () => {
    await bare.psql(
      'postgres',
      `CREATE ROLE owner_of_app; CREATE ROLE stranger; CREATE TABLE of_an_image (); CREATE DATABASE app; CREATE DATABASE unrelated`,
    );
    await bare.psql('app', 'CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore');
    const facts = await lookAtAll(bare);
    expect(facts).toMatchObject({
      needs: [],
      occupied: { count: 0 },
      adoptedDatabases: { count: 1, first: ['app'] },
      alteredRoles: { count: 1, first: ['owner_of_app'] },
      keptRoles: { count: 1, first: ['postgres'] },
      tablespaces: [],
    });
    expect(clusterObstacles(facts).filter(({ weight }) => weight === 'hopeless')).toEqual([]);
    expect(facts.needBytes).toBeGreaterThan(recordOf('app').bytes);
  });

  it.each([
    ['CREATE TABLE mine ()', 'table or view public.mine'],
    ['CREATE SCHEMA "My schema"', 'schema "My schema"'],
    [`CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`, 'function public.f'],
    [`CREATE TYPE t AS ENUM ('a'); CREATE TYPE u AS ENUM ('a')`, 'type public.t and 1 more objects'],
    ['SELECT lo_create(4711)', 'large object 4711'],
    ['CREATE PUBLICATION p', 'publication p'],
  ])('does not find it empty after %s', async (statement, holds) => {
    await bare.psql('postgres', 'CREATE DATABASE used TEMPLATE template0');
    await bare.psql('used', statement);
    expect((await lookAtAll(bare)).occupied.first).toEqual([{ name: 'used', holds }]);
    await bare.psql('postgres', 'DROP DATABASE used');
  });

  it('does not take a database that it can’t look into for empty', async () => {
    await bare.psql('postgres', 'CREATE DATABASE shut ALLOW_CONNECTIONS false');
    expect((await lookAtAll(bare)).occupied.first).toEqual([
      { name: 'shut', holds: "something unknown (it doesn't take connections)" },
    ]);
    await bare.psql('postgres', 'DROP DATABASE shut');
  });

  it('tells whether the directories of tablespaces are there', async () => {
    await mkdir(join(scratch, 'used', `PG_${String(major)}_202307071`), { recursive: true });
    await mkdir(join(scratch, 'free'));
    await bare.psql('postgres', `SET allow_in_place_tablespaces = on; CREATE TABLESPACE there LOCATION ''`);
    const tablespaces = [
      { name: 'there', location: '/anywhere' },
      { name: 'free', location: join(scratch, 'free') },
      { name: 'used', location: join(scratch, 'used') },
      { name: 'gone', location: join(scratch, 'gone') },
    ];
    // The server's user must be able to look.
    const { execFileSync } = await import('node:child_process');
    execFileSync('chmod', ['755', scratch]);
    const facts = await lookAtAll(bare, { ...backup.manifest, tablespaces });
    expect(facts.tablespaces.map(({ name, state }) => [name, state])).toEqual([
      ['there', 'exists'],
      ['free', 'directory is there'],
      ['used', 'directory is in use'],
      ['gone', 'directory is missing'],
    ]);
    expect(clusterObstacles(facts).filter(({ weight }) => weight === 'hopeless')).toHaveLength(2);
  });

  it('works for somebody who is no superuser, and says so', async () => {
    await bare.psql('postgres', `CREATE ROLE humble LOGIN PASSWORD 'h'`);
    const { withSession } = await import('../../../src/postgres/connection.ts');
    const facts = await withSession({ ...addressOf(bare), user: 'humble', password: 'h' }, {}, (session) =>
      preflight(session, { manifest: backup.manifest, record: recordOf('app'), database: 'app', freeNames: [] }),
    );
    expect(facts.target).toMatchObject({ user: 'humble', superuser: false });
    expect(databaseObstacles(facts, { missingRoles: 'create', swap: false })).toContainEqual(
      expect.objectContaining({ weight: 'hopeless', what: expect.stringContaining('not a superuser') as unknown }),
    );
  });
});
