import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { PruneResult } from '../../src/activities/index.ts';
import type { BackupResult } from '../../src/workflows/backup.ts';
import { backupsIn } from './held-dump.ts';
import { createLedger, holdLoads, untilLoading } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { failureOf, start } from './runs.ts';

/** What other programs left in the same directory, with names that look like ours. */
const foreign = [
  'daily-20200101-020000.sql.gz',
  'daily-20200101-020000.sql.gz.part',
  'daily-latest.sql.gz',
  'daily.tombstone.json',
  'notes.txt',
];

describe('backups and prunes side by side', () => {
  let world: World;
  let server: PostgresServer;
  const configure = (last: number) =>
    world.configure({
      policies: Object.fromEntries(
        ['daily', 'hourly'].map((name) => [
          name,
          { cluster: 'main', method: 'pg_dumpall', repository: 'nas', path: '', prefix: name, keep: { last } },
        ]),
      ),
    });
  const of = async (policy: string) =>
    (await readdir(world.repository))
      .filter((name) => name.startsWith(`${policy}-2`) && name.endsWith('.manifest.json'))
      .map((name) => name.replace('.manifest.json', ''))
      .sort();
  const prune = async (policy: string, dryRun = false) =>
    (await (await start(world, 'prune', { policy, dryRun })).result()) as PruneResult;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await configure(10);
    await createLedger(server, 'app');
    await world.startWorker({ slots: 4 });
  });
  afterAll(() => world.stop());

  test('of one policy at the same moment, and of two policies, are each whole under a name of its own', async () => {
    const runs = await Promise.all(
      ['daily', 'daily', 'hourly', 'daily'].map((policy) => start(world, 'backup', { policy })),
    );
    const results = (await Promise.all(runs.map((run) => run.result()))) as BackupResult[];
    expect(new Set(results.map(({ id }) => id)).size).toBe(4);
    expect(await backupsIn(world, '')).toEqual(results.map(({ id }) => id).sort());
    expect(await of('hourly')).toHaveLength(1);
    for (const { id } of results) expect(await world.holdfast('backups', 'verify', id)).toMatchObject({ code: 0 });
    await expectClean(world, server);
  });

  test('a dry run says what would go and deletes nothing', async () => {
    await configure(1);
    const before = await readdir(world.repository, { recursive: true });
    const [newest = '', ...older] = (await of('daily')).reverse();
    const { removed, verdicts } = await prune('daily', true);
    expect([...removed].sort()).toEqual([...older].sort());
    expect(verdicts.find(({ id }) => id === newest)?.keep).toContain('the newest good backup');
    expect(await readdir(world.repository, { recursive: true })).toEqual(before);
    await expectClean(world, server);
  });

  test('a prune spares what a restore reads, other policies and foreign files, and takes the rest', async () => {
    for (const name of foreign) await writeFile(join(world.repository, name), 'not yours');
    const [read = '', between = ''] = await of('daily');
    const letGo = await holdLoads(server);
    const restore = await start(world, 'restore', { cluster: 'main', backup: read, database: 'app', into: 'beside' });
    await untilLoading(server);
    const { removed, verdicts } = await prune('daily');
    expect(removed).toEqual([between]);
    expect(verdicts.find(({ id }) => id === read)?.keep).toContain(`being read by ${restore.workflowId}`);
    expect(await readdir(world.repository)).toEqual(expect.arrayContaining(foreign));
    expect(await of('hourly')).toHaveLength(1);

    await restore.terminate('a test');
    expect(await failureOf(restore)).toMatchObject({ type: 'TerminatedFailure' });
    await letGo();
    expect((await prune('daily')).removed).toEqual([read]);
    expect(await of('daily')).toHaveLength(1);
    expect(await readdir(world.repository)).toEqual(expect.arrayContaining(foreign));
    const copies = await server.psql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'beside_new_%'");
    await expectClean(world, server, copies.split('\n'));
  });

  test('a tombstone that names what isn’t its own stops the prune before anything goes', async () => {
    const tombstone = join(world.repository, 'daily-20200101-020000.tombstone.json');
    const victim = `${(await of('hourly'))[0] ?? ''}.sql.gz`;
    const claim = { version: 1, backup: 'x', cluster: 'main', objects: [victim], manifest: 'holdfast.json' };
    await writeFile(tombstone, JSON.stringify(claim));
    const failure = await failureOf(await start(world, 'prune', { policy: 'daily' }));
    expect(failure).toMatchObject({ type: 'ObjectDamaged', hint: expect.stringContaining('by hand') as unknown });
    expect(failure.message).toContain('daily-20200101-020000.tombstone.json');
    expect(await readdir(world.repository)).toEqual(expect.arrayContaining([victim, 'holdfast.json']));
    expect((await failureOf(await start(world, 'backup', { policy: 'daily' }))).type).toBe('ObjectDamaged');
    expect(await of('daily')).toHaveLength(2);
  });
});
