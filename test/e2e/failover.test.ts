import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import { makeStandby, type Standby } from '../postgres/wal/standby.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { note, recoverTo, startArchive, startArchiving, stopArchiving, until, untilArchived } from './recovering.ts';
import { backUp } from './runs.ts';

/** The cluster's address leads to the standby after the failover, as a service or a proxy would have it. */
describe('a failover', () => {
  let world: World;
  let server: PostgresServer;
  let standby: Standby;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15, settings: { wal_keep_size: '512MB' } }));
    await world.startWorker();
    await startArchive(world);
    await backUp(world, 'base');
    await note(server, 'before');
    await untilArchived(world, server);
    standby = await makeStandby(server);
  });
  afterAll(async () => {
    await standby.stop();
    await stopArchiving({ world });
  });

  const promoted = () => ({ ...server, port: standby.port, psql: (_: string, sql: string) => standby.psql(sql) });

  test('is followed by the archive, and recovery goes along it, or along what was left', async () => {
    await note(server, 'replicated');
    await until(async () => (await standby.psql('SELECT count(*) FROM notes')) === '2');
    await server.halt('immediate');
    await standby.promote();
    await world.configure({
      clusters: { main: { ...clusterAt(promoted(), 'main'), wal: { repository: 'nas', maxAge: '1h' } } },
      policies: { base: { cluster: 'main', method: 'base', repository: 'nas', window: '7d' } },
    });
    await note(promoted(), 'after');
    await untilArchived(world, promoted());
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('before,replicated,after');
    await copy.throwAway();
    const left = await recoverTo(world, { latest: true, timeline: 1 });
    expect(await left.notes()).toBe('before');
    await left.throwAway();
    const { code, stdout } = await world.holdfast('window', 'main');
    expect({ code, isSaid: stdout.includes('timeline 2') }).toEqual({ code: 0, isSaid: true });
  });

  test('is no reason for another base backup, and the next one is of the new timeline', async () => {
    expect((await backUp(world, 'base')).status).toBe('complete');
    await note(promoted(), 'later');
    await untilArchived(world, promoted());
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('before,replicated,after,later');
    await copy.throwAway();
    await world.client.workflow.getHandle('wal/main').cancel();
    await expectClean(world, promoted());
  });
});
