import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSample, damage, databases, fingerprint } from '../../demo/sample.ts';
import { startPostgres, type PostgresMajor, type PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, start, untilDecision, untilFollowUp } from './runs.ts';

const run = promisify(execFile);

describe.each<[PostgresMajor, 'custom' | 'directory', 'gzip' | 'zstd']>([
  [15, 'custom', 'gzip'],
  [17, 'directory', 'zstd'],
])('method pg_dump on PostgreSQL %i, format %s, %s', (major, format, compression) => {
  let world: World;
  let server: PostgresServer;
  let spare: PostgresServer;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major });
    spare = await startPostgres({ major });
    const policy = { method: 'pg_dump', repository: 'nas', format, compression, jobs: 3, keep: { last: 1 } };
    await world.configure({
      clusters: {
        main: clusterAt(server, 'main'),
        doomed: clusterAt(server, 'doomed'),
        spare: clusterAt(spare, 'main', 'SPARE_PASSWORD'),
      },
      policies: {
        daily: { ...policy, cluster: 'main' },
        doomed: { ...policy, cluster: 'doomed' },
      },
    });
    await createSample(server);
    await world.startWorker({
      args: ['--scratch', join(world.directory, 'scratch')],
      environment: { SPARE_PASSWORD: spare.password },
    });
  });
  afterAll(async () => {
    await spare.stop('immediate');
    await world.stop();
  });

  test('makes an archive for each database and the globals, keeps the last, and verifies', async () => {
    const first = await backUp(world);
    const { id, databases: count } = await backUp(world);
    const files = (await readdir(join(world.repository, 'main/logical'))).filter((name) => !name.endsWith('.json'));
    const ending = format === 'custom' ? 'dump' : 'tar';
    expect(files.sort()).toEqual(
      [...databases, 'postgres', 'template1']
        .map((name) => `${id}.${name}.${ending}`)
        .concat(`${id}.globals.sql.${compression === 'gzip' ? 'gz' : 'zst'}`)
        .sort(),
    );
    expect(count).toBe(5);
    expect(files.some((name) => name.startsWith(first.id))).toBe(false);
    expect((await world.holdfast('backups', 'verify', id)).stdout).toContain('passed');
    await expectClean(world, server);
    expect(await readdir(join(world.directory, 'scratch')).catch(() => [])).toEqual([]);
  });

  test('gives one database back, swapped in', async () => {
    const before = await fingerprint(server, 'gatus');
    await damage(server);
    const restore = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    await approve(restore, await untilDecision(restore));
    await untilFollowUp(restore);
    expect(await fingerprint(server, 'gatus')).toBe(before);
    await restore.signal('release', { by: 'alice', reason: 'well' });
    await restore.result();
    await expectClean(world, server);
  });

  test('fills an empty cluster with everything', async () => {
    const restore = await start(world, 'restore', { cluster: 'main', onto: 'spare' });
    const progress = await untilDecision(restore).catch(() => undefined);
    if (progress !== undefined) await approve(restore, progress);
    expect(await restore.result()).toMatchObject({ outcome: 'restored' });
    for (const name of databases) expect(await fingerprint(spare, name)).toBe(await fingerprint(server, name));
    expect(await readdir(join(world.directory, 'scratch')).catch(() => [])).toEqual([]);
  });

  test('is restored by stock tools alone', async () => {
    const other = await startPostgres({ major });
    try {
      const { stdout } = await world.holdfast('backups', 'show', 'latest', '--cluster', 'main');
      const commands = stdout.split('\n').filter((line) => /^\s+(zcat|zstdcat|pg_restore|mkdir)/.test(line));
      expect(commands.length).toBeGreaterThanOrEqual(5);
      const env = {
        PATH: `${other.binDir}:${process.env['PATH'] ?? ''}`,
        // Over the socket: the globals bring the source's passwords along.
        PGHOST: other.socketDir,
        PGPORT: String(other.port),
        PGUSER: other.user,
      };
      for (const [index, command] of commands.entries()) {
        // Each archive of the directory format is unpacked into a directory of its own.
        const line = command.replaceAll(/\barchive\b/g, join(world.directory, `unpacked-${String(index)}`));
        await run('bash', ['-c', line], { env });
      }
      for (const name of databases)
        expect(await other.psql(name, `SELECT count(*) FROM ${name}.results`)).toBe(
          await server.psql(name, `SELECT count(*) FROM ${name}.results`),
        );
    } finally {
      await other.stop('immediate');
    }
  });

  test('whose worker dies between two files leaves one backup, made by the next', async () => {
    const args = ['--site', 'doomed', '--scratch', join(world.directory, 'doomed')];
    const killed = await world.startWorker({ failpoints: 'commit:object=kill', args });
    const backup = await start(world, 'backup', { policy: 'doomed' });
    await killed.ended();
    await world.startWorker({ args });
    expect(await backup.result()).toMatchObject({ status: 'complete', databases: 5 });
    const names = await readdir(join(world.repository, 'doomed/logical'));
    expect(names.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(1);
    expect(names).toHaveLength(7);
    await expectClean(world, server);
  });
});
