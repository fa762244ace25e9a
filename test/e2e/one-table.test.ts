import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { createSample } from '../../demo/sample.ts';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { RestoreResult } from '../../src/workflows/restore-run.ts';
import { leaveDump } from '../../parts/left-dump.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision } from './runs.ts';

/** The most common incident: somebody has dropped or emptied a table, and everything else shall stay as it is. */
describe('one table out of a backup', () => {
  let world: World;
  let server: PostgresServer;
  const results = (schema: string, database = 'app') =>
    server.psql(database, `SELECT count(*), md5(string_agg(r::text, ',' ORDER BY id)) FROM ${schema}.results r`);
  const kept = { cluster: 'main', repository: 'nas' };
  const backups: Record<string, string> = {};

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 17 });
    await world.configure({
      policies: {
        whole: { ...kept, method: 'pg_dumpall' },
        custom: { ...kept, method: 'pg_dump', prefix: 'custom' },
        directory: { ...kept, method: 'pg_dump', prefix: 'directory', format: 'directory' },
        old: { ...kept, method: 'pg_dumpall', prefix: 'old', adopt: { pattern: 'left-*', path: 'left' } },
      },
    });
    await createSample(server);
    await server.psql(
      'app',
      `CREATE TABLE app.parted (id int, region text) PARTITION BY LIST (region);
       CREATE TABLE app.parted_eu PARTITION OF app.parted FOR VALUES IN ('eu');
       CREATE TABLE app.parted_us PARTITION OF app.parted FOR VALUES IN ('us');
       INSERT INTO app.parted SELECT i, CASE WHEN i % 3 = 0 THEN 'us' ELSE 'eu' END FROM generate_series(1, 999) i`,
    );
    await world.startWorker();
    for (const policy of ['whole', 'custom', 'directory']) backups[policy] = (await backUp(world, policy)).id;
    await leaveDump(server, join(world.repository, 'left/left-by-cron.sql.gz'), 'pg_dumpall | gzip');
    backups['old'] = 'left-by-cron';
  });
  afterAll(() => world.stop());

  test.each(['whole', 'custom', 'directory', 'old'])(
    'goes into a new schema of the live database, which is otherwise untouched: backup %s',
    async (policy) => {
      const before = await server.psql('app', catalogs);
      const schema = `rescued_${policy}`;
      const run = await start(world, 'restore', {
        cluster: 'main',
        backup: backups[policy],
        database: 'app',
        tables: ['app.results'],
        intoSchema: schema,
        ...(policy === 'old' ? { foreign: true } : {}),
      });
      if (policy === 'old') await approve(run, await untilDecision(run));
      const { outcome, done } = (await run.result()) as RestoreResult;
      expect({ outcome, done }).toMatchObject({ outcome: 'created' });
      expect(done.join('\n')).toMatch(/1 table, 100,?000 rows/);
      expect(await results(schema)).toBe(await results('app'));
      expect(await server.psql('app', catalogs)).toBe(before);
      expect(
        (
          await server.psql(
            'app',
            `SELECT count(*) FROM pg_class WHERE relnamespace = '${schema}'::regnamespace AND relkind = 'r'`,
          )
        ).trim(),
      ).toBe('1');
      await server.psql('app', `DROP SCHEMA ${schema} CASCADE`);
      await expectClean(world, server);
    },
  );

  test.each(['whole', 'custom'])('takes its partitions along: backup %s', async (policy) => {
    const run = await start(world, 'restore', {
      cluster: 'main',
      backup: backups[policy],
      database: 'app',
      tables: ['app.parted'],
      intoSchema: 'parts',
    });
    expect(((await run.result()) as RestoreResult).done.join('\n')).toMatch(/999 rows/);
    const rows = (schema: string) =>
      server.psql(
        'app',
        `SELECT tableoid::regclass::text ~ 'us', count(*) FROM ${schema}.parted GROUP BY 1 ORDER BY 1`,
      );
    expect(await rows('parts')).toBe(await rows('app'));
    await server.psql('app', 'DROP SCHEMA parts CASCADE');
    await expectClean(world, server);
  });

  test('goes into a new database, with every definition and its own rows alone', async () => {
    const run = await start(world, 'restore', {
      cluster: 'main',
      backup: backups['whole'],
      database: 'app',
      tables: ['app.results'],
      into: 'looked_at',
    });
    await run.result();
    expect(await results('app', 'looked_at')).toBe(await results('app'));
    expect((await server.psql('looked_at', 'SELECT count(*) FROM app.endpoints')).trim()).toBe('0');
    await server.psql('postgres', 'DROP DATABASE looked_at');
    await expectClean(world, server);
  });

  test('comes back with its whole schema', async () => {
    const run = await start(world, 'restore', {
      cluster: 'main',
      backup: backups['custom'],
      database: 'app',
      schemas: ['app'],
      intoSchema: 'before',
    });
    await run.result();
    expect(await results('before')).toBe(await results('app'));
    expect((await server.psql('app', 'SELECT sum(count) FROM before.failing')).trim()).toBe(
      (await server.psql('app', 'SELECT sum(count) FROM app.failing')).trim(),
    );
    await server.psql('app', 'DROP SCHEMA before CASCADE');
    await expectClean(world, server);
  });

  test('that the backup does not have, or a schema that is taken, ends before anything is made', async () => {
    const wrong = { cluster: 'main', backup: backups['whole'], database: 'app', intoSchema: 'rescued' };
    const none = await failureOf(await start(world, 'restore', { ...wrong, tables: ['app.result'] }));
    expect(none).toMatchObject({ type: 'PlanHopeless' });
    expect(`${none.message} ${none.hint}`).toMatch(/it has "app"\."results"/);
    const taken = { ...wrong, tables: ['app.results'], intoSchema: 'app' };
    expect(await failureOf(await start(world, 'restore', taken))).toMatchObject({ type: 'PlanHopeless' });
    await expectClean(world, server);
  });

  test('is committed once, though the worker that puts it into the schema dies right after', async () => {
    await world.configure({
      clusters: {
        main: {
          site: 'doomed',
          server: {
            host: server.host,
            port: server.port,
            user: server.user,
            password: { env: 'MAIN_PASSWORD' },
            sslmode: 'disable',
          },
        },
      },
      policies: { whole: { ...kept, method: 'pg_dumpall' } },
    });
    const killed = await world.startWorker({ args: ['--site', 'doomed'], failpoints: 'extract:loaded=kill' });
    const run = await start(world, 'restore', {
      cluster: 'main',
      backup: backups['whole'],
      database: 'app',
      tables: ['app.results'],
      intoSchema: 'rescued',
    });
    await killed.ended();
    await world.startWorker({ args: ['--site', 'doomed'] });
    await run.result();
    expect(await results('rescued')).toBe(await results('app'));
    await expectClean(world, server);
  });
});

/** Everything that a restore beside must not touch. */
const catalogs = `SELECT n.nspname, c.relname, c.relkind, c.relowner, c.relacl, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname IN ('app', 'public') ORDER BY 1, 2;
  SELECT datname, datdba, datacl, datconnlimit FROM pg_database WHERE datname !~ '_new_' ORDER BY 1;
  SELECT conname, conrelid FROM pg_constraint WHERE connamespace = 'app'::regnamespace ORDER BY 1`;
