import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import { mountTmpfs, type Mounted } from '../storage/scratch.ts';
import { expectClean } from './oracle.ts';
import { leftOfRecoveries, recover, recoverTo, startArchiving, stopArchiving } from './recovering.ts';
import { backUp, failureOf } from './runs.ts';

describe('a target that is full', () => {
  let world: World;
  let server: PostgresServer;
  let full: Mounted;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15, cluster: { wal: undefined } }));
    await world.startWorker();
    await backUp(world, 'base');
    // Room for the bytes, as the plan sees it, and none for so many files.
    full = mountTmpfs('size=1g,nr_inodes=300,mode=755');
  });
  afterAll(async () => {
    await stopArchiving({ world });
    full.close();
  });

  test('fails the recovery with StoreFull, and nothing is left in it', async () => {
    const directory = join(full.directory, 'copy');
    const failure = await failureOf(await recover(world, 'immediate', { beside: { directory } }));
    expect(failure).toMatchObject({ type: 'StoreFull', message: expect.stringContaining(directory) as unknown });
    expect(await readdir(full.directory)).toEqual([]);
    expect(await leftOfRecoveries(world)).toEqual([]);
  });

  test('is refused before anything is written where the bytes have no room', async () => {
    full.remount('size=1m,nr_inodes=100000');
    const directory = join(full.directory, 'copy');
    const failure = await failureOf(await recover(world, 'immediate', { beside: { directory } }));
    expect(failure).toMatchObject({ type: 'PlanHopeless', message: expect.stringContaining('are free') as unknown });
    expect(await readdir(full.directory)).toEqual([]);
  });

  test('takes the same recovery once there is room', async () => {
    full.remount('size=1g,nr_inodes=100000');
    const copy = await recoverTo(world, 'immediate', { beside: { directory: join(full.directory, 'copy') } });
    expect(await copy.notes()).toBe('');
    await copy.throwAway();
    expect(await readdir(full.directory)).toEqual([]);
    await expectClean(world, server);
  });
});
