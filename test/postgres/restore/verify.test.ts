import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { DatabaseRecord } from '../../../src/domain/manifest.ts';
import { analyzeDatabase } from '../../../src/postgres/restore/analyze.ts';
import { verifyDatabase } from '../../../src/postgres/restore/verify.ts';
import { dumpOf, recordOf } from '../dump/dumping.ts';
import { makeSample } from '../dump/sample.ts';
import { addressOf } from '../swap/pair.ts';
import { gzip, loadInto, sessionsLeft, stored } from './contents.ts';

describe.each([15, 17] as const)('verifying on postgresql %i', (major) => {
  let server: PostgresServer;
  let record: DatabaseRecord;

  const verify = (wishes: { readonly signal?: AbortSignal; readonly database?: string } = {}) =>
    verifyDatabase({
      server: addressOf(server),
      database: 'copy',
      record,
      sessions: 3,
      signal: new AbortController().signal,
      ...wishes,
    });

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
    const dumped = await dumpOf(server);
    record = recordOf(dumped, 'app');
    const part = dumped.dump.parts.find(({ name, database }) => name === 'content' && database === 'app');
    if (part === undefined) throw new Error('no content');
    await server.psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
    await loadInto(server, { database: 'copy', stored: stored(dumped.sink.slice(part)), compressor: await gzip() });
  });
  afterAll(() => server.stop());

  it('finds a restored database equal to the record of its dump', async () => {
    const report = await verify();
    expect(report).toMatchObject({ ok: true, differences: [], errors: [], tablesCompared: record.tables.length });
    expect(report.rowsCompared).toBe(record.tables.reduce((sum, [, , rows]) => sum + (rows ?? 0), 0));
    expect(report.rowsCompared).toBeGreaterThan(5_000);
    expect(await sessionsLeft(server)).toBe('');
  });

  it('sees what changed in it', async () => {
    await server.psql(
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'copy';
       CREATE DATABASE changed TEMPLATE copy`,
    );
    await server.psql(
      'changed',
      `DELETE FROM big WHERE id <= 3;
       DROP TABLE none CASCADE;
       CREATE TABLE more ();
       DROP EXTENSION pgcrypto;
       DROP POLICY p ON guarded;
       UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'big_pkey'::regclass;
       ALTER TABLE parent ADD CONSTRAINT later CHECK (i > 100) NOT VALID`,
    );
    const report = await verify({ database: 'changed' });
    expect(report.ok).toBe(false);
    expect(report.differences).toEqual([
      { object: 'extension pgcrypto', expected: expect.stringContaining('version') as unknown, found: 'nothing' },
      { object: 'table "public"."big"', expected: '5000 rows', found: '4997 rows' },
      { object: 'table "public"."none"', expected: 'a table', found: 'nothing' },
      { object: 'index public.big_pkey', expected: 'a valid index', found: 'an invalid one' },
      { object: 'table "public"."more"', expected: 'nothing', found: 'a table' },
    ]);
    expect(report.notes).toContainEqual(expect.stringContaining('later on'));
  });

  it('counts many tables, and tells how far it is', async () => {
    await server.psql('postgres', 'CREATE DATABASE many TEMPLATE template0');
    await server.psql(
      'many',
      `DO $$ BEGIN FOR i IN 1..350 LOOP EXECUTE format('CREATE TABLE t%s AS SELECT 1 AS i', i); END LOOP; END $$`,
    );
    const tables = Array.from({ length: 350 }, (_, i): [string, string, number] => ['public', `t${String(i + 1)}`, 1]);
    const seen: number[] = [];
    const report = await verifyDatabase({
      ...{ server: addressOf(server), database: 'many', record: { tables, extensions: [] }, sessions: 2 },
      signal: new AbortController().signal,
      onProgress: ({ tablesDone, tablesTotal }) => seen.push(tablesDone / tablesTotal),
    });
    expect(report).toMatchObject({ ok: true, tablesCompared: 350, rowsCompared: 350 });
    expect(seen.at(-1)).toBe(1);
  });

  it('ends at once when told to', async () => {
    await server.psql('postgres', 'CREATE DATABASE locked TEMPLATE template0');
    await server.psql('locked', 'CREATE TABLE t (i int)');
    const abort = new AbortController();
    const holding = server.psql('locked', 'BEGIN; LOCK TABLE t; SELECT pg_sleep(1000)').catch(() => 'ended');
    const waits = (what: string) =>
      server.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = 'locked' AND ${what}`);
    while ((await waits(`wait_event = 'PgSleep'`)) === '0');
    const verifying = verify({ database: 'locked', signal: abort.signal });
    while ((await waits(`wait_event_type = 'Lock'`)) === '0');
    abort.abort(new Error('cancelled by a person'));
    await expect(verifying).rejects.toThrow('cancelled by a person');
    await server.psql('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'locked'`);
    expect(await holding).toBe('ended');
  });

  it('fails with the first failure, and leaves no session', async () => {
    await expect(verify({ database: 'nowhere' })).rejects.toMatchObject({ type: 'PostgresRefused' });
    expect(await sessionsLeft(server)).toBe('');
  });

  it('gives every table its statistics, partitioned ones too', async () => {
    await analyzeDatabase({
      server: addressOf(server),
      database: 'copy',
      sessions: 3,
      signal: new AbortController().signal,
    });
    const without = await server.psql(
      'copy',
      `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_|information_schema'
          AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AND c.reltuples <> 0
          AND NOT EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = c.oid)`,
    );
    expect(without).toBe('');
    expect(await server.psql('copy', `SELECT count(*) > 0 FROM pg_statistic WHERE starelid = 'parted'::regclass`)).toBe(
      't',
    );
  });
});
