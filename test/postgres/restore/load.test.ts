import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { knowsFences } from '../../../src/domain/psql-flaws.ts';
import { quoteIdent } from '../../../src/postgres/quote.ts';
import { compressors } from '../dump/dumping.ts';
import { makeSample, oddNames } from '../dump/sample.ts';
import { addressOf } from '../swap/pair.ts';
import { dumpedAgain, gzip, loadInto, plainOf, sessionsLeft, stored } from './contents.ts';

describe.each([15, 17] as const)('loading contents into postgresql %i', (major) => {
  let server: PostgresServer;
  let plain: Buffer;
  /** Without the large object, whose transaction a dump brings with it. */
  let small: Buffer;
  let names = 0;

  /** An empty database of a name that no other test has. */
  const empty = async (name = `into_${String((names += 1))}`) => {
    await server.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0`);
    return name;
  };

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
    plain = await plainOf(server, 'app');
    await server.psql('postgres', 'CREATE DATABASE small TEMPLATE app');
    await server.psql('small', 'SET default_transaction_read_only = off; SELECT lo_unlink(4711)');
    small = await plainOf(server, 'small');
  });
  afterAll(() => server.stop());

  it('gives back what was dumped, whatever bodies and rows look like', async () => {
    const database = await empty();
    const bytes = gzipSync(plain);
    const seen: number[] = [];
    const onProgress = (at: number) => seen.push(at);
    const report = await loadInto(server, {
      database,
      stored: stored(bytes, undefined, 4_096),
      compressor: await gzip(),
      onProgress,
    });
    expect(report).toEqual({ storedBytes: bytes.length, notes: [], noteCount: 0 });
    expect(seen.at(-1)).toBe(bytes.length);
    expect(await dumpedAgain(server, database)).toBe(await dumpedAgain(server, 'app'));
  });

  it('reads zstd frames and plain text too', async () => {
    const { zstd } = await compressors();
    if (zstd === undefined) throw new Error('there is no zstd here');
    const { zstdFrame } = await import('../../../src/streams/compress.ts');
    const frame = await zstdFrame(zstd, plain, new AbortController().signal);
    for (const [bytes, compressor] of [
      [frame, zstd],
      [plain, undefined],
    ] as const) {
      const database = await empty();
      await loadInto(server, { database, stored: stored(bytes), compressor });
      expect(await server.psql(database, 'SELECT count(*) FROM big')).toBe('5000');
    }
  });

  it.each(oddNames.map((name) => `2${name.slice(0, 30)}`))(
    'loads into a database named %j and nowhere else',
    async (name) => {
      await empty(name);
      await loadInto(server, {
        database: name,
        stored: stored(Buffer.from(`CREATE TABLE here AS SELECT pg_catalog.current_database()::text AS name;\n`)),
      });
      expect(await server.psql(name, 'SELECT name FROM here')).toBe(name);
    },
  );

  it('is not held up by what is set for the role that restores', async () => {
    await server.psql(
      'postgres',
      `CREATE ROLE hampered SUPERUSER LOGIN PASSWORD 'p:\\\\q';
       ALTER ROLE hampered SET statement_timeout = '1ms';
       ALTER ROLE hampered SET lock_timeout = '1ms';
       ALTER ROLE hampered SET default_transaction_read_only = on;
       ALTER ROLE hampered SET default_transaction_isolation = 'serializable';
       ALTER ROLE hampered SET idle_session_timeout = '20s';
       ALTER ROLE hampered SET idle_in_transaction_session_timeout = '20s';
       ALTER ROLE hampered SET role = 'pg_monitor';
       ALTER ROLE hampered SET search_path = 'nowhere';
       ALTER ROLE hampered SET session_replication_role = 'replica';
       ALTER ROLE hampered SET standard_conforming_strings = off;
       ALTER ROLE hampered SET client_min_messages = 'error';
       ALTER ROLE hampered SET DateStyle = 'SQL, DMY'`,
    );
    const database = await empty();
    const address = { ...addressOf(server), user: 'hampered', password: 'p:\\\\q' };
    await loadInto(server, { server: address, database, stored: stored(plain, undefined, 50_000) });
    expect(await dumpedAgain(server, database)).toBe(await dumpedAgain(server, 'app'));
  });

  it('does all or nothing in one transaction, its last statement with it', async () => {
    const database = await empty();
    const last = `COMMENT ON DATABASE ${database} IS 'whole'`;
    await loadInto(server, { database, stored: stored(small), inOneTransaction: last });
    expect(await dumpedAgain(server, database)).toBe(await dumpedAgain(server, 'small'));
    const comment = (name: string) =>
      server.psql(
        'postgres',
        `SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '${name}'`,
      );
    expect(await comment(database)).toBe('whole');

    const other = await empty();
    const failing = (bytes: AsyncIterable<Uint8Array>) =>
      loadInto(server, { database: other, stored: bytes, inOneTransaction: last });
    await expect(failing(stored(Buffer.concat([small, Buffer.from('SELECT 1/0;\n')])))).rejects.toThrow(
      'nothing of it was kept',
    );
    await expect(failing(stored(small, new Error('the mount went away')))).rejects.toThrow(
      'the mount went away; nothing of it was kept',
    );
    await expect(failing(stored(plain))).rejects.toThrow(
      "hold large objects, which can't be restored in one transaction; nothing of it was kept",
    );
    expect(await server.psql(other, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`)).toBe(
      '0',
    );
    expect(await comment(other)).toBe('');
  });

  it('is there for good when it says so: commits wait for the disk again', async () => {
    const database = await empty();
    await loadInto(server, {
      database,
      stored: stored(
        Buffer.from(`CREATE TABLE how AS SELECT pg_catalog.current_setting('synchronous_commit') AS it;\n`),
      ),
    });
    await server.kill();
    await server.start();
    expect(await server.psql(database, 'SELECT it FROM how')).toBe('off');
  });

  describe('that can’t be loaded', () => {
    it.each([
      [
        'ALTER TABLE t OWNER TO nobody_of_that_name;',
        { kind: 'missing role', sqlState: '42704', message: 'role "nobody_of_that_name" does not exist' },
      ],
      ['CREATE EXTENSION no_such_extension;', { kind: 'missing extension', sqlState: '0A000' }],
      ['SET default_tablespace = nowhere;', { kind: 'missing tablespace', sqlState: '22023' }],
      ['CREATE TABLE t ();', { kind: 'already exists', sqlState: '42P07', message: 'relation "t" already exists' }],
      [
        'INSERT INTO t VALUES (1), (1);\nCREATE UNIQUE INDEX ON t (i);',
        { kind: 'data', sqlState: '23505', message: expect.stringContaining('Key (i)=(1) is duplicated') },
      ],
    ])('stops at %j with its line', async (statement, finding) => {
      const database = await empty();
      const script = `SET client_min_messages = warning;\nCREATE TABLE public.t (i int);\nSET search_path = public;\n${statement}\nCREATE TABLE never_reached ();\n`;
      const failed = loadInto(server, { database, stored: stored(Buffer.from(script)) });
      await expect(failed).rejects.toMatchObject({
        type: 'RestoreFailed',
        finding,
        message: expect.stringContaining('the database holds a part and is of no use') as unknown,
      });
      await expect(failed).rejects.toMatchObject({ finding: { line: 3 + statement.split('\n').length } });
      expect(await server.psql(database, `SELECT to_regclass('never_reached') IS NULL`)).toBe('t');
      expect(await sessionsLeft(server)).toBe('');
    });

    it('never runs rows of a table that isn’t there', async () => {
      const database = await empty();
      const rows = 'DROP TABLE precious;\n\\! touch owned\n; CREATE TABLE owned ();\n';
      const script = `CREATE TABLE precious ();\nCOPY public.missing (t) FROM stdin;\n${rows.repeat(2000)}\\.\n`;
      await expect(loadInto(server, { database, stored: stored(Buffer.from(script)) })).rejects.toMatchObject({
        finding: { line: 2, sqlState: '42P01' },
      });
      expect(
        await server.psql(database, `SELECT to_regclass('precious') IS NOT NULL, to_regclass('owned') IS NULL`),
      ).toBe('t|t');
    });

    it('fails with the error of the stored bytes, also at their very end', async () => {
      const { HoldfastError } = await import('../../../src/domain/errors.ts');
      const damaged = new HoldfastError(
        'ObjectDamaged',
        'x.sql.gz does not have the recorded sha-256',
        'restore from another',
      );
      const database = await empty();
      const failed = loadInto(server, { database, stored: stored(gzipSync(plain), damaged), compressor: await gzip() });
      await expect(failed).rejects.toMatchObject({
        type: 'ObjectDamaged',
        hint: 'restore from another',
        message: 'x.sql.gz does not have the recorded sha-256; the database holds a part and is of no use',
      });
    });

    it.each([
      [
        'in the middle of a row',
        (text: string) => text.slice(0, text.indexOf('\n', text.indexOf('COPY public.big')) + 2_000),
      ],
      ['between two rows', (text: string) => text.slice(0, text.indexOf('\n100\t') + 1)],
      ['inside a function', (text: string) => text.slice(0, text.indexOf('PostgreSQL database cluster dump complete'))],
      ['inside a statement', (text: string) => text.slice(0, text.lastIndexOf('ALTER TABLE') + 20)],
      ['inside a quoted name', (text: string) => text.slice(0, text.indexOf('"odd ""schema"') + 3)],
    ])('takes no text for whole that ends %s, though every tool ends well', async (_where, cut) => {
      for (const inOneTransaction of [undefined, `SELECT 'the end'`]) {
        const database = await empty();
        const bytes = Buffer.from(cut(small.toString()));
        const failed = loadInto(server, {
          database,
          stored: stored(bytes),
          ...(inOneTransaction === undefined ? {} : { inOneTransaction }),
        });
        await expect(failed).rejects.toMatchObject({
          type: expect.stringMatching(/^(ObjectDamaged|RestoreFailed)$/) as unknown,
        });
        if (inOneTransaction !== undefined)
          expect(await server.psql(database, `SELECT to_regclass('public.big') IS NULL`)).toBe('t');
      }
    });

    it('takes no decompressor’s word that stops early and says that all is well', async () => {
      const short = { ...(await gzip()), decompress: { file: 'sh', args: ['-c', 'head -c 3000; cat > /dev/null'] } };
      const database = await empty();
      await expect(loadInto(server, { database, stored: stored(plain), compressor: short })).rejects.toMatchObject({
        type: expect.stringMatching(/^(ObjectDamaged|RestoreFailed)$/) as unknown,
      });
    });

    it('fails where the decompressor fails, whatever it has put out', async () => {
      const failing = { ...(await gzip()), decompress: { file: 'sh', args: ['-c', 'cat; exit 3'] } };
      const database = await empty();
      await expect(loadInto(server, { database, stored: stored(plain), compressor: failing })).rejects.toMatchObject({
        type: 'ObjectDamaged',
        message: expect.stringContaining('exit code 3') as unknown,
      });
    });

    it.each([
      ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1_000)],
      [
        'with a flipped bit',
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, 20_000), Buffer.from([(bytes[20_000] ?? 0) ^ 4]), bytes.subarray(20_001)]),
      ],
    ])('fails where the stored bytes are %s', async (_how, damage) => {
      const database = await empty();
      const bytes = damage(gzipSync(plain));
      const failed = loadInto(server, { database, stored: stored(bytes), compressor: await gzip() });
      await expect(failed).rejects.toMatchObject({
        type: expect.stringMatching(/^(ObjectDamaged|RestoreFailed)$/) as unknown,
      });
      expect(await sessionsLeft(server)).toBe('');
    });

    it('ends at once when told to, and leaves no session behind', async () => {
      const database = await empty();
      const abort = new AbortController();
      const script = Buffer.from('CREATE TABLE begun ();\nSELECT pg_catalog.pg_sleep(1000);\n');
      const loading = loadInto(server, { database, stored: stored(script), signal: abort.signal });
      for (;;) {
        const sleeping = await server.psql(
          'postgres',
          `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`,
        );
        if (sleeping === '1') break;
      }
      abort.abort(new Error('cancelled by a person'));
      await expect(loading).rejects.toThrow('cancelled by a person');
      expect(await sessionsLeft(server)).toBe('');
    });

    it('is worth another try when the server ended the session', async () => {
      const database = await empty();
      const script = Buffer.from('SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());\nSELECT 1;\n');
      await expect(loadInto(server, { database, stored: stored(script) })).rejects.toMatchObject({
        type: 'PostgresUnavailable',
        finding: { kind: 'connection', sqlState: '57P01' },
      });
    });

    it('is worth another try when the server lacks room', async () => {
      const database = await empty();
      const script = `SET temp_file_limit = '64kB';\nSET work_mem = '64kB';\nCREATE TABLE t AS SELECT i FROM pg_catalog.generate_series(1, 200000) i ORDER BY -i;\n`;
      const failed = loadInto(server, { database, stored: stored(Buffer.from(script)) });
      await expect(failed).rejects.toMatchObject({
        type: 'PostgresUnavailable',
        finding: { kind: 'resources', line: 3 },
      });
    });

    it('does not wait for stored bytes that never come once psql has stopped', async () => {
      async function* hanging() {
        yield Buffer.from('SELECT 1/0;\n');
        await new Promise(() => undefined);
        yield Buffer.alloc(0);
      }
      const database = await empty();
      await expect(loadInto(server, { database, stored: hanging() })).rejects.toMatchObject({
        finding: { sqlState: '22012', line: 1 },
      });
    });

    it('says so where the database is not there', async () => {
      await expect(loadInto(server, { database: 'nowhere', stored: stored(plain) })).rejects.toMatchObject({
        type: 'PostgresRefused',
      });
    });
  });
});

