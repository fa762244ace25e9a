import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyFile, open, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { contents, createLedger, damageLedger, policiesFor, traces } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start, untilDecision } from './runs.ts';

describe('a backup whose file was damaged after it was taken', () => {
  let world: World;
  let server: PostgresServer;
  let whole: string;
  let hurt: string;
  let file: string;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({ policies: policiesFor('main') });
    await createLedger(server, 'app', { rows: 20_000 });
    await world.startWorker();
    whole = (await backUp(world)).id;
    hurt = (await backUp(world)).id;
    file = join(world.repository, 'main/logical', `${hurt}.sql.gz`);
    await copyFile(file, `${world.directory}/as-it-was`);
    await damageLedger(server, 'app');
  });
  afterAll(() => world.stop());

  const flip = async () => {
    const handle = await open(file, 'r+');
    const { size } = await handle.stat();
    const at = Math.floor(size / 2);
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    await handle.write(Buffer.from([byte.readUInt8() ^ 0x10]), 0, 1, at);
    await handle.close();
  };

  test.each([
    ['one bit was flipped', flip, /sha-256|can't be read/],
    ['its end is cut off', () => truncate(file, 20_000), /is 20000 bytes long/],
    ['it is empty', () => writeFile(file, ''), /is 0 bytes long/],
    ['it is gone', () => rm(file), /is missing/],
  ])('is told as damaged, and restored by nobody: %s', async (_, harm, text) => {
    await harm();
    const verified = await world.holdfast('backups', 'verify', hurt, '--cluster', 'main');
    expect(verified.code).toBe(8);
    expect(verified.stdout + verified.stderr).toMatch(text);
    const untouched = await traces(server, 'app');
    const run = await start(world, 'restore', { cluster: 'main', backup: hurt, database: 'app' });
    const failure = await failureOf(run);
    expect(failure.type).toMatch(/^(ObjectDamaged|RestoreFailed|NoSuchBackup)$/);
    expect(failure.message).toContain(hurt);
    expect(failure.hint).not.toBe('');
    expect(await traces(server, 'app')).toBe(untouched);
    await expectClean(world, server);
    await copyFile(`${world.directory}/as-it-was`, file);
  });

  test('is no longer latest once its own run has found it damaged, and a restore takes the one before', async () => {
    await copyFile(`${world.directory}/as-it-was`, file);
    const evidence = join(world.repository, 'main/evidence', hurt);
    const [passed = ''] = await readdir(evidence);
    await rename(join(evidence, passed), join(evidence, passed.replace('passed', 'failed')));
    const run = await start(world, 'restore', { cluster: 'main', database: 'app' });
    const { plan } = await untilDecision(run);
    expect(plan?.facts.source.backup).toBe(whole);
    await run.signal('reject', { by: 'bob', reason: 'seen' });
    expect(await failureOf(run)).toMatchObject({ type: 'Rejected' });
    const refused = await start(world, 'restore', { cluster: 'main', backup: hurt, database: 'app' });
    expect(await failureOf(refused)).toMatchObject({ type: 'ObjectDamaged' });
    await expectClean(world, server);
  });

  test('whose manifest can’t be read is shown, and stands in nobody’s way', async () => {
    const before = await contents(server, 'app');
    await writeFile(join(world.repository, 'main/logical', `${hurt}.manifest.json`), '{"version":1,');
    const { stdout, stderr } = await world.holdfast('backups', 'list');
    expect(stdout + stderr).toContain(`${hurt}.manifest.json`);
    const { id } = await backUp(world);
    expect(id).not.toBe(hurt);
    expect(await readdir(join(world.repository, 'main/logical'))).toContain(`${hurt}.manifest.json`);
    expect(await contents(server, 'app')).toBe(before);
    await expectClean(world, server);
  });
});
