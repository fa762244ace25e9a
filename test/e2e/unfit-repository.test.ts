import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { mountTmpfs, type Mounted } from '../storage/scratch.ts';
import { createLedger } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, failureOf, start, type Failed } from './runs.ts';

const stores = ['full', 'unmounted', 'readonly'] as const;

/** What keeps a run from its repository may pass, so runs try for half a minute: all three fail at the same time. */
describe('a repository that can’t take a backup', () => {
  let world: World;
  let server: PostgresServer;
  const mounted = new Map<string, Mounted>();
  const placeOf = (store: string) => mounted.get(store)?.directory ?? '';
  const first = new Map<string, string>();
  const files = async (store: string) =>
    (await readdir(placeOf(store), { recursive: true })).filter((path) => path !== 'ballast').sort();

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    for (const store of stores) mounted.set(store, mountTmpfs('size=4m,mode=700'));
    await world.configure({
      repositories: {
        nas: { directory: world.repository },
        ...Object.fromEntries(stores.map((store) => [store, { directory: placeOf(store) }])),
      },
      policies: Object.fromEntries(
        stores.map((store) => [store, { cluster: 'main', method: 'pg_dumpall', repository: store, keep: { last: 5 } }]),
      ),
    });
    for (const store of stores) expect(await world.holdfast('repositories', 'init', store)).toMatchObject({ code: 0 });
    await createLedger(server, 'app', { rows: 20_000 });
    await world.startWorker({ slots: 3 });
    for (const store of stores) first.set(store, (await backUp(world, store)).id);
  });
  afterAll(async () => {
    for (const store of mounted.values()) store.close();
    await world.stop();
  });

  test('fails the run with a type, the cause and a cure, and what was there before is untouched', async () => {
    const before = new Map<string, string[]>();
    for (const store of stores) before.set(store, await files(store));
    const { bavail, bsize } = await statfs(placeOf('full'));
    await writeFile(join(placeOf('full'), 'ballast'), Buffer.alloc(bavail * bsize - 200_000, 1));
    const marker = await readFile(join(placeOf('unmounted'), 'holdfast.json'));
    await rm(join(placeOf('unmounted'), 'holdfast.json'));
    mounted.get('readonly')?.remount('ro');

    const runs = await Promise.all(stores.map((store) => start(world, 'backup', { policy: store })));
    const [full, unmounted, readonly] = (await Promise.all(runs.map(failureOf))) as [Failed, Failed, Failed];
    expect(full).toMatchObject({ type: 'StoreFull', hint: expect.stringContaining('free space') as unknown });
    expect(full.message).toContain(placeOf('full'));
    expect(unmounted).toMatchObject({ type: 'StoreNotMounted', hint: expect.stringContaining('mount it') as unknown });
    expect(unmounted.message).toContain(placeOf('unmounted'));
    expect(readonly).toMatchObject({
      type: 'StoreUnavailable',
      hint: expect.stringContaining('read-write') as unknown,
    });
    expect(readonly.message).toContain('read-only');

    await rm(join(placeOf('full'), 'ballast'));
    mounted.get('readonly')?.remount('rw');
    expect(await files('unmounted')).toEqual(before.get('unmounted')?.filter((name) => name !== 'holdfast.json'));
    await writeFile(join(placeOf('unmounted'), 'holdfast.json'), marker);
    for (const store of stores) expect(await files(store)).toEqual(before.get(store));
    await expectClean(world, server);
  });

  test('takes the next one once it is well again', async () => {
    for (const store of stores) {
      const { id } = await backUp(world, store);
      for (const one of [id, first.get(store) ?? ''])
        expect(await world.holdfast('backups', 'verify', one, '--cluster', 'main')).toMatchObject({ code: 0 });
    }
    await expectClean(world, server);
  });
});