describe('from one major version to another', () => {
  let servers: Record<15 | 17, PostgresServer>;
  beforeAll(async () => {
    const [old, young] = await Promise.all([startPostgres({ major: 15 }), startPostgres({ major: 17 })]);
    servers = { 15: old, 17: young };
    for (const server of [old, young]) await makeSample(server);
  });
  afterAll(() => Promise.all([servers[15].stop(), servers[17].stop()]));

  it.each([
    [15, 17],
    [17, 15],
  ] as const)('takes the contents of %i into %i', async (from, to) => {
    const bytes = gzipSync(await plainOf(servers[from], 'app'));
    await servers[to].psql('postgres', 'CREATE DATABASE moved TEMPLATE template0');
    const { toolsOf } = await import('../dump/dumping.ts');
    const { version } = await toolsOf(servers[from]);
    await loadInto(servers[to], {
      database: 'moved',
      stored: stored(bytes),
      compressor: await gzip(),
      dumpVersion: version,
    });
    expect(await dumpedAgain(servers[to], 'moved')).toBe(await dumpedAgain(servers[to], 'app'));
  });
});

describe('the fences of dumps', () => {
  it.each([
    ['15.13', false],
    ['15.14', true],
    ['16.9', false],
    ['17.6', true],
    ['18.0', true],
    ['12.22', false],
    ['19beta1', true],
  ])('psql %s knows them: %s', (version, knows) => {
    expect(knowsFences(version)).toBe(knows);
  });

  it('are found out about before anything is begun', async () => {
    const { assertReadable } = await import('../../../src/postgres/restore/dump-version.ts');
    expect(() => {
      assertReadable({ version: '15.10', psql: '/bin/psql' }, '15.18');
    }).toThrow('does not know the \\restrict that pg_dump 15.18 writes');
    assertReadable({ version: '15.10', psql: '/bin/psql' }, '15.10');
    assertReadable({ version: '15.18', psql: '/bin/psql' }, '15.10');
  });
});
