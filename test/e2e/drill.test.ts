import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { chown, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSample } from '../../demo/sample.ts';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { makeScratch } from '../../parts/scratch.ts';
import { serverUser } from '../../parts/server-user.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { DrillEvidence } from '../../src/domain/evidence.ts';
import type { DrillResult } from '../../src/workflows/drill.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start } from './runs.ts';

/** The server that is backed up runs on the same machine as the drills, with an archive and a tablespace of its own. */
describe('a restore drill', () => {
  let world: World;
  let server: PostgresServer;
  let scratch: string;
  let instances: string;
  let archive: string;
  let fast: string;

  beforeAll(async () => {
    scratch = await makeScratch('drill', { inMemory: true, owner: serverUser() });
    instances = join(scratch, 'i');
    [archive, fast] = [join(scratch, 'archive'), join(scratch, 'fast')];
    const owner = serverUser();
    for (const directory of [archive, fast]) {
      await mkdir(directory, { mode: 0o700 });
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    }
    world = await startWorld();
    server = await world.addPostgres('main', {
      major: 15,
      settings: { wal_level: 'replica', archive_mode: 'on', archive_command: `cp %p ${archive}/%f` },
    });
    const rows = (expect: string) => ({ database: 'gatus', sql: 'SELECT count(*) FROM gatus.endpoints', expect });
    const site = (name: string) => clusterAt(server, name);
    const policy = (cluster: string, method: string, more: object = {}) => ({
      ...{ cluster, method, repository: 'nas', keep: { last: 1 } },
      ...more,
    });
    await world.configure({
      clusters: {
        main: site('main'),
        walled: { ...site('main'), wal: { repository: 'nas' } },
        doomed: site('doomed'),
        waiting: site('waiting'),
        frozen: site('frozen'),
      },
      policies: {
        daily: policy('main', 'pg_dumpall', { checks: [rows('200')], amcheck: true }),
        archives: policy('main', 'pg_dump', { checks: [rows('200'), rows('201')] }),
        damaged: policy('main', 'pg_dumpall'),
        none: policy('main', 'pg_dumpall'),
        base: policy('main', 'base', { checks: [rows('200')], amcheck: true }),
        walled: policy('walled', 'base', { checks: [rows('201')] }),
        doomed: policy('doomed', 'base', { checks: [rows('200')] }),
        waiting: policy('waiting', 'pg_dumpall'),
        frozen: policy('frozen', 'base', { checks: [rows('200')] }),
      },
    });
    await createSample(server);
    await server.psql('postgres', `CREATE TABLESPACE fast LOCATION '${fast}'`);
    await server.psql('app', 'CREATE TABLE quick (id int PRIMARY KEY) TABLESPACE fast; INSERT INTO quick VALUES (1)');
    await world.startWorker({ args: ['--instances', instances, '--site', 'main'] });
  });
  afterAll(async () => {
    await world.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  /** However it ended: no directory, no process of a drill; the live server as it was. */
  afterEach(async () => {
    expect(await readdir(instances)).toEqual([]);
    expect(await processesIn(instances)).toEqual([]);
    expect(await server.psql('app', 'SELECT count(*) FROM quick')).toBe('1');
    // A drill's WAL would bear the same names.
    expect((await readdir(archive)).filter((name) => !/^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?$/.test(name))).toEqual([]);
    expect(await readdir(fast)).toHaveLength(1);
    await expectClean(world, server, [], ['walled']);
  });

  const evidenceOf = async (cluster: string, id: string): Promise<DrillEvidence[]> => {
    const directory = join(world.repository, cluster, 'evidence', id);
    const names = (await readdir(directory)).filter((name) => name.startsWith('drill-'));
    return Promise.all(
      names.map(async (name) => {
        const evidence = JSON.parse(await readFile(join(directory, name), 'utf8')) as DrillEvidence;
        expect(name.endsWith(`-${evidence.outcome}.json`)).toBe(true);
        return evidence;
      }),
    );
  };

  test('restores a whole dump, asks the checks, and leaves evidence', async () => {
    const { id } = await backUp(world);
    const drill = await start(world, 'drill', { policy: 'daily' });
    const result = (await drill.result()) as DrillResult;
    expect(result).toMatchObject({ backup: id, outcome: 'passed' });
    expect(result.checks.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
      'roles and tablespaces: passed',
      'databases: passed',
      'row counts: passed',
      'gatus: SELECT count(*) FROM gatus.endpoints: passed',
      'amcheck: passed',
    ]);
    expect(result.restoreSeconds).toBeGreaterThan(0);
    expect(result.dataAgeSeconds).toBeGreaterThanOrEqual(0);
    const [evidence, ...others] = await evidenceOf('main', id);
    expect(others).toEqual([]);
    expect(evidence).toMatchObject({ ...result, version: 1, kind: 'drill', policy: 'daily', cluster: 'main' });
    const { stdout, code } = await world.holdfast('backups', 'show', id, '--cluster', 'main');
    expect({ code, passed: /drill\D*passed/i.test(stdout) }).toEqual({ code: 0, passed: true });
  });

  test('with a wrong expectation fails by name, and leaves that as evidence too', async () => {
    const { id } = await backUp(world, 'archives');
    const said = await world.holdfast('drill', 'archives');
    expect(said.code).toBe(10);
    const drill = await start(world, 'drill', { policy: 'archives' });
    const failure = await failureOf(drill);
    expect(failure).toMatchObject({ type: 'DrillFailed', hint: expect.stringContaining('-failed.json') as unknown });
    expect(failure.message).toContain("endpoints: answered '200', expected '201'");
    const evidence = await evidenceOf('main', id);
    expect(evidence.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
    expect(evidence[0]?.checks.filter(({ outcome }) => outcome === 'failed')).toHaveLength(1);
  });

  test('of a backup that was damaged since shows it', async () => {
    const { id } = await backUp(world, 'damaged');
    const file = await open(join(world.repository, 'main/logical', `${id}.sql.gz`), 'r+');
    const { size } = await file.stat();
    await file.write(Buffer.from('damage'), 0, 6, Math.floor(size / 2));
    await file.close();
    const failure = await failureOf(await start(world, 'drill', { policy: 'damaged' }));
    expect(failure.type).toBe('DrillFailed');
    expect((await evidenceOf('main', id)).map(({ outcome }) => outcome)).toEqual(['failed']);
  });

  test('that could not be made says why, and nothing of any backup', async () => {
    const failure = await failureOf(await start(world, 'drill', { policy: 'none' }));
    expect(failure.type).toBe('NoSuchBackup');
    const unknown = await failureOf(await start(world, 'drill', { polcy: 'daily' }));
    expect(unknown.message).toContain('{"policy":"jigga-daily"}');
  });

  test('of a base backup that holds its own WAL comes up where that ends', async () => {
    const { id } = await backUp(world, 'base');
    const result = (await (await start(world, 'drill', { policy: 'base' })).result()) as DrillResult;
    expect(result.checks.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
      'pg_verifybackup: passed',
      'recovery: passed',
      'databases: passed',
      'gatus: SELECT count(*) FROM gatus.endpoints: passed',
      'promotion: passed',
      'amcheck: passed',
    ]);
    expect(result.dataAgeSeconds).toBeGreaterThanOrEqual(0);
    expect(result.restoreSeconds).toBeGreaterThan(0);
    expect(await evidenceOf('main', id)).toMatchObject([{ outcome: 'passed', reached: { verdict: 'as asked' } }]);
  });

  test('of a base backup with an archive replays what came after it', async () => {
    const archiving = await start(world, 'archiveWal', { cluster: 'walled' }, 'wal/walled');
    const { id } = await backUp(world, 'walled');
    await server.psql('gatus', "INSERT INTO gatus.endpoints VALUES (201, 'after the backup', '')");
    await untilArchived(world, server);
    const result = (await (await start(world, 'drill', { policy: 'walled' })).result()) as DrillResult;
    expect(result).toMatchObject({ backup: id, outcome: 'passed' });
    await server.psql('gatus', 'DELETE FROM gatus.endpoints WHERE id = 201');
    const [evidence] = await evidenceOf('walled', id);
    expect(evidence?.reached).toMatchObject({ stoppedBy: 'archive', verdict: 'as asked' });
    await archiving.cancel();
    await archiving.result().catch(() => undefined);
  });

  test('whose worker is killed while the copy runs is made again, and nothing of the first stays', async () => {
    const args = ['--instances', instances, '--site', 'doomed'];
    const killed = await world.startWorker({ failpoints: 'drill:restored=kill', args });
    const { id } = await backUp(world, 'doomed');
    const drill = await start(world, 'drill', { policy: 'doomed' });
    await killed.ended();
    expect(await readdir(instances)).toHaveLength(1);
    expect(await processesIn(instances)).not.toEqual([]);
    const rescuer = await world.startWorker({ args });
    expect(await drill.result()).toMatchObject({ backup: id, outcome: 'passed' });
    expect(await evidenceOf('doomed', id)).toHaveLength(1);
    await rescuer.end();
  });

  test('whose worker is frozen while the copy runs is made again, and what wakes up harms nothing', async () => {
    const args = ['--instances', instances, '--site', 'frozen'];
    const frozen = await world.startWorker({ failpoints: 'drill:restored=wait', args });
    const { id } = await backUp(world, 'frozen');
    const drill = await start(world, 'drill', { policy: 'frozen' });
    while ((await processesIn(instances)).length === 0) await sleep(100);
    process.kill(frozen.pid, 'SIGSTOP');
    const rescuer = await world.startWorker({ args });
    expect(await drill.result()).toMatchObject({ backup: id, outcome: 'passed' });
    process.kill(frozen.pid, 'SIGCONT');
    await frozen.end();
    expect((await evidenceOf('frozen', id)).map(({ outcome }) => outcome)).toEqual(['passed']);
    await rescuer.end();
  });

  test('that is cancelled while the copy runs takes it away', async () => {
    const args = ['--instances', instances, '--site', 'waiting'];
    const worker = await world.startWorker({ failpoints: 'drill:restored=wait', args });
    await backUp(world, 'waiting');
    const drill = await start(world, 'drill', { policy: 'waiting' });
    while ((await processesIn(instances)).length === 0) await sleep(100);
    await drill.cancel();
    await expect(drill.result()).rejects.toThrow();
    while ((await readdir(instances)).length > 0) await sleep(100);
    await worker.end();
  });
});

/** Servers that run below a directory. */
async function processesIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    if (command.includes('postgres') && command.includes(`${directory}/drill-`))
      found.push(command.replaceAll('\0', ' '));
  }
  return found;
}

/** Everything up to now is in the repository. */
async function untilArchived(world: World, server: PostgresServer): Promise<void> {
  const segment = await server.psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
  const system = await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
  const file = join(world.repository, 'walled/wal', system, segment.slice(0, 8), `${segment}.zst`);
  while ((await stat(file).catch(() => undefined)) === undefined) await sleep(100);
}
