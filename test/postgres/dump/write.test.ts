import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gunzipSync } from 'node:zlib';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { databaseSchema, partSchema } from '../../../src/domain/manifest.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { capture } from '../../../src/process/chain.ts';
import { readProperties } from '../../../src/postgres/swap/properties.ts';
import { addressOf } from '../swap/pair.ts';
import { compressors, dumpOf, printed, recordOf, restore, textOf, withoutKeys, type Dumped } from './dumping.ts';
import { makeSample, oddNames } from './sample.ts';

describe.each(availableMajors())('a dump of a PostgreSQL %i server', (major) => {
  let source: PostgresServer;
  let target: PostgresServer;
  let dumped: Dumped;
  let complaints: string[];

  beforeAll(async () => {
    // One password: the restored roles bring the source's.
    const wishes = { major, password: 'one of both' };
    [source, target] = await Promise.all([startPostgres(wishes), startPostgres(wishes)]);
    await makeSample(source);
    dumped = await dumpOf(source);
    complaints = await restore(target, gunzipSync(dumped.sink.bytes));
  });

  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
  });

  it('goes through zcat and psql with no other error than that the bootstrap role is there already', () => {
    expect(complaints).toEqual([expect.stringContaining('role "postgres" already exists')]);
  });

  it('brings back roles, passwords, memberships and their settings', async () => {
    const globals = (server: PostgresServer) => printed(server, 'pg_dumpall', 'postgres', '--globals-only');
    const [before, after] = await Promise.all([globals(source), globals(target)]);
    // The password of the bootstrap role too: it is the source's now.
    expect(after).toBe(before);
  });

  it('brings back every database with equal contents', async () => {
    const names =
      (await source.psql('postgres', `SELECT json_agg(datname) FROM pg_database WHERE datallowconn`)) || '[]';
    for (const name of JSON.parse(names) as string[]) {
      const [before, after] = await Promise.all([printed(source, 'pg_dump', name), printed(target, 'pg_dump', name)]);
      expect(after).toBe(before);
    }
  });

  it('brings back what hangs on each database: owner, privileges, settings, comment, limits', async () => {
    const restored = dumped.dump.databases.filter(({ status }) => status === 'dumped');
    expect(restored.length).toBeGreaterThan(oddNames.length);
    // Each from inside: a comment has the encoding of its own database.
    const read = async (server: PostgresServer) => {
      const found = [];
      for (const { name } of restored) {
        found.push(await withSession(addressOf(server, name), {}, (session) => readProperties(session, name)));
      }
      return found;
    };
    const properties = await read(target);
    expect(properties).toEqual(await read(source));
    expect(restored.map((record) => record.properties)).toEqual(properties);
  });

  it('brings back encodings and locales', async () => {
    const query = `SELECT datname, pg_encoding_to_char(encoding), datcollate, datctype, datistemplate, datconnlimit,
      datlocprovider, datcollversion FROM pg_database WHERE datname <> 'closed' ORDER BY datname`;
    expect(await target.psql('postgres', query)).toBe(await source.psql('postgres', query));
  });

  it('has parts that lie end to end, unpack alone and have the digests that it says', () => {
    const { dump, sink } = dumped;
    let end = 0;
    for (const part of dump.parts) {
      expect(part.offset).toBe(end);
      expect(createHash('sha256').update(sink.slice(part)).digest('hex')).toBe(part.sha256);
      expect(gunzipSync(sink.slice(part)).length).toBeGreaterThan(0);
      expect(() => partSchema.parse({ ...part, object: 'x' })).not.toThrow();
      end = part.offset + part.length;
    }
    expect(end).toBe(sink.offset);
    expect(dump.parts.map(({ name }) => name).join(' ')).toMatch(/^globals( properties content)+ footer$/);
  });

  it('has contents that are what pg_dump prints', async () => {
    const content = textOf(dumped, 'content', 'app');
    expect(content).toContain('PostgreSQL database dump complete');
    expect(withoutKeys(content)).toBe(await printed(source, 'pg_dump', 'app'));
    expect(content).not.toMatch(/^\\connect(?! evil)/m);
  });

  it('has contents that can be restored into any database', async () => {
    await target.psql('postgres', 'CREATE DATABASE elsewhere TEMPLATE template0');
    expect(await restore(target, textOf(dumped, 'content', 'app'), 'elsewhere')).toEqual([]);
    expect(await target.psql('elsewhere', 'SELECT count(*) FROM big')).toBe('5000');
  });

  it('is complete, and skips what takes no connections with the reason', () => {
    const { dump } = dumped;
    expect(dump.status).toBe('complete');
    expect(dump.warnings).toEqual([]);
    expect(recordOf(dumped, 'closed')).toMatchObject({
      status: 'skipped',
      reason: expect.stringContaining('datallowconn'),
    });
    expect(recordOf(dumped, 'template0')).toMatchObject({ status: 'skipped' });
    expect(dump.databases[0]?.name).toBe('template1');
    for (const record of dump.databases) expect(() => databaseSchema.parse(record)).not.toThrow();
  });

  it('counts the rows of every table that has rows of its own', () => {
    expect(
      Object.fromEntries(recordOf(dumped, 'app').tables.map(([schema, name, rows]) => [`${schema}.${name}`, rows])),
    ).toEqual({
      [`odd "schema.odd 'table`]: 9,
      'public.big': 5000,
      'public.child': 2,
      'public.empty': 0,
      'public.guarded': 2,
      'public.mat': null,
      'public.none': 0,
      'public.parent': 1,
      'public.parted': null,
      'public.parted_high': 51,
      'public.parted_low': 99,
      'public.unlogged': 1,
    });
  });

  it('knows what a restore needs', () => {
    const { dump } = dumped;
    const app = recordOf(dumped, 'app');
    expect(app.roles).toEqual(["Reader's", 'granting', 'grantée', 'owner_of_app', 'postgres']);
    expect(app.extensions.map(({ name, schema }) => `${schema}.${name}`)).toEqual([
      'public.pgcrypto',
      'pg_catalog.plpgsql',
    ]);
    expect(app.snapshotAt).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(dump.server).toMatchObject({ inRecovery: false, timeline: 1, bootstrapRole: 'postgres' });
    expect(dump.server.systemIdentifier).toMatch(/^\d{18,20}$/);
    expect(dump.roles).toContainEqual({ name: 'grantée', superuser: false, canLogin: true });
    expect(dump.tools['pg_dump']).toMatch(new RegExp(`^${String(major)}\\.`));
  });

  it('leaves no backend of its own on the server', async () => {
    expect(
      await source.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`),
    ).toBe('0');
  });

  it('can be made of zstd frames', async () => {
    const { zstd } = await compressors();
    if (zstd === undefined) throw new Error('zstd is not installed');
    const { dump, sink } = await dumpOf(source, { compressor: zstd, exclude: oddNames, countRows: false });
    const unpack = async (input: Uint8Array) =>
      (await capture({ ...zstd.decompress }, { signal: new AbortController().signal, input })).stdout;
    expect(await unpack(sink.bytes)).toContain('PostgreSQL database cluster dump complete');
    for (const part of dump.parts) {
      expect(part.compression).toBe('zstd');
      expect((await unpack(sink.slice(part))).length).toBeGreaterThan(0);
    }
    expect(dump.databases.find(({ name }) => name === '-leading')).toMatchObject({
      status: 'skipped',
      reason: 'the policy leaves it out',
    });
    expect(dump.databases.find(({ name }) => name === 'app')?.tables.every(([, , rows]) => rows === null)).toBe(true);
  });
});
