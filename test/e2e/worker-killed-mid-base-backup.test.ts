import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import type { BackupResult } from '../../src/workflows/backup.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { startArchiving, stopArchiving, systemOf } from './recovering.ts';
import { start } from './runs.ts';

/**
 * Each is the site of one run, whose worker dies there. They die at the same time, because it takes half a minute
 * until Temporal misses a worker.
 */
const deaths = {
  begin: 'take:begin',
  flowing: 'take:base.tar.zst',
  manifestless: 'take:backup_manifest',
  staged: 'take:staged',
  commit: 'commit:begin',
  object: 'commit:object',
  manifest: 'commit:manifest',
  verify: 'verify:read',
} as const;

describe('a worker that is killed in the middle of a base backup', () => {
  let world: World;
  let server: PostgresServer;
  const sites = Object.keys(deaths);
  const serve = (...served: readonly string[]) =>
    world.startWorker({ slots: 4, args: served.flatMap((site) => ['--site', site]) });

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15 }));
    await world.configure({
      clusters: Object.fromEntries(['main', ...sites].map((name) => [name, clusterAt(server, name)])),
      policies: Object.fromEntries(
        sites.map((cluster) => [cluster, { cluster, method: 'base', repository: 'nas', keep: { last: 5 } }]),
      ),
    });
    await server.psql(
      'postgres',
      `CREATE TABLE bulk AS SELECT n, md5(n::text) AS text FROM generate_series(1, 100000) n`,
    );
    // Goes on living, so that there is always somebody to answer for the runs.
    await serve('main');
  });
  afterAll(() => stopArchiving({ world }));

  const stagedIn = async (site: string) =>
    (await readdir(join(world.repository, site, 'physical'), { recursive: true }).catch(() => [])).filter((path) =>
      /(^|\/)\./.test(path),
    );

  test('leaves it to another, which makes exactly one and leaves nothing over', async () => {
    const doomed = await Promise.all(
      Object.entries(deaths).map(([site, failpoint]) =>
        world.startWorker({ args: ['--site', site], failpoints: `${failpoint}=kill` }),
      ),
    );
    const runs = await Promise.all(sites.map((site) => start(world, 'backup', { policy: site })));
    const results = Promise.all(runs.map((run) => run.result()));
    // A run that fails before its worker has died says why.
    await Promise.race([Promise.all(doomed.map((worker) => worker.ended())), results]);
    // The dead backup has left something for the next one to find.
    expect(await stagedIn('manifestless')).not.toEqual([]);
    await serve(...sites);
    for (const result of await results)
      expect(result as BackupResult).toMatchObject({ status: 'complete', pruned: [] });
    for (const site of sites) {
      const ids = await readdir(join(world.repository, site, 'physical', await systemOf(server)));
      expect(ids).toHaveLength(1);
      expect(await readdir(join(world.repository, site, 'evidence', ids[0] ?? ''))).toHaveLength(1);
      expect(await world.holdfast('backups', 'verify', ids[0] ?? '', '--cluster', site)).toMatchObject({ code: 0 });
    }
    await expectClean(world, server);
  });
});
