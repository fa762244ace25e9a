import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { connect } from '../../../src/postgres/connection.ts';
import { inspectSwap } from '../../../src/postgres/swap/inspect.ts';
import { swapDatabases, undoSwap } from '../../../src/postgres/swap/swap.ts';
import { Crowd } from './crowd.ts';
import { addressOf, catalogOf, contentOf, leftovers, makePair, never, oidOf } from './pair.ts';

describe.each(availableMajors())('a swap on postgresql %i', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({
      major,
      settings: { max_prepared_transactions: '10', wal_level: 'logical', max_connections: '60' },
    });
  });
  afterAll(() => server.stop());

  const open = async (database: string) => {
    const client = new pg.Client({ connectionString: server.url(database) });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };

  it('puts the copy under the live name and keeps the old one closed', async () => {
    const input = await makePair(server, 'plain');
    const steps: string[] = [];
    const result = await swapDatabases(addressOf(server), input, { ...never(), onStep: (step) => steps.push(step) });
    expect(await contentOf(server, 'plain')).toBe('new');
    expect(result).toEqual({
      found: 'before',
      downtimeMs: expect.any(Number),
      sessionsEnded: 0,
      live: { name: 'plain', oid: input.copyOid },
      aside: { name: input.oldName, oid: input.liveOid },
      notes: [],
    });
    expect(steps).toEqual(['close', 'end sessions', 'rename', 'open']);
    await expect(contentOf(server, input.oldName)).rejects.toThrow('not currently accepting connections');
    expect(await leftovers(server)).toBe('');
  });

  it.each([
    ['quotes and a backslash', `a"b'c\\d`],
    ['a line feed', 'two\nlines'],
    ['connection parameters', 'host=evil dbname=x'],
    ['a command', '$(id)`id`'],
    ['a leading hyphen', '-d'],
    ['63 bytes of UTF-8', `${'ü'.repeat(31)}x`],
  ])('takes a name with %s', async (_, name) => {
    const input = await makePair(server, name);
    await swapDatabases(addressOf(server), input, never());
    expect(await oidOf(server, name)).toBe(input.copyOid);
    expect(await oidOf(server, input.oldName)).toBe(input.liveOid);
    await undoSwap(addressOf(server), input, never());
    expect(await oidOf(server, name)).toBe(input.liveOid);
    expect(await oidOf(server, input.copyName)).toBe(input.copyOid);
  });

  it('succeeds again when it was done already, and changes nothing then', async () => {
    const input = await makePair(server, 'twice');
    await swapDatabases(addressOf(server), input, never());
    const after = await catalogOf(server, input);
    const again = await swapDatabases(addressOf(server), input, never());
    expect(again).toMatchObject({ found: 'done', downtimeMs: null, sessionsEnded: 0 });
    expect(await catalogOf(server, input)).toBe(after);
  });

  it('gives the copy owner, privileges, limit, settings and comment in the same transaction, and undo brings all back', async () => {
    await server.psql(
      'postgres',
      `CREATE ROLE "the owner"; CREATE ROLE reader; CREATE ROLE "Grant Er"; CREATE ROLE third;
       CREATE DATABASE carried OWNER "the owner" TEMPLATE template0 CONNECTION LIMIT 17`,
    );
    await server.psql(
      'carried',
      `CREATE TABLE which AS SELECT 'old' AS content;
       REVOKE ALL ON DATABASE carried FROM PUBLIC; GRANT CONNECT ON DATABASE carried TO reader;
       GRANT CREATE, TEMPORARY ON DATABASE carried TO "Grant Er" WITH GRANT OPTION;
       SET ROLE "Grant Er"; GRANT CREATE ON DATABASE carried TO third; RESET ROLE;
       ALTER DATABASE carried SET search_path TO '$user', app, "odd, ""one""";
       ALTER DATABASE carried SET work_mem TO '77MB';
       ALTER ROLE reader IN DATABASE carried SET statement_timeout TO '9s';
       COMMENT ON DATABASE carried IS 'the live one, it''s \\ here'`,
    );
    await server.psql(
      'postgres',
      `CREATE DATABASE carried_copy TEMPLATE template0; COMMENT ON DATABASE carried_copy IS 'copy'`,
    );
    await server.psql(
      'carried_copy',
      `CREATE TABLE which AS SELECT 'new' AS content; ALTER DATABASE carried_copy SET jit TO off`,
    );
    const input = {
      liveName: 'carried',
      liveOid: await oidOf(server, 'carried'),
      copyName: 'carried_copy',
      copyOid: await oidOf(server, 'carried_copy'),
      oldName: 'carried_old',
      properties: 'live' as const,
    };
    const rows = async (oid: number) =>
      server.psql(
        'postgres',
        `SELECT datdba::regrole, datconnlimit, datistemplate FROM pg_database WHERE oid = ${String(oid)};
         SELECT grantor::regrole, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable
           FROM pg_database, aclexplode(datacl) WHERE oid = ${String(oid)} ORDER BY 1, 2, 3;
         SELECT setrole::regrole, unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase = ${String(oid)} ORDER BY 1, 2;
         SELECT shobj_description(${String(oid)}, 'pg_database')`,
      );
    const before = await rows(input.liveOid);
    const { notes } = await swapDatabases(addressOf(server), input, never());
    expect(notes).toEqual([]);
    expect(await rows(input.copyOid)).toBe(before);
    expect(await rows(input.liveOid)).toBe(before);
    expect(await server.psql('carried', 'SHOW search_path; SELECT content FROM public.which')).toBe(
      `"$user", app, "odd, ""one"""\nnew`,
    );
    await undoSwap(addressOf(server), input, never());
    expect(await rows(input.liveOid)).toBe(before);
    expect(await server.psql('carried', 'SELECT content FROM public.which')).toBe('old');
  });

  it('takes the properties it is given instead of those of the live database', async () => {
    await server.psql('postgres', 'CREATE ROLE given');
    const input = await makePair(server, 'giving');
    const properties = {
      owner: 'given',
      tablespace: 'pg_default',
      connectionLimit: 3,
      isTemplate: false,
      comment: 'from the backup',
      settings: [{ role: null, name: 'work_mem', value: '5MB' }],
      privileges: [{ grantor: 'given', grantee: 'given', privilege: 'CONNECT', grantable: false }],
      securityLabels: [],
    };
    await swapDatabases(addressOf(server), { ...input, properties }, never());
    expect(
      await server.psql(
        'postgres',
        `SELECT datdba::regrole, datconnlimit, datacl, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'giving'`,
      ),
    ).toBe('given|3|{given=c/given}|from the backup');
    expect(await server.psql('giving', 'SHOW work_mem')).toBe('5MB');
  });

  it('leaves the old state when the copy cannot be given what it should have', async () => {
    const input = await makePair(server, 'ownerless');
    const before = await catalogOf(server, input);
    const properties = {
      owner: 'nobody by this name',
      tablespace: 'pg_default',
      connectionLimit: -1,
      isTemplate: false,
      comment: null,
      settings: [],
      privileges: [],
      securityLabels: [],
    };
    await expect(swapDatabases(addressOf(server), { ...input, properties }, never())).rejects.toMatchObject({
      type: 'SwapFailed',
      message: expect.stringContaining('"nobody by this name" does not exist'),
    });
    expect(await catalogOf(server, input)).toBe(before);
    expect(await contentOf(server, 'ownerless')).toBe('old');
  });

  it('ends idle, busy and waiting sessions, in a transaction or not', async () => {
    const input = await makePair(server, 'sessions');
    const clients = await Promise.all(Array.from({ length: 4 }, () => open('sessions')));
    const gone = clients.map((client) => new Promise((resolve) => client.once('end', resolve)));
    const [idle, writer, sleeper, waiter] = clients;
    await idle?.query('SELECT 1');
    await writer?.query("BEGIN; UPDATE which SET content = 'never'");
    const failures = [sleeper?.query('SELECT pg_sleep(1000)'), waiter?.query('LOCK TABLE which')].map((query) =>
      query?.then(
        () => 'succeeded',
        () => 'ended',
      ),
    );
    const result = await swapDatabases(addressOf(server), input, never());
    await Promise.all(gone);
    for (const failure of failures) expect(await failure).toBe('ended');
    expect(result.sessionsEnded).toBe(4);
    expect(await contentOf(server, 'sessions')).toBe('new');
    await undoSwap(addressOf(server), input, never());
    expect(await contentOf(server, 'sessions')).toBe('old');
  });

  it('goes through six times under 25 clients that keep reconnecting, and nobody sees the old one after the new one', async () => {
    const input = await makePair(server, 'crowd');
    const crowd = new Crowd(server.url('crowd'), 25);
    try {
      for (let round = 0; round < 3; round += 1) {
        await crowd.haveAllSeen('old');
        await swapDatabases(addressOf(server), input, never());
        await crowd.haveAllSeen('new');
        await undoSwap(addressOf(server), input, never());
      }
      await crowd.haveAllSeen('old');
    } finally {
      await crowd.stop();
    }
    const expected = ['old', 'new', 'old', 'new', 'old', 'new', 'old'];
    expect(crowd.changes()).toEqual(Array.from({ length: 25 }, () => expected));
    // Ended, refused while closed, or told that the name means another database now; never anything else.
    expect([...crowd.refusals].filter((code) => !['57P01', '55000', '3D000'].includes(code))).toEqual([]);
  });

  it('is possible for the owner of both databases without superuser', async () => {
    await server.psql(
      'postgres',
      `CREATE ROLE keeper LOGIN CREATEDB PASSWORD 'keeper'; GRANT pg_signal_backend TO keeper; CREATE ROLE app LOGIN PASSWORD 'app'`,
    );
    const input = await makePair(server, 'kept');
    await server.psql(
      'postgres',
      `ALTER DATABASE kept OWNER TO keeper; ALTER DATABASE ${input.copyName} OWNER TO keeper;
       ALTER DATABASE kept SET work_mem = '33MB'; GRANT CONNECT ON DATABASE kept TO app; COMMENT ON DATABASE kept IS 'kept'`,
    );
    const client = new pg.Client({ ...addressOf(server, 'kept'), user: 'app', password: 'app' });
    client.on('error', () => undefined);
    await client.connect();
    const keeper = { ...addressOf(server), user: 'keeper', password: 'keeper' };
    const result = await swapDatabases(keeper, input, never());
    expect(result).toMatchObject({ sessionsEnded: 1, notes: [] });
    expect(await server.psql('kept', 'SHOW work_mem; SELECT content FROM which')).toBe('33MB\nnew');
    await undoSwap(keeper, input, never());
    expect(await contentOf(server, 'kept')).toBe('old');
  });

  it('orders the swap of database postgres from template1, and refuses where nothing is left', async () => {
    const aside = await startPostgres({ major });
    try {
      const names = { liveName: 'postgres', copyName: 'postgres_new', oldName: 'postgres_old' };
      await aside.psql('template1', 'CREATE DATABASE postgres_new TEMPLATE template0');
      const [live, copy] = await Promise.all([names.liveName, names.copyName].map((name) => oidOf(aside, name)));
      const input = { ...names, liveOid: live ?? 0, copyOid: copy ?? 0, properties: 'live' as const };
      const maintenances: string[] = [];
      const failpoint = async () => {
        maintenances.push(
          await aside.psql('template1', `SELECT datname FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`),
        );
      };
      await swapDatabases(addressOf(aside), input, { ...never(), failpoint });
      expect(new Set(maintenances)).toEqual(new Set(['template1']));
      expect(await oidOf(aside, 'postgres')).toBe(copy);
      await aside.psql('postgres', 'ALTER DATABASE template1 ALLOW_CONNECTIONS false');
      await expect(undoSwap(addressOf(aside), input, never())).rejects.toMatchObject({
        type: 'PostgresRefused',
        message: expect.stringContaining("'template1' can't be connected to"),
      });
    } finally {
      await aside.stop();
    }
  });

  it('reads facts that are small however many slots and transactions there are', async () => {
    const input = await makePair(server, 'facts');
    const session = await connect(addressOf(server));
    const facts = await inspectSwap(session, input);
    await session.close();
    expect(facts).toMatchObject({
      maintenance: 'postgres',
      inRecovery: false,
      user: { name: 'postgres', superuser: true },
      live: { oid: input.liveOid, name: 'facts', allowsConnections: true, isOurs: true },
      copy: { oid: input.copyOid, name: input.copyName },
      oldNameOwner: null,
      mark: null,
      sessions: 0,
      workers: [],
    });
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
  });
});
