import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { BackupResult } from '../../src/workflows/backup.ts';
import { backupsIn, holdDumps, untilDumping } from './held-dump.ts';
import { clusterAt, createLedger } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { backUp, start } from './runs.ts';

/**
 * Each is the site of one run, whose worker dies there. They die at the same time, because it takes half a minute
 * until Temporal misses a worker.
 */
const deaths = {
  begin: 'take:begin',
  flowing: null,
  staged: 'take:staged',
  commit: 'commit:begin',
  object: 'commit:object',
  manifest: 'commit:manifest',
  verify: 'verify:read',
} as const;
const pruneDeaths = {
  before: 'prune:before',
  marked: 'prune:tombstone',
  forgotten: 'prune:manifest',
  removed: 'prune:objects',
} as const;

describe('a worker that is killed', () => {
  let world: World;
  let server: PostgresServer;
  const sites = Object.keys(deaths);
  const pruneSites = Object.keys(pruneDeaths);
  const configure = (last: number) => {
    const all = ['main', ...sites, ...pruneSites];
    return world.configure({
      clusters: Object.fromEntries(all.map((name) => [name, clusterAt(server, name)])),
      policies: Object.fromEntries(
        all.map((cluster) => [cluster, { cluster, method: 'pg_dumpall', repository: 'nas', keep: { last } }]),
      ),
    });
  };
  const directoryOf = (site: string) => join(site, 'logical');
  const doom = (site: string, failpoint: string | null) =>
    world.startWorker({
      args: ['--site', site],
      ...(failpoint === null ? {} : { failpoints: `${failpoint}=kill` }),
    });
  const serve = (...served: readonly string[]) =>
    world.startWorker({ slots: 4, args: served.flatMap((site) => ['--site', site]) });

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await configure(5);
    await createLedger(server, 'app', { rows: 5000 });
    await createLedger(server, 'held', { rows: 10 });
    // Goes on living, so that there is always somebody to answer for the runs.
    await serve('main');
  });
  afterAll(() => world.stop());

  test('in the middle of a backup leaves it to another, which makes exactly one and leaves nothing over', async () => {
    const doomed = await Promise.all(Object.entries(deaths).map(([site, failpoint]) => doom(site, failpoint)));
    const letGo = await holdDumps(server, 'held');
    const flowing = await start(world, 'backup', { policy: 'flowing' });
    await untilDumping(world, server);
    await doomed[sites.indexOf('flowing')]?.end('SIGKILL');
    await letGo();
    const others = await Promise.all(
      sites.filter((site) => site !== 'flowing').map((site) => start(world, 'backup', { policy: site })),
    );
    await Promise.all(doomed.map((worker) => worker.ended()));
    const rescuer = await serve(...sites);
    for (const run of [flowing, ...others])
      expect((await run.result()) as BackupResult).toMatchObject({ status: 'complete', databases: 4, pruned: [] });
    for (const site of sites) {
      const ids = await backupsIn(world, directoryOf(site));
      expect(ids).toHaveLength(1);
      expect(await readdir(join(world.repository, site, 'evidence', ids[0] ?? ''))).toHaveLength(1);
      expect(await world.holdfast('backups', 'verify', ids[0] ?? '', '--cluster', site)).toMatchObject({ code: 0 });
    }
    await expectClean(world, server);
    await backUp(world, 'staged');
    expect(await backupsIn(world, directoryOf('staged'))).toHaveLength(2);
    await rescuer.end();
  });

  test('in the middle of a prune leaves it to the next, which ends it and takes no other backup', async () => {
    const keeper = await serve(...pruneSites);
    const before = new Map<string, string[]>();
    for (const site of pruneSites) {
      for (let count = 0; count < 3; count += 1) await backUp(world, site);
      before.set(site, await backupsIn(world, directoryOf(site)));
    }
    await keeper.end();
    await configure(1);
    const doomed = await Promise.all(Object.entries(pruneDeaths).map(([site, failpoint]) => doom(site, failpoint)));
    const runs = await Promise.all(pruneSites.map((site) => start(world, 'prune', { policy: site })));
    await Promise.all(doomed.map((worker) => worker.ended()));
    await serve(...pruneSites);
    for (const run of runs) await run.result();
    for (const site of pruneSites) {
      expect(await readdir(join(world.repository, directoryOf(site)))).not.toEqual(
        expect.arrayContaining([expect.stringContaining('tombstone')]),
      );
      const [oldest, , newest] = before.get(site) ?? [];
      const left = await backupsIn(world, directoryOf(site));
      expect(left).toContain(newest);
      expect(left).not.toContain(oldest);
      expect(left).toHaveLength(1);
    }
    await expectClean(world, server);
  });
});
