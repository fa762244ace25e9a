import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { clusterCopyReport } from '../../../src/domain/restore-report.ts';
import {
  abandonCluster,
  finishCluster,
  type ClusterFailpoint,
  type ClusterProgress,
} from '../../../src/postgres/restore/cluster.ts';
import { printed } from '../dump/dumping.ts';
import { makeSample } from '../dump/sample.ts';
import { addressOf } from '../swap/pair.ts';
import { backupOf, backupWith, restoreInto, run, type Backup } from './backup.ts';
import { sessionsLeft } from './contents.ts';

/** Everything that PostgreSQL's own tools see, the superuser's password aside. */
async function everything(server: PostgresServer): Promise<string> {
  const globals = await printed(server, 'pg_dumpall', 'postgres', '--globals-only');
  const names = JSON.parse(
    await server.psql('postgres', 'SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE datallowconn'),
  ) as string[];
  const dumps: string[] = [];
  for (const name of names) {
    // \connect with a line break in a name is more than pg_dump can write.
    dumps.push(await printed(server, 'pg_dump', name, ...(/[\n\r]/.test(name) ? [] : ['--create'])));
  }
  const text = [globals.replace(/^ALTER ROLE postgres WITH.*$/m, ''), ...dumps].join('');
  // A database's settings are independent of each other, and in the order in which they were made.
  return text.replace(/(?:^ALTER DATABASE \S+ SET .*\n)+/gm, (settings) => settings.split('\n').sort().join('\n'));
}

const databases = (server: PostgresServer) =>
  server.psql('postgres', `SELECT datname FROM pg_database WHERE datname <> 'closed' ORDER BY 1`);
const comments = (server: PostgresServer) =>
  server.psql('postgres', `SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1`);

const dies = (where: ClusterFailpoint, at: string | null) => ({
  failpoint: (name: ClusterFailpoint, database: string | null) =>
    name === where && database === at ? Promise.reject(new Error(`died: ${where} ${String(at)}`)) : Promise.resolve(),
});

describe.each([
  [17, 17],
  [15, 17],
] as const)('a whole cluster of postgresql %i into %i', (from, to) => {
  let source: PostgresServer;
  let backup: Backup;
  let target: PostgresServer;

  beforeAll(async () => {
    source = await startPostgres({ major: from });
    await makeSample(source);
    backup = await backupOf(source);
  });
  afterAll(() => source.stop());
  afterEach(() => target.stop());

  it('is the same there afterwards', async () => {
    target = await startPostgres({ major: to });
    const progress: ClusterProgress[] = [];
    const report = await restoreInto(target, backup, { onProgress: (at) => progress.push(at) });
    expect(report.databases.filter(({ status }) => status !== 'restored')).toEqual([
      {
        name: 'closed',
        status: 'skipped',
        reason: expect.stringContaining('datallowconn') as unknown,
        seconds: 0,
        report: null,
      },
    ]);
    expect(report.databases.flatMap((each) => each.report?.differences ?? [])).toEqual([]);
    expect(report.ok).toBe(true);
    expect(clusterCopyReport(report)).toMatchObject({ ok: true, differences: [] });
    expect(clusterCopyReport(report).rows).toBeGreaterThan(5_000);
    expect(progress.at(-1)).toMatchObject({ phase: 'naming', databasesDone: backup.manifest.databases.length - 2 });
    expect(progress.at(-1)?.bytes).toBe(progress.at(-1)?.totalBytes);

    expect(await comments(target)).toContain(`|holdfast: restore ${run}, done, `);
    await finishCluster(addressOf(target), { run });
    await finishCluster(addressOf(target), { run });
    expect(await comments(target)).not.toContain('holdfast');
    expect(await sessionsLeft(target)).toBe('');
    if (from === to) expect(await everything(target)).toBe(await everything(source));
    expect(await target.psql('app', 'SELECT count(*) FROM big')).toBe('5000');
    expect(
      await target.psql('postgres', `SELECT has_database_privilege('granting', 'app', 'CONNECT WITH GRANT OPTION')`),
    ).toBe('t');
  });
});

