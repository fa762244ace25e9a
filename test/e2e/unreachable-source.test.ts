import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import pg from 'pg';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { clusterAt, createLedger } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start, untilDecision } from './runs.ts';

describe('a server that can’t be backed up', () => {
  let world: World;
  let server: PostgresServer;
  let newer: PostgresServer;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    newer = await world.addPostgres('newer', { major: 17 });
    const main = clusterAt(server, 'main');
    const policy = { method: 'pg_dumpall', repository: 'nas', lockTimeout: '1s', exclude: ['unwanted'] };
    await world.configure({
      clusters: {
        main,
        newer: clusterAt(newer, 'main', 'NEWER_PASSWORD'),
        stranger: { ...main, server: { ...main.server, password: { env: 'NEWER_PASSWORD' } } },
        nowhere: { ...main, server: { ...main.server, host: 'nowhere.invalid' } },
        silent: { ...main, server: { ...main.server, port: 1 } },
      },
      policies: Object.fromEntries(
        ['main', 'newer', 'stranger', 'nowhere', 'silent'].map((cluster) => [cluster, { cluster, ...policy }]),
      ),
      tools: { postgres: { '15': server.binDir, '17': server.binDir } },
    });
    for (const name of ['app', 'stuck', 'shut', 'unwanted']) await createLedger(server, name, { rows: 100 });
    await world.startWorker({ slots: 4 });
  });
  afterAll(() => world.stop());

  test('is named with the cause and a cure, and makes no file', async () => {
    const before = await readdir(world.repository, { recursive: true });
    const policies = ['newer', 'stranger', 'nowhere', 'silent'];
    const runs = await Promise.all(policies.map((policy) => start(world, 'backup', { policy })));
    const [tools, password, host, port] = await Promise.all(runs.map(failureOf));
    expect(tools).toMatchObject({ type: 'ToolMissing', hint: expect.stringContaining('tools.postgres') as unknown });
    expect(tools?.message).toContain('of PostgreSQL 15');
    expect(password).toMatchObject({ type: 'PostgresRefused', hint: expect.stringContaining('password') as unknown });
    expect(JSON.stringify(password)).not.toContain(newer.password);
    expect(host).toMatchObject({ type: 'PostgresUnavailable' });
    expect(host?.message).toContain('nowhere.invalid');
    expect(port).toMatchObject({ type: 'PostgresUnavailable' });
    expect(port?.message).toContain('127.0.0.1:1');
    expect(await readdir(world.repository, { recursive: true })).toEqual(before);
    await expectClean(world, server);
    await expectClean(world, newer);
  });

  test('in one database only is backed up without it, loudly, and that is never the newest good backup', async () => {
    const whole = await backUp(world, 'main');
    expect(whole).toMatchObject({ status: 'complete', databases: 5 });
    await server.psql('postgres', 'ALTER DATABASE shut ALLOW_CONNECTIONS false');
    const holder = new pg.Client({ connectionString: server.url('stuck') });
    await holder.connect();
    await holder.query('BEGIN; LOCK TABLE ledger.entries IN ACCESS EXCLUSIVE MODE');
    const failure = await failureOf(await start(world, 'backup', { policy: 'main' }));
    await holder.end();
    await server.psql('postgres', 'ALTER DATABASE shut ALLOW_CONNECTIONS true');
    expect(failure).toMatchObject({
      type: 'BackupPartial',
      hint: expect.stringContaining('run the policy again') as unknown,
    });
    expect(failure.message).toMatch(/'stuck': .*lock/);
    expect(failure.message).not.toContain('shut');
    const partial = /backup (\S+) is partial/.exec(failure.message)?.[1] ?? '';

    const { stdout } = await world.holdfast('--json', 'backups', 'show', partial, '--cluster', 'main');
    const { manifest } = JSON.parse(stdout) as { manifest: Manifest };
    expect(Object.fromEntries(manifest.databases.map(({ name, status }) => [name, status]))).toEqual({
      ...{ template1: 'dumped', postgres: 'dumped', app: 'dumped' },
      ...{ stuck: 'failed', shut: 'skipped', unwanted: 'skipped', template0: 'skipped' },
    });

    for (const [database, backup] of [
      ['stuck', whole.id],
      ['app', partial],
    ]) {
      const run = await start(world, 'restore', { cluster: 'main', database });
      expect((await untilDecision(run)).plan?.facts.source.backup).toBe(backup);
      await run.signal('reject', { by: 'bob', reason: 'only to see the plan' });
      expect(await failureOf(run)).toMatchObject({ type: 'Rejected' });
    }
    const missing = await failureOf(
      await start(world, 'restore', { cluster: 'main', backup: partial, database: 'stuck' }),
    );
    expect(missing).toMatchObject({ type: 'NoSuchBackup' });
    expect(missing.message).toContain("'stuck'");
    await expectClean(world, server);
  });
});
