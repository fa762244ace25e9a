import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSample, damage, fingerprint } from '../../demo/sample.ts';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { S3Server } from '../../parts/s3-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { leftIn, objectsIn } from './bucket.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision, untilFollowUp } from './runs.ts';

describe('a repository in S3', () => {
  let world: World;
  let server: PostgresServer;
  let store: S3Server;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 17 });
    store = await world.addS3('offsite');
    await world.configure({
      policies: {
        daily: { cluster: 'main', method: 'pg_dumpall', repository: 'offsite', keep: { last: 2 } },
        archives: { cluster: 'main', method: 'pg_dump', repository: 'offsite', path: 'archives' },
      },
    });
    await createSample(server);
    await world.startWorker();
  });
  afterAll(() => world.stop());

  test('holds a backup that is seen only when it is whole, verified, listed and shown', async () => {
    const { id } = await backUp(world);
    expect(await objectsIn(store)).toEqual(
      expect.arrayContaining([`main/logical/${id}.manifest.json`, `main/logical/${id}.sql.gz`, 'holdfast.json']),
    );
    const { stdout } = await world.holdfast('backups', 'list');
    expect(stdout).toMatch(new RegExp(`${id} +main +daily .* complete +passed`));
    expect((await world.holdfast('backups', 'show', id)).stdout).toContain('s3://backups');
    expect((await world.holdfast('backups', 'verify', id)).stdout).toContain('passed');
    expect(await leftIn(store)).toEqual([]);
    expect((await readdir(world.repository, { recursive: true })).filter((name) => name.includes('.sql'))).toEqual([]);
  });

  test('is pruned by its policy, and by nothing else', async () => {
    await backUp(world, 'archives');
    const kept: string[] = [];
    for (let turn = 1; turn <= 3; turn += 1) kept.push((await backUp(world)).id);
    const dumps = (await objectsIn(store)).filter((key) => key.endsWith('.sql.gz') && key.startsWith('main/logical/'));
    expect(dumps).toEqual(kept.slice(-2).map((id) => `main/logical/${id}.sql.gz`));
    expect((await objectsIn(store)).filter((key) => key.endsWith('.dump')).length).toBeGreaterThanOrEqual(3);
  });

  test.each(['daily', 'archives'])(
    'gives one database back, beside the live one and swapped in, from a backup of policy %s',
    async (policy) => {
      const { id } = await backUp(world, policy);
      const before = await fingerprint(server, 'gatus');
      await damage(server);
      const run = await start(world, 'restore', { cluster: 'main', backup: id, database: 'gatus' });
      await approve(run, await untilDecision(run));
      await untilFollowUp(run);
      expect(await fingerprint(server, 'gatus')).toBe(before);
      await run.signal('release', { by: 'alice', reason: 'well' });
      expect(await run.result()).toMatchObject({ outcome: 'released' });
      await expectClean(world, server);
      expect(await leftIn(store)).toEqual([]);
    },
  );

  test('that refuses the keys fails the run with what to do, and takes the next backup once they are right', async () => {
    const known = await objectsIn(store);
    await store.rotate();
    const failure = await failureOf(await start(world, 'backup', { policy: 'daily' }));
    expect(failure.type).toBe('StoreUnavailable');
    expect(failure.message).toMatch(/s3|bucket/i);
    world.useKeys('offsite', store);
    await world.startWorker();
    expect(await objectsIn(store)).toEqual(known);
    // The first worker goes on with the old keys and fails; the run tries again until the other one has it.
    await backUp(world).catch(() => backUp(world));
    expect(await leftIn(store)).toEqual([]);
  });

  test('keeps no secret of the store in a log, an object or a history', async () => {
    const secret = store.secretAccessKey;
    for (const file of (await readdir(world.directory)).filter((name) => name.endsWith('.log')))
      expect(await readLog(world, file)).not.toContain(secret);
    const { stdout, stderr } = await world.holdfast('backups', 'list', '--json');
    expect(stdout + stderr).not.toContain(secret);
    for await (const { workflowId } of world.client.workflow.list()) {
      const history = await world.client.workflow.getHandle(workflowId).fetchHistory();
      expect(Buffer.from(JSON.stringify(history)).includes(secret)).toBe(false);
    }
  });
});

async function readLog(world: World, name: string): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(join(world.directory, name), 'utf8');
}