describe.each([15, 17] as const)('a whole cluster on postgresql %i', (major) => {
  let source: PostgresServer;
  let backup: Backup;
  let target: PostgresServer;

  beforeAll(async () => {
    source = await startPostgres({ major });
    await source.psql(
      'postgres',
      `CREATE ROLE own LOGIN; CREATE DATABASE one OWNER own; COMMENT ON DATABASE one IS 'first'; ALTER DATABASE one SET work_mem = '9MB'; CREATE DATABASE two`,
    );
    for (const name of ['one', 'two', 'postgres', 'template1']) {
      await source.psql(
        name,
        `CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i; CREATE UNIQUE INDEX ON t (i)`,
      );
    }
    backup = await backupOf(source);
  });
  afterAll(() => source.stop());
  afterEach(() => target.stop());

  const deaths: [ClusterFailpoint, string | null][] = [
    ['loaded', 'one'],
    ['verified', 'one'],
    ['named', 'postgres'],
    ['loaded', 'template1'],
    ['globals', null],
    ['created', 'one'],
    ['named', 'one'],
    ['created', 'postgres'],
    ['named', 'template1'],
    ['named', 'two'],
  ];

  it('takes the place of what images made beforehand', async () => {
    target = await startPostgres({ major });
    await target.psql('postgres', `CREATE ROLE own LOGIN PASSWORD 'image'; CREATE DATABASE one OWNER own`);
    await target.psql('postgres', `ALTER DATABASE one SET statement_timeout = '1h'`);
    await target.psql('one', 'CREATE EXTENSION pgcrypto');
    await target.psql('postgres', `CREATE TABLE kept_by_an_operator AS SELECT 1 AS one; CREATE DATABASE unrelated`);
    const held = target.psql('one', 'SELECT pg_sleep(1000)').catch(() => 'ended');
    const report = await restoreInto(target, backup);
    expect(report.ok).toBe(true);
    expect(report.globals.altered.first).toEqual(['own']);
    expect(await held).toBe('ended');
    await finishCluster(addressOf(target), { run });
    expect(await databases(target)).toBe('one\npostgres\ntemplate0\ntemplate1\ntwo\nunrelated');
    expect(await target.psql('postgres', 'SELECT one FROM kept_by_an_operator')).toBe('1');
    expect(await target.psql('postgres', 'SELECT count(*) FROM t')).toBe('100');
    expect(await target.psql('one', 'SHOW work_mem; SHOW statement_timeout')).toBe('9MB\n0');
  });

  it('is refused where somebody keeps something', async () => {
    target = await startPostgres({ major });
    await target.psql('postgres', 'CREATE DATABASE one; CREATE DATABASE other');
    await target.psql('other', `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    const before = await everything(target);
    await expect(restoreInto(target, backup)).rejects.toMatchObject({
      type: 'TargetNotEmpty',
      message: "the target is not empty: 'other' holds function public.mine",
    });
    expect(await everything(target)).toBe(before);
  });

  it.each(deaths.slice(0, major === 15 ? 4 : undefined))('goes on after it died at: %s %s', async (where, at) => {
    target = await startPostgres({ major });
    await target.psql('postgres', 'CREATE DATABASE one');
    // What is thrown is no HoldfastError, as nothing of a killed process is: nothing gets tidied up behind it.
    await expect(restoreInto(target, backup, dies(where, at))).rejects.toThrow('died');
    const again = await restoreInto(target, backup);
    expect(again.ok).toBe(true);
    expect(clusterCopyReport(again)).toMatchObject({ ok: true, tables: 4, rows: 400 });
    const third = await restoreInto(target, backup);
    expect(clusterCopyReport(third)).toMatchObject({ ok: true, tables: 4, rows: 400 });
    await finishCluster(addressOf(target), { run });
    expect(await everything(target)).toBe(await everything(source));
    expect(await sessionsLeft(target)).toBe('');
    // From here on it is somebody's.
    await expect(restoreInto(target, backup)).rejects.toMatchObject({ type: 'TargetNotEmpty' });
  });

  it('leaves nothing half-made when it is given up', async () => {
    target = await startPostgres({ major });
    await target.psql('postgres', 'CREATE DATABASE two');
    await expect(restoreInto(target, backup, dies('loaded', 'two'))).rejects.toThrow('died');
    await abandonCluster(addressOf(target), { run });
    expect(await databases(target)).toBe('one\npostgres\ntemplate0\ntemplate1\ntwo');
    expect(await comments(target)).not.toContain('holdfast');
    expect(await target.psql('two', `SELECT to_regclass('t') IS NULL`)).toBe('t');
  });

  it('reports the database that fails, and restores the others', async () => {
    target = await startPostgres({ major });
    const part = backup.manifest.parts.find(({ name, database }) => name === 'content' && database === 'one');
    const bytes = Buffer.from(backup.bytes);
    const at = (part?.offset ?? 0) + (part?.length ?? 0) - 20;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const report = await restoreInto(target, backupWith(backup.manifest, bytes));
    expect(report.ok).toBe(false);
    expect(report.databases.map(({ name, status }) => [name, status])).toEqual([
      ['template1', 'restored'],
      ['one', 'failed'],
      ['postgres', 'restored'],
      ['two', 'restored'],
    ]);
    expect(clusterCopyReport(report).differences[0]).toMatch(/^database one failed: /);
    expect(await databases(target)).toBe('postgres\ntemplate0\ntemplate1\ntwo');
    // Another attempt with whole bytes makes up for it.
    expect((await restoreInto(target, backup)).ok).toBe(true);
    expect(await target.psql('one', 'SELECT count(*) FROM t')).toBe('100');
  });

  it('never shows a database under its name that differs from its record', async () => {
    target = await startPostgres({ major });
    const manifest = {
      ...backup.manifest,
      databases: backup.manifest.databases.map((record) =>
        record.name === 'two'
          ? { ...record, tables: [...record.tables, ['public', 'gone', 3] as [string, string, number]] }
          : record,
      ),
    };
    const report = await restoreInto(target, backupWith(manifest, backup.bytes));
    expect(report.databases.at(-1)).toMatchObject({
      status: 'failed',
      report: { differences: [{ object: 'table "public"."gone"', expected: 'a table', found: 'nothing' }] },
    });
    expect(await databases(target)).toBe('one\npostgres\ntemplate0\ntemplate1');
  });

  it('tells which properties the target refused', async () => {
    target = await startPostgres({ major });
    const properties = (name: string) =>
      backup.manifest.databases.find((record) => record.name === name)?.properties ?? null;
    const one = properties('one');
    if (one === null) throw new Error('no properties');
    const settings = [
      ...one.settings,
      { role: null, name: 'vacuum_cleanup_index_scale_factor', value: '0.1' },
      { role: 'nobody', name: 'work_mem', value: '8MB' },
    ];
    const manifest = {
      ...backup.manifest,
      databases: backup.manifest.databases.map((record) =>
        record.name === 'one' ? { ...record, properties: { ...one, settings } } : record,
      ),
    };
    const report = await restoreInto(target, backupWith(manifest, backup.bytes));
    expect(report.ok).toBe(false);
    expect(report.databases.find(({ name }) => name === 'one')).toMatchObject({
      status: 'restored',
      report: {
        differences: [{ object: 'setting work_mem of role nobody of database one', expected: '8MB', found: 'none' }],
        notes: expect.arrayContaining([
          'setting vacuum_cleanup_index_scale_factor is not known to this version of PostgreSQL, and left out',
          expect.stringContaining('role "nobody" does not exist'),
        ]) as unknown,
      },
    });
    expect(await target.psql('one', 'SHOW work_mem')).toBe('9MB');
  });

  it('keeps an empty database into which somebody has put something at the last moment', async () => {
    target = await startPostgres({ major });
    await target.psql('postgres', 'CREATE DATABASE two');
    const report = await restoreInto(target, backup, {
      failpoint: async (name, database) => {
        if (name === 'verified' && database === 'two') await target.psql('two', 'CREATE TABLE precious ()');
      },
    });
    expect(report.databases.at(-1)).toMatchObject({
      name: 'two',
      status: 'failed',
      reason: expect.stringContaining("'two' is not empty: it holds table or view public.precious") as unknown,
    });
    expect(await target.psql('two', `SELECT to_regclass('precious') IS NOT NULL`)).toBe('t');
  });

  it('goes on when the server comes back, and stops where it doesn’t', async () => {
    target = await startPostgres({ major });
    const crashing = restoreInto(target, backup, {
      failpoint: async (name, database) => {
        if (name === 'created' && database === 'two') await target.kill();
      },
    });
    await expect(crashing).rejects.toMatchObject({ type: 'PostgresUnavailable' });
    await target.start();
    expect((await restoreInto(target, backup)).ok).toBe(true);
  });

  it('ends when it is told to', async () => {
    target = await startPostgres({ major });
    const abort = new AbortController();
    const restoring = restoreInto(target, backup, {
      signal: abort.signal,
      failpoint: (name, database) => {
        if (name === 'created' && database === 'two') abort.abort(new Error('cancelled by a person'));
        return Promise.resolve();
      },
    });
    await expect(restoring).rejects.toThrow('cancelled by a person');
    expect(await sessionsLeft(target)).toBe('');
    await abandonCluster(addressOf(target), { run });
    expect(await databases(target)).toBe('one\npostgres\ntemplate0\ntemplate1');
  });
});
