import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { manifestSchema, partOf } from '../../src/domain/manifest.ts';
import { clusterAt, contents, createLedger, damageLedger, policiesFor, rowsOf, traces } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision, untilFollowUp } from './runs.ts';

describe('the plan of a restore', () => {
  let world: World;
  let server: PostgresServer;
  let newer: PostgresServer;
  let bare: PostgresServer;
  let whole: string;

  const databases = async (of: PostgresServer) =>
    (await of.psql('postgres', 'SELECT datname FROM pg_database ORDER BY 1')).split('\n').filter(Boolean);
  const restore = (argument: object) => start(world, 'restore', { cluster: 'main', ...argument });
  async function hopeless(argument: object, of: PostgresServer): Promise<{ message: string; hint: string }> {
    const before = await databases(of);
    const run = await restore(argument);
    const { type, message, hint } = await failureOf(run);
    expect({ type, message }).toMatchObject({ type: 'PlanHopeless' });
    expect(hint).not.toBe('');
    expect(await databases(of)).toEqual(before);
    await expectClean(world, of);
    return { message, hint };
  }

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    newer = await world.addPostgres('newer', { major: 17 });
    bare = await world.addPostgres('bare', { major: 15 });
    await world.configure({
      clusters: {
        main: clusterAt(server, 'main'),
        newer: clusterAt(newer, 'main', 'NEWER_PASSWORD'),
        bare: clusterAt(bare, 'main', 'BARE_PASSWORD'),
      },
      policies: policiesFor('main'),
    });
    await createLedger(server, 'gatus');
    await createLedger(server, 'app');
    await world.startWorker({ args: ['--site', 'main'] });
    await backUp(world);
    whole = await contents(server, 'gatus');
    await damageLedger(server, 'gatus');
  });
  afterAll(() => world.stop());

  test('is hopeless where the name to restore into is taken', async () => {
    const { message } = await hopeless({ database: 'gatus', into: 'app' }, server);
    expect(message).toContain("database 'app' exists already");
  });

  test('is hopeless where the target lacks a role, unless it is to be made', async () => {
    const { message, hint } = await hopeless({ database: 'gatus', onto: 'newer' }, newer);
    expect(message).toContain("'gatus'");
    expect(hint).toContain('"missingRoles":"create"');

    const run = await restore({ database: 'gatus', onto: 'newer', missingRoles: 'create' });
    expect(await run.result()).toMatchObject({ outcome: 'created', database: 'gatus' });
    expect(await contents(newer, 'gatus')).toBe(whole);
    expect(await newer.psql('postgres', "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'gatus'")).toBe('f');
    await expectClean(world, newer);
  });

  test('onto a newer cluster that has the database swaps there, and touches nothing at the source', async () => {
    const untouched = await traces(server, 'gatus');
    await damageLedger(newer, 'gatus');
    const run = await restore({ database: 'gatus', onto: 'newer' });
    await approve(run, await untilDecision(run));
    await untilFollowUp(run);
    expect(await contents(newer, 'gatus')).toBe(whole);
    await run.signal('release', { by: 'alice', reason: 'enough' });
    await run.result();
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, newer);
  });

  test('under another name makes that database with the owner and settings of the backup, and asks nobody', async () => {
    const untouched = await traces(server, 'gatus');
    const run = await restore({ database: 'gatus', into: 'gatus_before' });
    expect(await run.result()).toMatchObject({ outcome: 'created', database: 'gatus_before' });
    expect(await contents(server, 'gatus_before')).toBe(whole);
    expect(await server.psql('gatus_before', 'SHOW work_mem')).toBe('8MB');
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, server);
    await server.psql('postgres', 'DROP DATABASE gatus_before');
  });

  test('takes owner, privileges, settings and comment from the live database, or from the backup if told so', async () => {
    await server.psql('postgres', "ALTER DATABASE app SET work_mem = '32MB'; COMMENT ON DATABASE app IS 'changed'");
    for (const [properties, workMem, comment] of [
      ['live', '32MB', 'changed'],
      ['backup', '8MB', 'ledger of app'],
    ] as const) {
      const run = await restore({ database: 'app', properties });
      await approve(run, await untilDecision(run));
      await untilFollowUp(run);
      expect(await server.psql('app', 'SHOW work_mem')).toBe(workMem);
      expect(
        await server.psql(
          'app',
          "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()",
        ),
      ).toBe(comment);
      await run.signal('release', { by: 'alice', reason: 'enough' });
      await run.result();
    }
    await expectClean(world, server);
  });

  test('of a whole cluster is hopeless where the target is not empty, and says what it holds', async () => {
    const { message } = await hopeless({ onto: 'newer' }, newer);
    expect(message).toContain('the target is not empty');
    expect(message).toContain("'gatus'");
  });

  test('of a whole cluster fills roles and databases that were made beforehand, after an approval', async () => {
    await bare.psql('postgres', "CREATE ROLE gatus LOGIN PASSWORD 'of the operator'");
    await bare.psql('postgres', 'CREATE DATABASE gatus OWNER gatus');
    const run = await restore({ onto: 'bare' });
    const waiting = await untilDecision(run);
    expect(waiting.plan?.facts.adopts).toMatchObject({
      roles: expect.arrayContaining(['gatus']) as unknown as string[],
      databases: expect.arrayContaining(['gatus']) as unknown as string[],
    });
    expect(await databases(bare)).toEqual(['gatus', 'postgres', 'template0', 'template1']);
    await approve(run, waiting);
    expect(await run.result()).toMatchObject({ outcome: 'restored' });
    expect(await contents(bare, 'gatus')).toBe(whole);
    expect(await rowsOf(bare, 'app')).toBe(1000);
    await expectClean(world, bare);
  });

  test('from a file that is cut short or has one bit flipped ends without a swap, and names what is damaged', async () => {
    const untouched = await traces(server, 'gatus');
    const directory = join(world.repository, 'main/logical');
    const file = (await readdir(directory)).find((name) => name.endsWith('.sql.gz')) ?? '';
    const path = join(directory, file);
    const good = await readFile(path);
    const manifest = manifestSchema.parse(
      JSON.parse(await readFile(path.replace(/\.sql\.gz$/, '.manifest.json'), 'utf8')),
    );
    const part = partOf(manifest, 'content', 'gatus');
    if (!part) throw new Error('the backup has no content of gatus');
    const middle = part.offset + Math.floor(part.length / 2);
    const flipped = Buffer.from(good);
    flipped[middle] = (flipped[middle] ?? 0) ^ 1;
    for (const spoil of [() => writeFile(path, flipped), () => truncate(path, middle)]) {
      await spoil();
      const { type, message } = await failureOf(await restore({ database: 'gatus' }));
      expect({ type, message }).toMatchObject({ type: 'ObjectDamaged' });
      expect(message).toContain(file);
      await expectClean(world, server);
      expect(await traces(server, 'gatus')).toBe(untouched);
      await writeFile(path, good);
    }
  });

  test('with gate start asks before anything is made', async () => {
    const before = await databases(server);
    await world.configure({
      clusters: { main: clusterAt(server, 'main') },
      policies: policiesFor('main'),
      approvals: { restore: { gate: 'start' } },
    });
    const run = await restore({ database: 'gatus' });
    const waiting = await untilDecision(run);
    expect(await databases(server)).toEqual(before);
    await approve(run, waiting);
    await untilFollowUp(run);
    expect(await contents(server, 'gatus')).toBe(whole);
    await run.signal('release', { by: 'alice', reason: 'enough' });
    await run.result();
    await expectClean(world, server);
  });
});
